//! Reads and verifies the history of a case.

use jiff::civil::Date;

use super::{
    Cases,
    event::Event,
    item::from_item,
    verification::{CaseItems, Verification, Verifier},
};
use crate::{
    base::{CaseId, LabId, error::Error, seal::SealKeys},
    table::{Consistency, Query, Retry, Table, keys},
    telemetry::SecurityEvent,
};

/// Reads the histories of one lab for their verification.
pub(super) struct HistoryReader<'a> {
    pub table: &'a Table,
    pub lab: LabId,
    pub seals: &'a SealKeys,
    /// Events of this day and later need a seal.
    pub sealed_since: Option<Date>,
    /// How long a deleted case is kept.
    pub retention_days: u32,
    /// The time for repetitions.
    pub retry: Retry,
}

impl Cases<'_> {
    /// Verifies that the events of a case, the case itself and the change log agree, and that only this service wrote them.
    ///
    /// # Errors
    /// Case not found; case disposed; unavailable, when the history is too long for one request, or grows during every
    /// attempt.
    pub async fn verify_history(&self, id: CaseId) -> Result<Verification, Error> {
        let reader = self.history_reader();
        let items = reader.items(id).await?;
        if items.live.is_none() {
            self.check_not_live(id, &items).await?;
        }
        self.lab.recorder().record_granted(vec![id]).await?;
        let found = reader.verify(id, items, || self.lab.has_time_left()).await?;
        if !found.valid {
            self.lab.report(SecurityEvent::VerificationFailed);
        }
        Ok(found)
    }
}

impl Cases<'_> {
    /// The reader of the lab's histories.
    pub(super) fn history_reader(&self) -> HistoryReader<'_> {
        HistoryReader {
            table: self.table(),
            lab: self.lab.lab_id(),
            seals: &self.services.seals,
            sealed_since: self.services.sealed_since,
            retention_days: self.services.retention_days,
            retry: self.lab.retry(),
        }
    }
}

impl<'a> HistoryReader<'a> {
    /// Verifies the history of the case with these items.
    ///
    /// # Errors
    /// Case not found, without items and events; unavailable, when the time is over.
    pub(super) async fn verify(
        &self,
        id: CaseId,
        mut items: CaseItems,
        has_time_left: impl Fn() -> bool,
    ) -> Result<Verification, Error> {
        let mut retry = self.retry.clone();
        loop {
            let found = self.verify_events(id, &has_time_left).await?.finish(&items)?;
            if found.valid {
                return Ok(found);
            }
            // If the case has changed meanwhile, the contradiction may just be a new event: verify again.
            let now = self.items(id).await?;
            if !now.differ_from(&items) {
                let is_nothing = found.events == 0 && items.live.is_none() && items.deleted.is_none();
                return if is_nothing { Err(Error::case_not_found()) } else { Ok(found) };
            }
            items = now;
            if !retry.pause().await {
                return Err(Error::unavailable("The database", "the history grew during every attempt"));
            }
        }
    }

    /// Reads the items of a case.
    pub(super) async fn items(&self, id: CaseId) -> Result<CaseItems, Error> {
        let sks = [keys::case(id), keys::deleted(id), keys::tombstone(id)];
        let mut items = self.table.get_many(self.lab, &sks, Consistency::Strong, self.retry.clone()).await?;
        let [live, deleted, tombstone] = sks.map(|sk| items.remove(&sk));
        Ok(CaseItems { live, deleted, tombstone })
    }

    async fn verify_events(
        &self,
        id: CaseId,
        has_time_left: impl Fn() -> bool,
    ) -> Result<Verifier<'a>, Error> {
        let mut verifier = Verifier::new(self, id);
        let mut query = Query::of_table(keys::event(id, 0), keys::last_event(id)).consistent();
        loop {
            let page = self.table.query(self.lab, query.clone()).await?;
            let events: Vec<Option<Event>> =
                page.items.into_iter().map(|item| from_item(item).ok()).collect();
            let sks = Verifier::log_keys(&events);
            let log = self.table.get_many(self.lab, &sks, Consistency::Strong, self.retry.clone()).await?;
            verifier.check(events, log)?;
            let Some(stopped_at) = page.stopped_at else { return Ok(verifier) };
            if !has_time_left() {
                return Err(Error::unavailable("The database", "no time left for the rest of a history"));
            }
            query.start = Some(stopped_at);
        }
    }
}
