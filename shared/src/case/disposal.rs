//! The end of life of a case. When DynamoDB has removed a deleted case at the end of its retention, the patient data in its
//! history is erased, its comments, files and words in the index of words are removed, and a tombstone stays: its ids, times, number of versions and last
//! hash.
//!
//! Each step can be repeated. The tombstone is written last, so a case with a tombstone has no patient data left.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Cases, attachment,
    event::{Action, Event},
    item::{self, is_expired},
    tokens,
    verification::CaseItems,
    verify::HistoryReader,
};
use crate::{
    archive::ERASED_AT,
    auth::Permission,
    base::{CaseId, LabId, error::Error, time::Timestamp},
    files::FileStore,
    table::{self, Consistency, Item, KeyWrite, Order, Query, Retry, Table, keys, number, text},
};

/// The attributes of an event that hold patient data.
const PATIENT_DATA: [&str; 2] = ["changes", "reason"];
/// How many events are erased at the same time.
const CONCURRENCY: usize = 16;

/// How far a disposal got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disposal {
    /// All events are erased, the comments, files and tokens are removed, and the tombstone is written.
    Done,
    /// The deadline has come first. A repetition continues.
    Unfinished,
    /// The case exists, so nothing was erased.
    Refused,
    /// The removed item is not the one that this service wrote: somebody changed it, perhaps to end its life early. Nothing was
    /// erased.
    Tampered,
}

/// Erases the patient data in a case's history, removes its comments, files and tokens, and writes its tombstone. `deleted` is the removed item, and `removed_at` the
/// time of its removal.
///
/// # Errors
/// Unavailable, when the database or the store of files fails. A repetition continues.
pub(crate) async fn dispose(
    table: &Table,
    files: &FileStore,
    lab: LabId,
    case: CaseId,
    deleted: &Map<String, Value>,
    removed_at: Timestamp,
    deadline: Instant,
) -> Result<Disposal, Error> {
    // An operator may have brought the case back from a backup since then.
    let keys_of_case = [keys::case(case), keys::deleted(case)];
    if !table.get_many(lab, &keys_of_case, Consistency::Strong, Retry::until(deadline)).await?.is_empty() {
        return Ok(Disposal::Refused);
    }
    let last = last_event(table, lab, case).await?;
    let state_hash = last.as_ref().and_then(|event| event.get("state_hash")?.as_s().ok());
    if state_hash.is_some_and(|expected| *expected != item::hash_of_state(deleted)) {
        return Ok(Disposal::Tampered);
    }
    let mut query = Query {
        attributes: &["sk", ERASED_AT],
        ..Query::of_table(keys::event(case, 1), keys::last_event(case)).consistent()
    };
    loop {
        let page = table.query(lab, query.clone()).await?;
        let left: Vec<String> = page.items.iter().filter_map(unerased).collect();
        for events in left.chunks(CONCURRENCY) {
            if Instant::now() >= deadline {
                return Ok(Disposal::Unfinished);
            }
            let erased_at = text(Timestamp::now().to_string());
            stream::iter(events)
                .map(|sk| table.strip(lab, sk, &PATIENT_DATA, (ERASED_AT, erased_at.clone())))
                .buffer_unordered(CONCURRENCY)
                .try_collect::<()>()
                .await?;
        }
        match page.stopped_at {
            None => break,
            start => query.start = start,
        }
    }
    tokens::remove(table, lab, case, deleted).await?;
    remove_comments(table, lab, case).await?;
    if !attachment::disposal::remove_all(table, files, lab, case, deadline).await? {
        return Ok(Disposal::Unfinished);
    }
    table.add(tombstone(lab, case, deleted, removed_at)).await?;
    Ok(Disposal::Done)
}

impl Cases<'_> {
    /// Checks that the caller may see the history of a case that is not live. Without any item of the case, its events are all
    /// there is, which only tampering causes; a caller who may restore cases sees them.
    ///
    /// # Errors
    /// Case disposed, when the retention of the case has ended; case not found, for a caller who may not restore cases.
    pub(super) async fn check_not_live(&self, id: CaseId, items: &CaseItems) -> Result<(), Error> {
        if self.history_reader().is_disposed(id, items).await? {
            return Err(Error::case_disposed());
        }
        self.lab.allows(Permission::Restore).then_some(()).ok_or_else(Error::case_not_found)
    }

    /// The last versions of those of the cases that were disposed of.
    pub(super) async fn disposed(
        &self,
        ids: &[CaseId],
    ) -> Result<impl Iterator<Item = (CaseId, u32)>, Error> {
        #[derive(Deserialize)]
        struct Tombstone {
            case_id: CaseId,
            versions: u32,
        }
        let sks: Vec<String> = ids.iter().map(|id| keys::tombstone(*id)).collect();
        let found =
            self.table().get_many(self.lab.lab_id(), &sks, Consistency::Strong, self.lab.retry()).await?;
        let tombstones: Vec<Tombstone> =
            found.into_values().map(table::from_item).collect::<Result<_, _>>()?;
        Ok(tombstones.into_iter().map(|tombstone| (tombstone.case_id, tombstone.versions)))
    }
}

