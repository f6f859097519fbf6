//! Restores a deleted case. It gets its old key again, and its history continues.

use super::{
    Case, Cases, WriteOutcome,
    change_set::ChangeSet,
    event::Action,
    write::{Recording, Shards},
};
use crate::{
    base::{CaseId, error::Error},
    http::IdempotencyKey,
    table::{Attempt, keys},
};

impl Cases<'_> {
    /// Restores a deleted case in its last state. A case that is not deleted stays unchanged.
    ///
    /// # Errors
    /// Case not found; idempotency key reused; conflict.
    pub async fn restore(
        &self,
        id: CaseId,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<WriteOutcome, Error> {
        self.write(|| async {
            let mut sks = self.response_keys(idempotency_key);
            sks.extend([keys::deleted(id), keys::case(id)]);
            let mut snapshot = self.read_for_write(sks, Shards::Any).await?;
            if let Some(case) = snapshot.response(self, idempotency_key)? {
                return self.replay(case).await.map(Attempt::Done);
            }
            let deleted = snapshot.take(&keys::deleted(id))?.filter(|stored| !stored.is_expired);
            let Some(before) = deleted else {
                let live = snapshot.live(id, None)?.case;
                let unchanged = self.keep_unchanged(live, idempotency_key, Recording::WithChange).await?;
                return Ok(unchanged.map(WriteOutcome::first));
            };
            let now = before.case.next_moment();
            let restored = Case {
                version: before.case.version + 1,
                updated_at: now,
                deleted_at: None,
                deleted_by: None,
                ..before.case.clone()
            };
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add(Action::Restored, Some(&before), &restored, None)?;
            changes.record(self.lab.recorder(), vec![id])?;
            changes.store_response(self, idempotency_key, &restored, now)?;
            changes.commit(WriteOutcome::first(restored))
        })
        .await
    }
}
