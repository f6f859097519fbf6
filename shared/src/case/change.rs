//! What a client asks to be done to a case: create it, change its fields, move it to another status.

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::{Case, CaseFields, RemakeReason};
use crate::{
    error::{Error, Fault},
    http::FromObject,
    privacy::Private,
    validate::{Choice, Fields, choice, date, text},
    workflow::Status,
};

/// Fields that the service sets; a client may send them back as it read them.
const READ_ONLY: &[&str] = &[
    "id",
    "lab_id",
    "case_number",
    "earliest_due_date",
    "remake_of",
    "remake_reason_code",
    "remakes",
    "warnings",
    "version",
    "created_by",
    "created_at",
    "updated_at",
    "status_changed_at",
    "completed_at",
    "shipped_at",
    "delivered_at",
    "deleted_at",
    "deleted_by",
    "allowed_transitions",
];

/// A new case.
pub struct CaseCreate {
    /// The status it starts in.
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
        for name in READ_ONLY.iter().filter(|name| object.contains_key(**name)) {
            fields.fault(name, "is set by the service");
        }
        fields.skip(READ_ONLY);
        Some(Self { status, fields: case })
    }
}

fn initial_status(value: &Value) -> Result<Status, String> {
    let names = || Status::INITIAL.iter().map(|status| status.as_str()).collect::<Vec<_>>().join(" or ");
    choice(value)
        .ok()
        .filter(|status| Status::INITIAL.contains(status))
        .ok_or_else(|| format!("of a new case must be {}", names()))
}

/// A change of a case's fields: the given ones are set, `null` clears.
///
/// What it means depends on the case that it is applied to, so the object is kept and checked against each state that
/// a retry finds.
pub struct CaseUpdate {
    object: Map<String, Value>,
}

/// A case as it would be after a change, and why it is changed.
pub(super) struct Changed {
    pub case: Case,
    pub reason: Option<Private<String>>,
}

impl FromObject for CaseUpdate {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let object = fields.object().clone();
        // Everything is judged by `apply_to`, which knows the case.
        fields.skip_all();
        Some(Self { object })
    }
}

impl CaseUpdate {
    /// The case as it would be after the change.
    ///
    /// # Errors
    /// Validation, with every fault, read-only fields that differ from the case among them; illegal transition.
    pub(super) fn apply_to(&self, case: &Case) -> Result<Changed, Error> {
        let mut fields = Fields::new(&self.object);
        let mut changed = case.clone();
        if let Some(status) = fields.optional_but_not_null("status", choice) {
            changed.status = status;
        }
        let reason = fields.optional("reason", text(1..=500)).value();
        changed.fields.apply(&mut fields);
        fields.skip(READ_ONLY);
        fields.extend(self.read_only_faults(case)?);
        fields.finish()?;
        case.status.check_move_to(changed.status, reason.is_some())?;
        Ok(Changed { case: changed, reason })
    }

    fn read_only_faults(&self, case: &Case) -> Result<Vec<Fault>, Error> {
        let current =
            serde_json::to_value(case.view()).map_err(|_| Error::internal("a case does not serialize"))?;
        let differs = |name: &&&str| self.object.get(**name).is_some_and(|value| *value != current[**name]);
        let fault =
            |name: &&str| Fault::new(format!("/{name}"), "is read-only and differs from the case's value");
        Ok(READ_ONLY.iter().filter(differs).map(fault).collect())
    }
}

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
        let reason_code = fields.required("reason_code", choice);
        let reason = fields.required("reason", text(1..=500));
        let due_date = fields.optional("due_date", date).value();
        Some(Self { reason_code: reason_code?, reason: reason?, due_date })
    }
}

/// A move to another status.
pub struct StatusChange {
    /// The status to move to.
    pub status: Status,
    /// Why, for the history.
    pub reason: Option<Private<String>>,
}

impl FromObject for StatusChange {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let status = fields.required("status", choice);
        let reason = fields.optional("reason", text(1..=500)).value();
        Some(Self { status: status?, reason })
    }
}
