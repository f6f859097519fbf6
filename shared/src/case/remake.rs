//! Making a case again: a new case with the details of the first, and each knows of the other.

use super::{
    Case, CaseFields, CaseId, Cases, Done, RemakeCreate,
    item::{self, Kept},
    repository::{ATTEMPTS, lost_every_race, of_version, put},
};
use crate::{
    error::Error,
    event::{self, Action},
    idempotency::IdempotencyKey,
    table::Refused,
    time::Timestamp,
    workflow::Status,
};

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
        let mut next_id = None;
        for _ in 0..ATTEMPTS {
            let (answered, original) = tokio::join!(self.answered(once), self.get_kept(id));
            if let Some(case) = answered? {
                return Ok(Done { case, replayed: true });
            }
            let Kept { case: original, last_event_hash } = original?;
            // No id is used up for a case that is not there, and only one however often this is tried.
            let new_id = match next_id {
                Some(id) => id,
                None => *next_id.insert(self.table().next_case_id(self.lab.lab_id()).await?),
            };
            let now = Timestamp::now();
            let fields = CaseFields { due_date: remake.due_date, ..original.fields.clone() };
            let case = Case {
                remake_of: Some(id),
                remake_reason_code: Some(remake.reason_code),
                ..self.new_case(new_id, Status::INITIAL[0], fields, now)
            };
            let mut remade = Case { version: original.version + 1, updated_at: now, ..original.clone() };
            remade.remakes.push(new_id);
            let changes = event::changes(Some(&original), Some(&remade))?;
            let event =
                self.event(Action::Remade, &remade, changes, Some(&remake.reason), last_event_hash)?;
            let mut actions = self.creation(&case, Some(&remake.reason))?;
            actions.push(put(of_version(self.put(item::live(&remade, &event.hash)?), original.version))?);
            actions.push(self.put_event(&event)?);
            if let Some(once) = once {
                actions.push(self.put_answer(once, &case, now)?);
            }
            match self.table().transact(actions).await {
                Ok(()) => return Ok(Done { case, replayed: false }),
                Err(Refused::Failed(error)) => return Err(error),
                Err(Refused::Condition) => {}
            }
        }
        Err(lost_every_race())
    }
}
