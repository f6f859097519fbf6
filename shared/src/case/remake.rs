//! Making a case again: a new case with the details of the first, and each refers to the other.

use jiff::civil::Date;
use tokio::sync::OnceCell;

use super::{
    Case, CaseFields, Cases, RemakeReason, WriteOutcome, change_set::ChangeSet, event::Action,
    workflow::Status, write::Shards,
};
use crate::{
    base::{
        CaseId,
        error::Error,
        private::Private,
        validate::{Fields, FromObject, date, one_of, text},
    },
    http::IdempotencyKey,
    table::{Attempt, keys},
};

/// A case that is to be made again.
pub struct RemakeCreate {
    /// Why, for the statistics.
    pub reason_code: RemakeReason,
    /// Why, for the history.
    pub reason: Private<String>,
    /// When the new work is due; without it, as early as the lead time allows.
    pub due_date: Option<Date>,
}

impl FromObject for RemakeCreate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let reason_code = fields.required("reason_code", one_of);
        let reason = fields.required("reason", text(1..=500));
        let due_date = fields.optional("due_date", date).value();
        Some(Self { reason_code: reason_code?, reason: reason?, due_date })
    }
}

impl Cases<'_> {
    /// Creates the case that makes the case `id` again; both are written in one transaction.
    ///
    /// # Errors
    /// Case not found; idempotency key reused; conflict.
    pub async fn remake(
        &self,
        id: CaseId,
        remake: &RemakeCreate,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<WriteOutcome, Error> {
        let new_id = OnceCell::new();
        self.write(|| async {
            let mut sks = self.response_keys(idempotency_key);
            sks.push(keys::case(id));
            let mut snapshot = self.read_for_write(sks, Shards::Any).await?;
            if let Some(case) = snapshot.response(self, idempotency_key)? {
                return self.replay(case).await.map(Attempt::Done);
            }
            let original = snapshot.live(id, None)?;
            // No id is used up for a case that is not there, and only one for all attempts.
            let new_id = *new_id.get_or_try_init(|| self.table().next_case_id(self.lab.lab_id())).await?;
            let now = original.case.next_moment();
            let fields = CaseFields { due_date: remake.due_date, ..original.case.fields.clone() };
            let case = Case {
                remake_of: Some(id),
                remake_reason_code: Some(remake.reason_code),
                ..self.new_case(new_id, Status::INITIAL[0], fields, now)
            };
            let mut remade =
                Case { version: original.case.version + 1, updated_at: now, ..original.case.clone() };
            remade.remakes.push(new_id);
            let mut changes = ChangeSet::new(self, snapshot.position);
            changes.add(Action::Created, None, &case, Some(&remake.reason))?;
            changes.add(Action::Remade, Some(&original), &remade, Some(&remake.reason))?;
            changes.record(vec![new_id, id])?;
            changes.store_response(idempotency_key, &case, now)?;
            changes.commit(WriteOutcome::first(case))
        })
        .await
    }
}
