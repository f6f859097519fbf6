//! Remakes a case: creates a new case with the details of the original. Each case refers to the other.

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

/// The body of a request for a remake.
pub struct RemakeCreate {
    /// The reason as a code, for the statistics.
    pub reason_code: RemakeReason,
    /// The reason in words, for the history.
    pub reason: Private<String>,
    /// The due date of the new case; by default its earliest due date.
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
    /// Creates a remake of the case `id`. One transaction writes both cases.
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
            // Takes a new id only after the original was found, and only one id for all attempts.
            let new_id = *new_id.get_or_try_init(|| self.table().next_case_id(self.lab.lab_id())).await?;
            let now = original.case.next_moment();
            let fields = CaseFields { due_date: remake.due_date, ..original.case.fields.clone() };
            let case = Case {
                remake_of: Some(id),
                remake_reason_code: Some(remake.reason_code),
                newer: original.case.newer.of_order(),
                ..self.new_case(new_id, Status::INITIAL[0], fields, now)
            };
            let mut remade =
                Case { version: original.case.version + 1, updated_at: now, ..original.case.clone() };
            remade.remakes.push(new_id);
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add(Action::Created, None, &case, Some(&remake.reason))?;
            changes.add(Action::Remade, Some(&original), &remade, Some(&remake.reason))?;
            changes.record(self.lab.recorder(), vec![new_id, id])?;
            changes.store_response(self, idempotency_key, &case, now)?;
            changes.commit(WriteOutcome::first(case))
        })
        .await
    }
}
