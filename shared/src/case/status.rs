//! Changes the status of a case.

use super::{
    Case, Cases,
    event::Action,
    workflow::Status,
    write::{CaseWrite, Recording, Shards},
};
use crate::{
    auth::Permission,
    base::{
        CaseId,
        error::Error,
        private::Private,
        validate::{Fields, FromObject, one_of, text},
    },
    http::{EntityTags, IdempotencyKey},
    table::{Attempt, keys},
};

/// A status change.
pub struct StatusUpdate {
    /// The new status.
    pub status: Status,
    /// The reason, for the history.
    pub reason: Option<Private<String>>,
}

impl FromObject for StatusUpdate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let status = fields.required("status", one_of);
        let reason = fields.optional("reason", text(1..=500)).value();
        Some(Self { status: status?, reason })
    }
}

impl Cases<'_> {
    /// Changes the status of a case, if it has one of the versions in `if_match`.
    ///
    /// # Errors
    /// Case not found; precondition failed; illegal transition, with the legal ones; validation, when a reason is missing;
    /// conflict.
    pub async fn update_status(
        &self,
        id: CaseId,
        update: &StatusUpdate,
        if_match: Option<&EntityTags>,
    ) -> Result<Case, Error> {
        self.write(|| async {
            let mut snapshot = self.read_for_write(vec![keys::case(id)], Shards::Any).await?;
            let before = snapshot.live(id, if_match)?;
            let (write, after) = moved(&before.case, update, None, Recording::WithChange)?;
            self.replace(write, &before, after, snapshot.position).await
        })
        .await
    }

    /// Changes the status of one case of a bulk request, once for each idempotency key. The bulk request writes the audit
    /// record of all cases.
    pub(super) async fn update_status_of_one(
        &self,
        id: CaseId,
        update: &StatusUpdate,
        idempotency_key: Option<&IdempotencyKey>,
        shards: Shards,
    ) -> Result<Case, Error> {
        self.write(|| async {
            let mut sks = self.response_keys(idempotency_key);
            sks.push(keys::case(id));
            let mut snapshot = self.read_for_write(sks, shards).await?;
            let stored = snapshot.response(self, idempotency_key)?;
            let before = snapshot.live(id, None);
            if let Some(case) = stored.filter(|_| before.is_ok() || self.lab.allows(Permission::Restore)) {
                return Ok(Attempt::Done(case));
            }
            let before = before?;
            let (write, after) = moved(&before.case, update, idempotency_key, Recording::ByRequest)?;
            self.replace(write, &before, after, snapshot.position).await
        })
        .await
    }
}

fn moved<'a>(
    before: &Case,
    update: &'a StatusUpdate,
    idempotency_key: Option<&'a IdempotencyKey>,
    recording: Recording,
) -> Result<(CaseWrite<'a>, Case), Error> {
    let reason = update.reason.as_ref();
    before.status.check_move_to(update.status, reason)?;
    let write = CaseWrite { action: Action::StatusChanged, reason, idempotency_key, recording };
    Ok((write, Case { status: update.status, ..before.clone() }))
}
