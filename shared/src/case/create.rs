//! Creating a case, once for each request even if the request comes again.

use aws_sdk_dynamodb::types::TransactWriteItem;

use super::{Case, CaseCreate, CaseFields, CaseId, Cases, item, repository::put};
use crate::{
    error::Error,
    event::{self, Action},
    idempotency::{IdempotencyKey, Record},
    keys,
    table::{Refused, key, number},
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
        let preparation = async {
            self.check_references(None, &new.fields).await?;
            self.table().next_case_id(self.lab.lab_id()).await
        };
        // Asked together, so that a key costs no time. A replay leaves an id unused.
        let (answered, id) = tokio::join!(self.answered(once), preparation);
        if let Some(case) = answered? {
            return Ok(Done { case, replayed: true });
        }
        let now = Timestamp::now();
        let case = self.new_case(id?, new.status, new.fields, now);
        let mut actions = self.creation(&case, None)?;
        if let Some(once) = once {
            actions.push(self.put_answer(once, &case, now)?);
        }
        match self.table().transact(actions).await {
            Ok(()) => Ok(Done { case, replayed: false }),
            Err(Refused::Failed(error)) => Err(error),
            // The same request at the same time was faster; nothing of this one was written.
            Err(Refused::Condition) => match self.answered(once).await? {
                Some(case) => Ok(Done { case, replayed: true }),
                None => Err(Error::internal("the counter gave out the id of an existing case")),
            },
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

    /// Writes a new case with its event and its count.
    pub(super) fn creation(
        &self,
        case: &Case,
        reason: Option<&str>,
    ) -> Result<Vec<TransactWriteItem>, Error> {
        let event = self.event(Action::Created, case, event::changes(None, Some(case))?, reason, None)?;
        Ok(vec![
            put(self.put(item::live(case, &event.hash)?).condition_expression("attribute_not_exists(sk)"))?,
            self.put_event(&event)?,
            self.count(case.id, &[(case.status, 1)])?,
        ])
    }

    /// What was answered to the request before, if it has a key and was.
    pub(super) async fn answered(&self, once: Option<&IdempotencyKey>) -> Result<Option<Case>, Error> {
        let Some(once) = once else { return Ok(None) };
        let Some(item) = self.table().get(self.lab.lab_id(), &self.answer_key(once)).await? else {
            return Ok(None);
        };
        let record: Record = item::from_item(item)?;
        if record.is_current(Timestamp::now()) { once.replay(record).map(Some) } else { Ok(None) }
    }

    pub(super) fn put_answer(
        &self,
        once: &IdempotencyKey,
        answer: &Case,
        now: Timestamp,
    ) -> Result<TransactWriteItem, Error> {
        let mut item = item::to_item(&once.record(answer, now))?;
        item.extend(key(self.lab.lab_id(), &self.answer_key(once)));
        let unless_answered = self
            .put(item)
            .condition_expression("attribute_not_exists(sk) OR expires_at <= :now")
            .expression_attribute_values(":now", number(now.epoch_seconds()));
        put(unless_answered)
    }

    /// Keys are per lab and user.
    fn answer_key(&self, once: &IdempotencyKey) -> String {
        keys::idempotency(self.lab.user_id().as_str(), once.as_str())
    }
}

/// `RIVERSIDE-202611-42`.
fn case_number(lab_code: &str, created: Timestamp, id: CaseId) -> String {
    let date = created.date();
    format!("{lab_code}-{:04}{:02}-{id}", date.year(), date.month())
}
