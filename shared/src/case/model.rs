//! The case: the fields that clients set, the stored case, and its view in responses.

use std::fmt;

use jiff::civil::Date;
use serde::Serialize;

use super::{
    catalog::{CaseType, CatalogEntry, ProcedureType},
    details::{Denture, FixedProsthetic, Implant, NightGuard, PatientInfo},
    newer::Newer,
    thread::Thread,
    workflow::Status,
};
use crate::{
    base::{
        CaseId, LabId,
        calendar::Calendar,
        field_error::{FieldCode, FieldError, Invalid},
        private::Private,
        time::Timestamp,
    },
    http::Resource,
    wire_enum,
};

wire_enum! {
    /// How urgent a case is.
    Priority { Low = "low", Medium = "medium", High = "high" }
}

#[allow(clippy::derivable_impls, reason = "the default belongs to the contract, not to the list of values")]
impl Default for Priority {
    fn default() -> Self {
        Priority::Medium
    }
}

wire_enum! {
    /// Why a case is made again.
    RemakeReason {
        Fit = "fit", Shade = "shade", Fracture = "fracture", Margin = "margin", Contact = "contact",
        DoctorChange = "doctor_change", Other = "other",
    }
}

/// The fields of a case that clients set. Unset fields are `null` in JSON and missing in the table. This type and the
/// details have no `Debug`, because several fields together may identify a patient.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CaseFields {
    /// The patient's name.
    pub patient_name: Option<Private<String>>,
    /// The procedure.
    pub procedure_type: Option<ProcedureType>,
    /// The kind of case. The rules between the fields always set it.
    pub case_type: Option<CaseType>,
    /// The lab's own title.
    pub case_name: Option<Private<String>>,
    /// The dentist's order, in words.
    pub description: Option<Private<String>>,
    /// Notes.
    pub notes: Option<Private<String>>,
    /// Instructions for the work.
    pub special_instructions: Option<Private<String>>,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether it is a rush order, with half the lead time.
    pub rush_order: bool,
    /// The due date.
    pub due_date: Option<Date>,
    /// The ordering dentist's id in LinksHub.
    pub doctor_id: Option<String>,
    /// The product's id in LinksHub.
    pub product_id: Option<String>,
    /// The user who works on it.
    pub assigned_to: Option<String>,
    /// The patient.
    pub patient_info: Option<Private<PatientInfo>>,
    /// A crown, bridge, inlay, onlay or veneer.
    pub fixed_prosthetic: Option<FixedProsthetic>,
    /// A denture.
    pub denture: Option<Denture>,
    /// A night guard.
    pub night_guard: Option<NightGuard>,
    /// An implant.
    pub implant: Option<Implant>,
}

impl CaseFields {
    /// The lead time, in business days. Without a procedure it is the lead time of `Other`.
    pub(super) fn lead_days(&self) -> u32 {
        let procedure = self.procedure_type.unwrap_or(ProcedureType::Other).entry();
        if self.rush_order { procedure.rush_lead_days() } else { procedure.lead_days }
    }
}

/// A case as it is stored. `Debug` shows only its identity, no content.
#[derive(Clone, PartialEq)]
pub struct Case {
    /// Its number within the lab.
    pub id: CaseId,
    /// The lab that it belongs to.
    pub lab_id: LabId,
    /// Its version, from 1. Each change adds 1.
    pub version: u32,
    /// Its status.
    pub status: Status,
    /// Its name for people: lab code, year and month, id.
    pub case_number: String,
    /// The fields that clients set.
    pub fields: CaseFields,
    /// The first day that the lead time allows.
    pub earliest_due_date: Date,
    /// The case that this case remakes.
    pub remake_of: Option<CaseId>,
    /// The reason of this remake.
    pub remake_reason_code: Option<RemakeReason>,
    /// The remakes of this case, oldest first.
    pub remakes: Vec<CaseId>,
    /// The number of its comments, without removed ones. Cases of earlier releases have none.
    pub comment_count: u32,
    /// Whether a comment asks something that nobody has answered.
    pub waiting_for_answer: bool,
    /// The user who created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it got its current status.
    pub status_changed_at: Timestamp,
    /// When it was last completed.
    pub completed_at: Option<Timestamp>,
    /// When it was last shipped.
    pub shipped_at: Option<Timestamp>,
    /// When it was delivered.
    pub delivered_at: Option<Timestamp>,
    /// When it was deleted.
    pub deleted_at: Option<Timestamp>,
    /// The user who deleted it.
    pub deleted_by: Option<String>,
    /// What it knows of its comments.
    pub(super) thread: Thread,
    /// What a newer release has written and this one does not understand.
    pub(super) newer: Newer,
}

impl Case {
    /// The case for a response, with its computed fields.
    pub fn view(&self) -> CaseView<'_> {
        // Nobody here knows what follows a status of a newer release.
        let allowed_transitions = if self.newer.has("status") { &[] } else { self.status.next() };
        CaseView { case: self, computed: Computed { allowed_transitions, warnings: self.warnings() } }
    }

    /// Whether it is not deleted.
    pub(super) fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// The time of its next change: now, but never before its last change, even if the clocks of two machines differ.
    pub(super) fn next_moment(&self) -> Timestamp {
        Timestamp::now().max(self.updated_at)
    }

    /// The next version of the case, at the time of its next change.
    pub(super) fn next_version(&self) -> Self {
        Self { version: self.version + 1, updated_at: self.next_moment(), ..self.clone() }
    }

    /// Problems that do not prevent a change. The lab decides about them.
    fn warnings(&self) -> Vec<FieldError> {
        let earliest = self.earliest_due_date;
        let early = self.fields.due_date.is_some_and(|due| due < earliest);
        let warning = || {
            let detail = format!("is earlier than the lead time allows: {earliest}");
            let invalid = Invalid::new(FieldCode::BeforeEarliestDueDate, detail);
            FieldError::new("/due_date", invalid.with("earliest", earliest.to_string()))
        };
        early.then(warning).into_iter().collect()
    }

    /// Sets the earliest due date: the day of creation plus the lead time.
    pub(super) fn update_earliest_due_date(&mut self, calendar: &Calendar) {
        self.earliest_due_date = calendar.after(self.created_at.date(), self.fields.lead_days());
    }

    /// Sets the times of the current status.
    pub(super) fn stamp_status(&mut self, now: Timestamp) {
        self.status_changed_at = now;
        match self.status {
            Status::Completed => self.completed_at = Some(now),
            Status::Shipped => self.shipped_at = Some(now),
            Status::Delivered => self.delivered_at = Some(now),
            _ => {}
        }
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Case")
            .field("lab_id", &self.lab_id)
            .field("id", &self.id)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// A case with its computed fields, for responses.
pub struct CaseView<'a> {
    pub(super) case: &'a Case,
    pub(super) computed: Computed,
}

/// What a response says of a case beside its stored members.
pub(super) struct Computed {
    pub allowed_transitions: &'static [Status],
    pub warnings: Vec<FieldError>,
}

impl Resource for Case {
    fn view(&self) -> impl Serialize {
        Case::view(self)
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn path(&self) -> String {
        format!("/api/v1/cases/{}", self.id)
    }
}