impl HistoryReader<'_> {
    /// Whether the retention of a case with these items has ended. The time of the expiry is part of the state of the deleted
    /// case, which its last event authenticates: a forged one ends no life.
    ///
    /// # Errors
    /// Unavailable, when the database fails.
    pub(super) async fn is_disposed(&self, id: CaseId, items: &CaseItems) -> Result<bool, Error> {
        match items {
            CaseItems { live: Some(_), .. } => Ok(false),
            CaseItems { deleted: Some(deleted), .. } => {
                Ok(is_expired(deleted) && self.has_authentic_state(id, deleted).await?)
            }
            CaseItems { tombstone: Some(_), .. } => Ok(true),
            _ => self.has_ended(id).await,
        }
    }

    async fn has_authentic_state(&self, id: CaseId, deleted: &Item) -> Result<bool, Error> {
        let Some(item) = last_event(self.table, self.lab, id).await? else { return Ok(false) };
        let Ok(event) = table::from_item::<Event>(item) else { return Ok(false) };
        // Events of earlier releases have no hash of the state.
        let is_state = event.state_hash.is_none() || event.state_hash == Some(item::state_hash(deleted));
        Ok(is_state && event.is_authentic(self.seals, self.lab)?)
    }

    /// Whether the last event is a delete, made by this service, before the retention. DynamoDB then has removed the case, and
    /// the tombstone is not written yet.
    async fn has_ended(&self, id: CaseId) -> Result<bool, Error> {
        let Some(item) = last_event(self.table, self.lab, id).await? else { return Ok(false) };
        if item.contains_key(ERASED_AT) {
            return Ok(true);
        }
        let Some(event) = self.last_event_of_users(id).await? else { return Ok(false) };
        let end = event.at.epoch_seconds_after_days(self.retention_days);
        Ok(event.action == Action::Deleted.into()
            && end <= Timestamp::now().epoch_seconds()
            && event.is_authentic(self.seals, self.lab)?)
    }
}

impl HistoryReader<'_> {
    /// The last event that is not the result of a scan, which can come after the delete.
    async fn last_event_of_users(&self, id: CaseId) -> Result<Option<Event>, Error> {
        let newest = Query {
            order: Order::Descending,
            ..Query::of_table(keys::event(id, 1), keys::last_event(id)).consistent()
        };
        let events = self.table.query(self.lab, newest).await?.items;
        let mut events = events.into_iter().map_while(|event| table::from_item::<Event>(event).ok());
        Ok(events.find(|event| event.action != Action::FileScanned.into()))
    }
}

async fn last_event(table: &Table, lab: LabId, id: CaseId) -> Result<Option<Item>, Error> {
    let last = Query {
        order: Order::Descending,
        limit: Some(1),
        ..Query::of_table(keys::event(id, 1), keys::last_event(id)).consistent()
    };
    Ok(table.query(lab, last).await?.items.pop())
}

async fn remove_comments(table: &Table, lab: LabId, case: CaseId) -> Result<(), Error> {
    let comments = Query {
        attributes: &["sk"],
        ..Query::of_table(keys::comment(case, 1), keys::last_comment(case)).consistent()
    };
    let sks = table
        .query_all(lab, comments)
        .await?
        .into_iter()
        .filter_map(|item| item.get("sk")?.as_s().ok().cloned());
    let removed: Vec<KeyWrite> = sks.map(|sk| KeyWrite::Delete(lab, sk)).collect();
    table.write_keys(&removed).await
}

/// The sort key of an event that is not erased yet.
fn unerased(item: &Item) -> Option<String> {
    if item.contains_key(ERASED_AT) {
        return None;
    }
    item.get("sk").and_then(|sk| sk.as_s().ok()).cloned()
}

/// An existing tombstone stays as it is, however often it is written.
fn tombstone(lab: LabId, case: CaseId, deleted: &Map<String, Value>, removed_at: Timestamp) -> Item {
    let mut item = table::key(lab, &keys::tombstone(case));
    item.insert("case_id".to_owned(), number(case));
    item.insert("removed_at".to_owned(), text(removed_at.to_string()));
    for (from, to) in [
        ("created_at", "created_at"),
        ("deleted_at", "deleted_at"),
        ("deleted_by", "deleted_by"),
        ("last_event_hash", "last_hash"),
    ] {
        if let Some(value) = deleted.get(from).and_then(Value::as_str) {
            item.insert(to.to_owned(), text(value));
        }
    }
    if let Some(version) = deleted.get("version").and_then(Value::as_u64) {
        item.insert("versions".to_owned(), number(version));
    }
    item
}

/// Whether a change of an event is what [`dispose`] does, and nothing else.
pub(crate) fn is_erasure(before: &Map<String, Value>, after: &Map<String, Value>) -> bool {
    let mut expected = before.clone();
    expected.retain(|name, _| !PATIENT_DATA.contains(&name.as_str()));
    let Some(erased_at) = after.get(ERASED_AT) else { return false };
    expected.insert(ERASED_AT.to_owned(), erased_at.clone());
    !before.contains_key(ERASED_AT) && expected == *after
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn image(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn only_the_erasure_of_patient_data_is_an_erasure() {
        let before =
            image(json!({"hash": "h", "reason": "Jane Roe called", "changes": [{"field": "notes"}]}));
        let erased = image(json!({"hash": "h", "erased_at": "2026-11-25T09:00:00.000Z"}));
        assert!(is_erasure(&before, &erased));
        for (before, after) in [
            (before.clone(), image(json!({"hash": "x", "erased_at": "2026-11-25T09:00:00.000Z"}))),
            (before.clone(), image(json!({"hash": "h"}))),
            (
                before.clone(),
                image(json!({"hash": "h", "changes": [], "erased_at": "2026-11-25T09:00:00.000Z"})),
            ),
            (erased.clone(), image(json!({"hash": "h", "erased_at": "2027-11-25T09:00:00.000Z"}))),
        ] {
            assert!(!is_erasure(&before, &after), "{after:?}");
        }
    }
}
