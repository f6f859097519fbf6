//! Making a case again: a new case with the details of the first, and each knows of the other.

use super::{
    Case, CaseFields, CaseId, Cases, Done, RemakeCreate,
    repository::{live, lost_race},
    transaction::Transaction,
};
use crate::{error::Error, event::Action, idempotency::IdempotencyKey, keys, workflow::Status};

impl Cases<'_> {
    /// Creates the case that makes the case `id` again; both are written in one transaction.
    ///
    /// # Errors
    /// Case not found; idempotency key reused; conflict when other writers of the first case win every time.
    pub async fn remake(
        &self,
        id: CaseId,
        remake: &RemakeCreate,
        once: Option<&IdempotencyKey>,
    ) -> Result<Done, Error> {
        let mut retry = self.lab.retry();
        let mut next_id = None;
        loop {
            let mut sks = self.answer_keys(once);
            sks.push(keys::case(id));
            let (mut items, place) = self.read_for_change(sks).await?;
            if let Some(case) = self.answered(once, &mut items)? {
                return self.replayed(case).await;
            }
            let original = live(&mut items, id, None)?;
            // No id is used up for a case that is not there, and only one however often this is tried.
            let new_id = match next_id {
                Some(id) => id,
                None => *next_id.insert(self.table().next_case_id(self.lab.lab_id()).await?),
            };
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
            let mut transaction = Transaction::new(self, place);
            transaction.change(Action::Created, None, &case, Some(&remake.reason))?;
            transaction.change(Action::Remade, Some(&original), &remade, Some(&remake.reason))?;
            transaction.record(vec![new_id, id])?;
            if let Some(once) = once {
                transaction.answer(once, &case, now)?;
            }
            if transaction.commit(&mut retry).await? {
                return Ok(Done { case, replayed: false });
            }
            lost_race(&mut retry).await?;
        }
    }
}
