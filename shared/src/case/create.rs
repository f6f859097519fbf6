//! Creates a case. A repeated request with the same idempotency key creates no second case.

use serde_json::Value;
use tokio::sync::OnceCell;

use super::{
    Case, CaseFields, Cases, WriteOutcome, change_set::ChangeSet, event::Action, fields, newer::Newer,
    references::References, thread::Thread, workflow::Status, write::Shards,
};
use crate::{
    base::{
        CaseId,
        error::Error,
        field_error::{FieldCode, Invalid},
        time::Timestamp,
        validate::{Checked, Fields, FromObject, not_one_of, one_of},
        wire_enum::WireEnum,
    },
    http::IdempotencyKey,
    table::Attempt,
};

/// A new case.
pub struct CaseCreate {
    /// Its first status.
    pub status: Status,
    /// Its fields.
    pub fields: CaseFields,
}

impl FromObject for CaseCreate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let status = fields.optional("status", initial_status).value().unwrap_or(Status::INITIAL[0]);
        let mut case = CaseFields::default();
        case.apply(fields);
        let object = fields.object();
        for name in fields::read_only().filter(|name| object.contains_key(*name)) {
            fields.reject(
                name,
                Invalid::new(FieldCode::ReadOnly, "must be left out, because the service sets it"),
            );
        }
        fields.skip(fields::read_only());
        Some(Self { status, fields: case })
    }
}

fn initial_status(value: &Value) -> Checked<Status> {
    let allowed: Vec<&str> = Status::INITIAL.iter().map(|status| status.as_str()).collect();
    let status = one_of(value).ok().filter(|status| Status::INITIAL.contains(status));
    status.ok_or_else(|| not_one_of(&allowed))
}

impl Cases<'_> {
    /// Creates a case with the lab's next id. A repeated request with the same idempotency key gets the stored response.
    ///
    /// # Errors
    /// Validation, when LinksHub does not accept the doctor or product; idempotency key reused; conflict; unavailable, when
    /// a dependency fails.
    pub async fn create(
        &self,
        new: CaseCreate,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<WriteOutcome, Error> {
        // The call to LinksHub comes before the read of the log's position, so that the position is still fresh at the
        // write. A stored response is returned even if LinksHub fails.
        let references = References::new_in(None, &new.fields);
        let stored = self.stored_response(idempotency_key, &references);
        let (stored, checked) = tokio::join!(stored, self.check(&references));
        if let Some(case) = stored? {
            return self.replay(case).await;
        }
        checked?;
        let id = OnceCell::new();
        self.write(|| async {
            // Both calls run at the same time. If there is a stored response, the id stays unused.
            let next_id = id.get_or_try_init(|| self.table().next_case_id(self.lab.lab_id()));
            let keys = self.response_keys(idempotency_key);
            let (snapshot, id) = tokio::join!(self.read_for_write(keys, Shards::Any), next_id);
            let mut snapshot = snapshot?;
            if let Some(case) = snapshot.response(self, idempotency_key)? {
                return self.replay(case).await.map(Attempt::Done);
            }
            let now = Timestamp::now();
            let case = self.new_case(*id?, new.status, new.fields.clone(), now);
            let mut changes = ChangeSet::by(self.author(), snapshot.position);
            changes.add(Action::Created, None, &case, None)?;
            changes.record(self.lab.recorder(), vec![case.id])?;
            changes.store_response(self, idempotency_key, &case, now)?;
            changes.commit(WriteOutcome::first(case))
        })
        .await
    }

    /// Makes a case in its first version.
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
            comment_count: 0,
            waiting_for_answer: false,
            created_by: self.lab.user_id().to_string(),
            created_at: now,
            updated_at: now,
            status_changed_at: now,
            completed_at: None,
            shipped_at: None,
            delivered_at: None,
            deleted_at: None,
            deleted_by: None,
            thread: Thread::default(),
            newer: Newer::default(),
        };
        case.update_earliest_due_date(&self.services.calendar);
        case.fields.due_date.get_or_insert(case.earliest_due_date);
        case
    }
}

/// Makes a case number such as `RIVERSIDE-202611-42`.
pub(super) fn case_number(lab_code: &str, created: Timestamp, id: CaseId) -> String {
    let date = created.date();
    format!("{lab_code}-{:04}{:02}-{id}", date.year(), date.month())
}
