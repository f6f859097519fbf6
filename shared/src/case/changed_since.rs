//! The live cases that have changed since a time, each with its last event.

use super::{Case, Cases, event::Event, item::from_item, members};
use crate::{
    base::{CaseId, error::Error, time::Timestamp},
    table::{Consistency, Index, Query, keys, text},
};

/// A case, and the event of its last change.
pub struct ChangedCase {
    /// The case.
    pub case: Case,
    /// The event of its version.
    pub event: Option<Event>,
}

impl Cases<'_> {
    /// Reads at most `limit` live cases that have changed since the time, in the order of their last changes, from the index by
    /// update. `after` is the position that an earlier call returned. Also returns the position of the rest; `None` if there is no rest.
    ///
    /// # Errors
    /// Unavailable.
    pub(crate) async fn changed_since(
        &self,
        since: Timestamp,
        after: Option<&str>,
        limit: u32,
    ) -> Result<(Vec<ChangedCase>, Option<String>), Error> {
        let from = after.map_or_else(|| since.to_string(), |after| format!("{after}{}", keys::BEFORE_ALL));
        let query = Query {
            index: Index::ByUpdate,
            from: text(from),
            limit: Some(limit),
            attributes: &["sk", "update_key"],
            ..Query::of_table("", keys::PAST_ALL)
        };
        let page = self.table().query(self.lab.lab_id(), query).await?;
        let ids: Vec<CaseId> =
            (page.items.iter()).filter_map(|item| keys::case_id(item.get("sk")?.as_s().ok()?)).collect();
        let position = page.stopped_at.and_then(|key| key.get("update_key")?.as_s().ok().cloned());
        Ok((self.with_last_events(&ids).await?, position))
    }

    /// Reads cases and the events of their versions. Cases that were deleted meanwhile are left out.
    async fn with_last_events(&self, ids: &[CaseId]) -> Result<Vec<ChangedCase>, Error> {
        let (lab, retry) = (self.lab.lab_id(), self.lab.retry());
        let sks: Vec<String> = ids.iter().map(|id| keys::case(*id)).collect();
        let mut items = self.table().get_many(lab, &sks, Consistency::Strong, retry.clone()).await?;
        let found = sks.iter().filter_map(|sk| items.remove(sk)).map(members::from_item);
        let cases: Vec<Case> = found.collect::<Result<_, _>>()?;
        let sks: Vec<String> = cases.iter().map(|case| keys::event(case.id, case.version)).collect();
        let mut events = self.table().get_many(lab, &sks, Consistency::Strong, retry).await?;
        let changed = cases.into_iter().zip(&sks).map(|(case, sk)| {
            let event = events.remove(sk).map(from_item).transpose()?;
            Ok(ChangedCase { case, event })
        });
        changed.collect()
    }
}
