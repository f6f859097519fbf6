//! Creating a case, once for each request even if the request comes again.

use std::collections::HashMap;

use super::{Case, CaseCreate, CaseFields, CaseId, Cases, item, transaction::Transaction};
use crate::{
    error::Error,
    event::Action,
    idempotency::{IdempotencyKey, Record},
    keys,
    table::Item,
    time::Timestamp,
    workflow::Status,
};

/// What a request that may come again has done: the case as it was then.
pub struct Done {
    /// The case as it was answered first.
    pub case: Case,
    /// Whether this is the answer to an earlier request with the same key.
    pub replayed: bool,
}

impl Cases<'_> {
    /// Creates a case with the lab's next id; a request with a key that was answered before is not done again.
    ///
    /// # Errors
    /// Validation when LinksHub does not know the doctor or product; idempotency key reused; unavailable when a
    /// dependency fails.
    pub async fn create(&self, new: CaseCreate, once: Option<&IdempotencyKey>) -> Result<Done, Error> {
        let mut retry = self.lab.retry();
        let preparation = async {
            self.check_references(None, &new.fields).await?;
            self.table().next_case_id(self.lab.lab_id()).await
        };
        // Asked together, so that a key costs no time. A replay leaves an id unused.
        let (read, id) = tokio::join!(self.read_for_change(self.answer_keys(once)), preparation);
        let (mut items, mut place) = read?;
        if let Some(case) = self.answered(once, &mut items)? {
            return self.replayed(case).await;
        }
        let id = id?;
        loop {
            let now = Timestamp::now();
            let case = self.new_case(id, new.status, new.fields.clone(), now);
            let mut transaction = Transaction::new(self, place);
            transaction.change(Action::Created, None, &case, None)?;
            transaction.record(vec![id])?;
            if let Some(once) = once {
                transaction.answer(once, &case, now)?;
            }
            if transaction.commit(&mut retry).await? {
                return Ok(Done { case, replayed: false });
            }
            // The same request at the same time was faster, or another change of the shard was.
            if !retry.pause().await {
                return Err(Error::unavailable("The database", "other changes were faster every time"));
            }
            (items, place) = self.read_for_change(self.answer_keys(once)).await?;
            if let Some(case) = self.answered(once, &mut items)? {
                return self.replayed(case).await;
            }
        }
    }

    /// A case as it begins.
    pub(super) fn new_case(&self, id: CaseId, status: Status, fields: CaseFields, now: Timestamp) -> Case {
        let mut case = Case {
            id,
            lab_id: self.lab.lab_id(),
            version: 1,
            status,
            case_number: case_number(self.lab.lab_code(), now, id),
            fields,
            earliest_due_date: now.date(),
            remake_of: None,
            remake_reason_code: None,
            remakes: Vec::new(),
            created_by: self.lab.user_id().to_string(),
            created_at: now,
            updated_at: now,
            status_changed_at: now,
            completed_at: None,
            shipped_at: None,
            delivered_at: None,
            deleted_at: None,
            deleted_by: None,
        };
        case.settle_lead_time(&self.services.calendar);
        case.fields.due_date.get_or_insert(case.earliest_due_date);
        case
    }

    /// The answer to an earlier request, given once more. No event tells that.
    pub(super) async fn replayed(&self, case: Case) -> Result<Done, Error> {
        self.lab.recorder().granted(vec![case.id]).await?;
        Ok(Done { case, replayed: true })
    }

    /// What was answered to the request before, if it has a key and was.
    pub(super) fn answered(
        &self,
        once: Option<&IdempotencyKey>,
        items: &mut HashMap<String, Item>,
    ) -> Result<Option<Case>, Error> {
        let Some(once) = once else { return Ok(None) };
        Ok(self.record(once, items)?.map(|record| once.replay(record)).transpose()?.flatten())
    }

    /// Whether a request of several parts was begun before.
    pub(super) fn is_claimed(
        &self,
        once: &IdempotencyKey,
        items: &mut HashMap<String, Item>,
    ) -> Result<bool, Error> {
        let record = self.record(once, items)?;
        record.map_or(Ok(false), |record| once.replay(record).map(|_| true))
    }

    fn record(
        &self,
        once: &IdempotencyKey,
        items: &mut HashMap<String, Item>,
    ) -> Result<Option<Record>, Error> {
        let Some(item) = items.remove(&self.answer_key(once)) else { return Ok(None) };
        let record: Record = item::from_item(item)?;
        Ok(Some(record).filter(|record| record.is_current(Timestamp::now())))
    }

    /// The sort key of the answer to a request, if it has a key.
    pub(super) fn answer_keys(&self, once: Option<&IdempotencyKey>) -> Vec<String> {
        once.map(|once| self.answer_key(once)).into_iter().collect()
    }

    /// Keys are per lab and user.
    pub(super) fn answer_key(&self, once: &IdempotencyKey) -> String {
        keys::idempotency(self.lab.user_id().as_str(), once.as_str())
    }
}

/// `RIVERSIDE-202611-42`.
fn case_number(lab_code: &str, created: Timestamp, id: CaseId) -> String {
    let date = created.date();
    format!("{lab_code}-{:04}{:02}-{id}", date.year(), date.month())
}
