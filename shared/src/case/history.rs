//! Reads and verifies the history of a case.

use serde::Serialize;

use super::{
    Cases,
    event::{Event, Verification, Verifier},
    item::{StoredCase, from_item},
};
use crate::{
    auth::Permission,
    base::{CaseId, cursor::CursorKey, error::Error},
    http::{PageRequest, Pagination, Query, Request},
    table::{self, keys},
    telemetry::SecurityEvent,
};

/// A page of the events of a case.
#[derive(Serialize)]
pub struct EventPage {
    case_id: CaseId,
    events: Vec<Event>,
    pagination: Pagination,
}

impl Cases<'_> {
    /// Reads a page of the events of a case, oldest first. A deleted case needs the permission to restore cases.
    ///
    /// # Errors
    /// Case not found; invalid parameter; invalid cursor.
    pub async fn history(&self, id: CaseId, request: &Request) -> Result<EventPage, Error> {
        let mut query = Query::of(request);
        let page = PageRequest::read_without_number(&mut query, &self.services.paging);
        query.finish()?;
        let list = format!("history of {id} of {}", self.lab.lab_id());
        let after = self.open_cursor(&list, &page)?.unwrap_or(0);
        let read = self.events_after(id, after, Some(page.read_limit()));
        let (visible, read, recorded) =
            tokio::join!(self.check_visible(id), read, self.lab.recorder().record_granted(vec![id]));
        visible?;
        let (mut events, stopped_early) = read?;
        if events.is_empty() && after == 0 {
            return Err(Error::case_not_found());
        }
        recorded?;
        let has_more = page.cut(&mut events) || stopped_early;
        let last = events.last().filter(|_| has_more).map(|event| u64::from(event.version));
        Ok(EventPage { case_id: id, pagination: self.pagination(&list, &page, last), events })
    }

    /// Verifies that each event of a case exists and is unchanged.
    ///
    /// # Errors
    /// Case not found; unavailable, when the history is too long for one request, or grows during every attempt.
    pub async fn verify_history(&self, id: CaseId) -> Result<Verification, Error> {
        let mut retry = self.lab.retry();
        let mut stored = self.get_anywhere(id).await?;
        self.lab.recorder().record_granted(vec![id]).await?;
        loop {
            let found = self.verify_events(id).await?.finish(id, stored.last_event_hash.as_deref());
            if found.valid {
                return Ok(found);
            }
            // If the case has changed meanwhile, the error may just be a new event: verify again.
            let now = self.get_anywhere(id).await?;
            if now.case.version == stored.case.version {
                self.lab.report(SecurityEvent::VerificationFailed);
                return Ok(found);
            }
            stored = now;
            if !retry.pause().await {
                return Err(Error::unavailable("The database", "the history grew during every attempt"));
            }
        }
    }

    async fn verify_events(&self, id: CaseId) -> Result<Verifier, Error> {
        let (mut verifier, mut after) = (Verifier::default(), 0);
        loop {
            let (events, stopped_early) = self.events_after(id, after, None).await?;
            verifier.check(&events)?;
            let Some(last) = events.last().filter(|_| stopped_early) else { return Ok(verifier) };
            after = u64::from(last.version);
            if !self.lab.has_time_left() {
                return Err(Error::unavailable("The database", "no time left for the rest of a history"));
            }
        }
    }

    /// Reads the live case. A caller with the permission to restore also gets a deleted case.
    async fn get_anywhere(&self, id: CaseId) -> Result<StoredCase, Error> {
        match self.table().get(self.lab.lab_id(), &keys::case(id)).await? {
            Some(item) => StoredCase::from_item(item),
            None if !self.lab.allows(Permission::Restore) => Err(Error::case_not_found()),
            None => self.get_deleted(id).await?.ok_or_else(Error::case_not_found),
        }
    }

    /// Checks that the caller may see the case. A deleted case needs the permission to restore.
    async fn check_visible(&self, id: CaseId) -> Result<(), Error> {
        if self.lab.allows(Permission::Restore) { Ok(()) } else { self.get_stored(id).await.map(|_| ()) }
    }

    async fn events_after(
        &self,
        id: CaseId,
        version: u64,
        limit: Option<u32>,
    ) -> Result<(Vec<Event>, bool), Error> {
        let next = u32::try_from(version).unwrap_or(u32::MAX).saturating_add(1);
        let range = table::Query {
            limit,
            ..table::Query::of_table(keys::event(id, next), keys::last_event(id)).consistent()
        };
        let page = self.table().query(self.lab.lab_id(), range).await?;
        let events = page.items.into_iter().map(from_item).collect::<Result<_, _>>()?;
        Ok((events, page.stopped_at.is_some()))
    }

    fn open_cursor(&self, list: &str, page: &PageRequest) -> Result<Option<u64>, Error> {
        let Some(cursor) = &page.cursor else { return Ok(None) };
        let position = self.services.cursors.open(list, cursor)?;
        let position = position.try_into().map_err(|_| CursorKey::invalid())?;
        Ok(Some(u64::from_be_bytes(position)))
    }

    fn pagination(&self, list: &str, page: &PageRequest, last: Option<u64>) -> Pagination {
        let seal = |last: u64| self.services.cursors.seal(list, &last.to_be_bytes());
        Pagination::new(page, last.map(seal), None)
    }
}
