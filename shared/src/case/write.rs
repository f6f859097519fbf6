//! The write path that all operations share: what an attempt reads, and what it makes of it.

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
    base::{CaseId, error::Error, private::Private, time::Timestamp},
    http::{EntityTags, IdempotencyKey, Resource},
    table::{Attempt, Consistency, Item, Table, keys},
};

/// The case that a request with an idempotency key made or changed, as it was then.
pub struct WriteOutcome {
    case: Case,
    kind: OutcomeKind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OutcomeKind {
    /// This request did it.
    First,
    /// An earlier request with the same key did it.
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

/// Which shards of the change log a write may use.
#[derive(Clone, Copy)]
pub(super) enum Shards {
    /// Any of them, at random: writers rarely meet.
    Any,
    /// Two that no other worker of the same request uses.
    OfWorker(u8),
}

impl Shards {
    /// The workers that there are shards for.
    pub(super) const WORKERS: u8 = keys::SHARDS / 2;

    fn pick(self) -> u8 {
        match self {
            Self::Any => fastrand::u8(0..keys::SHARDS),
            Self::OfWorker(worker) => worker % Self::WORKERS + Self::WORKERS * fastrand::u8(0..2),
        }
    }
}

/// Who records that the case was given out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Recording {
    /// The transaction of the change.
    WithChange,
    /// The request, for all cases that it is about.
    ByRequest,
}

/// What is done to a case, why, and for which request if that may come again.
#[derive(Clone, Copy)]
pub(super) struct CaseWrite<'a> {
    pub action: Action,
    pub reason: Option<&'a Private<String>>,
    pub idempotency_key: Option<&'a IdempotencyKey>,
    pub recording: Recording,
}

/// What an attempt reads, in one round trip: items by sort key, and where in the log it may write.
pub(super) struct Snapshot {
    items: HashMap<String, Item>,
    pub position: LogPosition,
}

impl Snapshot {
    /// Takes the live case, if it has one of the versions in `if_match`. After a lost race the next attempt comes here
    /// again and finds out.
    ///
    /// # Errors
    /// Case not found; precondition failed.
    pub(super) fn live(&mut self, id: CaseId, if_match: Option<&EntityTags>) -> Result<StoredCase, Error> {
        let stored = self.take(&keys::case(id))?.ok_or_else(Error::case_not_found)?;
        if_match.map_or(Ok(()), |tags| tags.check(stored.case.version)).map(|()| stored)
    }

    /// Takes a case by its sort key.
    pub(super) fn take(&mut self, sk: &str) -> Result<Option<StoredCase>, Error> {
        self.items.remove(sk).map(StoredCase::from_item).transpose()
    }

    /// Takes the stored response to the request, if it has a key and was handled before.
    ///
    /// # Errors
    /// Idempotency key reused.
    pub(super) fn response(
        &mut self,
        cases: &Cases<'_>,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<Case>, Error> {
        let Some(key) = key else { return Ok(None) };
        let Some(item) = self.items.remove(&cases.response_key(key)) else { return Ok(None) };
        Ok(StoredResponse::read(key, item)?.and_then(StoredResponse::into_case))
    }
}

impl Cases<'_> {
    /// Makes attempts until one is committed, or the request's time is used up.
    pub(super) async fn write<T, F>(&self, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Attempt<T>, Error>>,
    {
        self.table().write(self.lab.retry(), attempt).await
    }

    /// The items with these keys and a position in the change log.
    pub(super) async fn read_for_write(
        &self,
        mut sks: Vec<String>,
        shards: Shards,
    ) -> Result<Snapshot, Error> {
        let shard = shards.pick();
        sks.push(keys::shard(shard));
        let items = self.table().get_many(self.lab.lab_id(), &sks, Consistency::Strong).await?;
        let position = LogPosition::behind(shard, items.get(&keys::shard(shard)));
        Ok(Snapshot { items, position })
    }

    /// Writes the next version of a case. Nothing is written when nothing changes, so that repeating a request is
    /// harmless.
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
            after.settle_lead_time(&self.services.calendar);
        }
        after.version += 1;
        after.updated_at = before.case.next_moment();
        if before.case.status != after.status {
            after.stamp_status(after.updated_at);
        }
        let mut changes = ChangeSet::new(self, position);
        changes.add(write.action, Some(before), &after, write.reason)?;
        if write.recording == Recording::WithChange {
            changes.record(vec![after.id])?;
        }
        changes.store_response(write.idempotency_key, &after, after.updated_at)?;
        changes.commit(after)
    }

    /// The response to a request that changes nothing; stored if the request has a key, because by the time it comes
    /// again it could change something.
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
