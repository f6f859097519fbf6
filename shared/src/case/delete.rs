//! Deleting a case and bringing it back: it moves between two keys, and its history goes on.

use super::{
    Case, CaseId, Cases, Done,
    item::{Kept, is_expired},
    repository::lost_race,
    transaction::Transaction,
};
use crate::{error::Error, event::Action, http::Tags, idempotency::IdempotencyKey, keys};

impl Cases<'_> {
    /// Deletes a case, if it has one of the versions in `only`: it leaves every list, and stays in the table as a
    /// deleted case until its retention ends.
    ///
    /// # Errors
    /// Case not found; precondition failed; conflict when other writers win every time.
    pub async fn delete(&self, id: CaseId, only: Option<&Tags>) -> Result<(), Error> {
        let mut retry = self.lab.retry();
        loop {
            let (before, place) = self.get_for_change(id, only).await?;
            let now = before.case.next_moment();
            let deleted = Case {
                version: before.case.version + 1,
                updated_at: now,
                deleted_at: Some(now),
                deleted_by: Some(self.lab.user_id().to_string()),
                ..before.case.clone()
            };
            let mut transaction = Transaction::new(self, place);
            transaction.change(Action::Deleted, Some(&before), &deleted, None)?;
            transaction.record(vec![id])?;
            if transaction.commit(&mut retry).await? {
                return Ok(());
            }
            lost_race(&mut retry).await?;
        }
    }

    /// Brings a deleted case back as it was; a case that is not deleted stays as it is.
    ///
    /// # Errors
    /// Case not found; idempotency key reused; conflict when other writers win every time.
    pub async fn restore(&self, id: CaseId, once: Option<&IdempotencyKey>) -> Result<Done, Error> {
        let mut retry = self.lab.retry();
        loop {
            let mut sks = self.answer_keys(once);
            sks.extend([keys::deleted(id), keys::case(id)]);
            let (mut items, place) = self.read_for_change(sks).await?;
            if let Some(case) = self.answered(once, &mut items)? {
                return self.replayed(case).await;
            }
            let Some(item) = items.remove(&keys::deleted(id)).filter(|item| !is_expired(item)) else {
                let live = items.remove(&keys::case(id)).ok_or_else(Error::case_not_found)?;
                match self.unchanged(Kept::from_item(live)?.case, once, true, &mut retry).await? {
                    Some(case) => return Ok(Done { case, replayed: false }),
                    None => continue,
                }
            };
            let before = Kept::from_item(item)?;
            let now = before.case.next_moment();
            let version = before.case.version + 1;
            let restored =
                Case { version, updated_at: now, deleted_at: None, deleted_by: None, ..before.case.clone() };
            let mut transaction = Transaction::new(self, place);
            transaction.change(Action::Restored, Some(&before), &restored, None)?;
            transaction.record(vec![id])?;
            if let Some(once) = once {
                transaction.answer(once, &restored, now)?;
            }
            if transaction.commit(&mut retry).await? {
                return Ok(Done { case: restored, replayed: false });
            }
            lost_race(&mut retry).await?;
        }
    }
}
