//! The common code of all writes: the read of an attempt, and the write of a case's next version.

use std::collections::HashMap;

use serde::Serialize;

use super::{
    Case, Cases,
    change_set::{ChangeSet, LogPosition},
    event::Action,
    item::StoredCase,
    stored_response::StoredResponse,
};
use crate::{
    audit::AuditRecorder,
    base::{CaseId, error::Error, private::Private, time::Timestamp},
    http::{EntityTags, IdempotencyKey, Resource},
    table::{Attempt, Consistency, Item, Table, keys},
};

/// The result of a write with an idempotency key: the case in the version of the first request.
pub struct WriteOutcome {
    case: Case,
    kind: OutcomeKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OutcomeKind {
    /// This request made the change.
    First,
    /// An earlier request with the same key made the change.
    Replayed,
}

impl WriteOutcome {
    pub(super) fn first(case: Case) -> Self {
        Self { case, kind: OutcomeKind::First }
    }

    pub(super) fn replayed(case: Case) -> Self {
        Self { case, kind: OutcomeKind::Replayed }
    }
}

impl Resource for WriteOutcome {
    fn view(&self) -> impl Serialize {
        self.case.view()
    }

    fn version(&self) -> u32 {
        self.case.version
    }

    fn path(&self) -> String {
        Resource::path(&self.case)
    }

    fn is_replay(&self) -> bool {
        self.kind == OutcomeKind::Replayed
    }
}

/// The shards of the change log that a write may use.
#[derive(Clone, Copy)]
pub(super) enum Shards {
    /// A random shard, so that writers rarely conflict.
    Any,
    /// One of two shards that no other worker of the same request uses.
    OfWorker(u8),
}

impl Shards {
    /// The number of workers with their own shards.
    pub(super) const WORKERS: u8 = keys::SHARDS / 2;

    pub(super) fn pick(self) -> u8 {
        match self {
            Self::Any => fastrand::u8(0..keys::SHARDS),
            Self::OfWorker(worker) => worker % Self::WORKERS + Self::WORKERS * fastrand::u8(0..2),
        }
    }
}

/// Who writes the audit record of a write.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recording {
    /// The transaction of the change.
    WithChange,
    /// The bulk request, for all its cases.
    ByRequest,
}

/// The parameters of a write besides the case itself.
#[derive(Clone, Copy)]
pub(super) struct CaseWrite<'a> {
    pub action: Action,
    pub reason: Option<&'a Private<String>>,
    pub idempotency_key: Option<&'a IdempotencyKey>,
    pub recording: Recording,
}

/// The data of an attempt, read in one round trip: items by sort key, and the position in the change log for the write.
pub(super) struct Snapshot<'a> {
    items: HashMap<String, Item>,
    pub position: LogPosition,
    recorder: &'a AuditRecorder,
}

impl Snapshot<'_> {
    /// Takes the live case, if it has one of the versions in `if_match`. Each attempt checks this again, so it notices a
    /// concurrent change.
    ///
    /// # Errors
    /// Case not found; precondition failed.
    pub(super) fn live(&mut self, id: CaseId, if_match: Option<&EntityTags>) -> Result<StoredCase, Error> {
        let stored = self.take(&keys::case(id))?.ok_or_else(Error::case_not_found)?;
        self.recorder.note_read(id);
        if_match.map_or(Ok(()), |tags| tags.check(stored.case.version)).map(|()| stored)
    }

    /// Takes a case by its sort key.
    ///
    /// # Errors
    /// Conflict, when this release cannot write it.
    pub(super) fn take(&mut self, sk: &str) -> Result<Option<StoredCase>, Error> {
        let stored = self.items.remove(sk).map(StoredCase::from_item).transpose()?;
        stored.as_ref().map_or(Ok(()), |stored| stored.case.newer.check_writable()).map(|()| stored)
    }

    /// Takes the stored response, if the request has an idempotency key and was handled before.
    ///
    /// # Errors
    /// Idempotency key reused.
    pub(super) fn response(
        &mut self,
        cases: &Cases<'_>,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Case>, Error> {
        Ok(self.stored_response(cases, key)?.and_then(StoredResponse::into_case))
    }

    /// Takes the stored response in the same way, whatever it is of.
    ///
    /// # Errors
    /// Idempotency key reused.
    pub(super) fn stored_response(
        &mut self,
        cases: &Cases<'_>,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<StoredResponse>, Error> {
        let Some(key) = key else { return Ok(None) };
        let Some(item) = self.take_item(&cases.response_key(key)) else { return Ok(None) };
        StoredResponse::read(key, item)
    }

    /// Takes an item by its sort key.
    pub(super) fn take_item(&mut self, sk: &str) -> Option<Item> {
        self.items.remove(sk)
    }
}

impl Cases<'_> {
    /// Runs `attempt` until one is committed or the request's time is over.
    pub(super) async fn write<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Attempt<T>, Error>>,
    {
        self.table().write(self.lab.retry(), attempt).await
    }

    /// Reads the items with these keys and a position in the change log.
    pub(super) async fn read_for_write(
        &self,
        mut sks: Vec<String>,
        shards: Shards,
    ) -> Result<Snapshot<'_>, Error> {
        let shard = shards.pick();
        sks.push(keys::shard(shard));
        let items =
            self.table().get_many(self.lab.lab_id(), &sks, Consistency::Strong, self.lab.retry()).await?;
        let position = LogPosition::after(shard, items.get(&keys::shard(shard)));
        Ok(Snapshot { items, position, recorder: self.lab.recorder() })
    }

    /// Writes the next version of a case. It writes no version when nothing changes, so a client can repeat a request.
    pub(super) async fn replace(
        &self,
        write: CaseWrite<'_>,
        before: &StoredCase,
        mut after: Case,
        position: LogPosition,
    ) -> Result<Attempt<Case>, Error> {
        if after == before.case {
            return self.keep_unchanged(after, write.idempotency_key, write.recording).await;
        }
        if after.fields.lead_days() != before.case.fields.lead_days() {
            after.update_earliest_due_date(&self.services.calendar);
        }
        after.version += 1;
        after.updated_at = before.case.next_moment();
        if before.case.status != after.status {
            after.stamp_status(after.updated_at);
        }
        let mut changes = ChangeSet::by(self.author(), position);
        changes.add(write.action, Some(before), &after, write.reason)?;
        if write.recording == Recording::WithChange {
            changes.record(self.lab.recorder(), vec![after.id])?;
        }
        changes.store_response(self, write.idempotency_key, &after, after.updated_at)?;
        changes.commit(after)
    }

    /// Returns the case for a request that changes nothing. If the request has an idempotency key, the response is stored,
    /// because a repeated request could change something by then.
    pub(super) async fn keep_unchanged(
        &self,
        case: Case,
        idempotency_key: Option<&IdempotencyKey>,
        recording: Recording,
    ) -> Result<Attempt<Case>, Error> {
        if recording == Recording::WithChange {
            self.lab.recorder().record_granted(vec![case.id]).await?;
        }
        match idempotency_key {
            None => Ok(Attempt::Done(case)),
            Some(key) => {
                let stored = self.response_transaction(key, Some(&case), Timestamp::now())?;
                Ok(Attempt::Commit(stored, case))
            }
        }
    }

    pub(super) fn table(&self) -> &Table {
        self.lab.table()
    }
}
