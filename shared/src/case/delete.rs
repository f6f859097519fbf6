//! Deleting a case and bringing it back: it moves between two keys, and its history goes on.

use aws_sdk_dynamodb::types::{Delete, TransactWriteItem};

use super::{
    Case, CaseId, Cases, Done,
    item::{self, Kept},
    repository::{ATTEMPTS, lost_every_race, put, unbuilt},
};
use crate::{
    error::Error,
    event::Action,
    http::Tags,
    idempotency::IdempotencyKey,
    keys,
    table::{Refused, key, number},
    time::Timestamp,
};

impl Cases<'_> {
    /// Deletes a case, if it has one of the versions in `only`: it leaves every list, and stays in the table as a
    /// deleted case until its retention ends.
    ///
    /// # Errors
    /// Case not found; precondition failed; conflict when other writers win every time.
    pub async fn delete(&self, id: CaseId, only: Option<&Tags>) -> Result<(), Error> {
        for _ in 0..ATTEMPTS {
            let Kept { case, last_event_hash } = self.get_if(id, only).await?;
            let now = Timestamp::now();
            let deleted = Case {
                version: case.version + 1,
                updated_at: now,
                deleted_at: Some(now),
                deleted_by: Some(self.lab.user_id().to_string()),
                ..case.clone()
            };
            let event = self.event(Action::Deleted, &deleted, Vec::new(), None, last_event_hash)?;
            let end = now.epoch_seconds_after_days(self.services.retention_days);
            let item = item::deleted(&deleted, &event.hash, end)?;
            let actions = vec![
                self.take_away(&keys::case(id), case.version)?,
                put(self.put(item).condition_expression("attribute_not_exists(sk)"))?,
                self.put_event(&event)?,
                self.count(id, &[(case.status, -1)])?,
            ];
            match self.table().transact(actions).await {
                Ok(()) => return Ok(()),
                Err(Refused::Failed(error)) => return Err(error),
                Err(Refused::Condition) => {}
            }
        }
        Err(lost_every_race())
    }

    /// Brings a deleted case back as it was; a case that is not deleted stays as it is.
    ///
    /// # Errors
    /// Case not found; idempotency key reused; conflict when other writers win every time.
    pub async fn restore(&self, id: CaseId, once: Option<&IdempotencyKey>) -> Result<Done, Error> {
        for _ in 0..ATTEMPTS {
            if let Some(case) = self.answered(once).await? {
                return Ok(Done { case, replayed: true });
            }
            let Some(Kept { case, last_event_hash }) = self.get_deleted(id).await? else {
                return self.get(id).await.map(|case| Done { case, replayed: false });
            };
            let now = Timestamp::now();
            let version = case.version + 1;
            let restored =
                Case { version, updated_at: now, deleted_at: None, deleted_by: None, ..case.clone() };
            let event = self.event(Action::Restored, &restored, Vec::new(), None, last_event_hash)?;
            let item = item::live(&restored, &event.hash)?;
            let mut actions = vec![
                self.take_away(&keys::deleted(id), case.version)?,
                put(self.put(item).condition_expression("attribute_not_exists(sk)"))?,
                self.put_event(&event)?,
                self.count(id, &[(case.status, 1)])?,
            ];
            if let Some(once) = once {
                actions.push(self.put_answer(once, &restored, now)?);
            }
            match self.table().transact(actions).await {
                Ok(()) => return Ok(Done { case: restored, replayed: false }),
                Err(Refused::Failed(error)) => return Err(error),
                Err(Refused::Condition) => {}
            }
        }
        Err(lost_every_race())
    }

    /// Deletes the item of a case, if it still has this version.
    fn take_away(&self, sk: &str, version: u32) -> Result<TransactWriteItem, Error> {
        let delete = Delete::builder()
            .table_name(self.table().name())
            .set_key(Some(key(self.lab.lab_id(), sk)))
            .condition_expression("version = :version")
            .expression_attribute_values(":version", number(version))
            .build()
            .map_err(unbuilt)?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }
}
