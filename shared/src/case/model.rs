//! The case: what clients set, what the service keeps, and what is shown of both.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::{
    catalog::{CaseType, CatalogEntry, ProcedureType},
    details::{Denture, FixedProsthetic, Implant, NightGuard, PatientInfo},
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
    /// Why work has to be made again.
    RemakeReason {
        Fit = "fit", Shade = "shade", Fracture = "fracture", Margin = "margin", Contact = "contact",
        DoctorChange = "doctor_change", Other = "other",
    }
}

/// The fields of a case that clients set. Unset ones are `null` in JSON and missing in the table. Neither they nor the
/// details have `Debug`: together they tell of a patient, even where no single one does.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseFields {
    /// The patient's name.
    pub patient_name: Option<Private<String>>,
    /// What is made.
    pub procedure_type: Option<ProcedureType>,
    /// The kind of case; set once the rules have settled.
    pub case_type: Option<CaseType>,
    /// The lab's own title.
    pub case_name: Option<Private<String>>,
    /// What the dentist ordered, in words.
    pub description: Option<Private<String>>,
    /// Remarks.
    pub notes: Option<Private<String>>,
    /// Wishes for the work itself.
    pub special_instructions: Option<Private<String>>,
    /// How urgent it is.
    pub priority: Priority,
    /// Whether the lead time is halved.
    #[serde(default)]
    pub rush_order: bool,
    /// The day it is due.
    pub due_date: Option<Date>,
    /// The ordering dentist's id in LinksHub.
    pub doctor_id: Option<String>,
    /// The product's id in LinksHub.
    pub product_id: Option<String>,
    /// Who works on it.
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
    /// The business days that the work takes; while it is open what is made, those of other work.
    pub(super) fn lead_days(&self) -> u32 {
        let procedure = self.procedure_type.unwrap_or(ProcedureType::Other).entry();
        if self.rush_order { procedure.rush_lead_days() } else { procedure.lead_days }
    }
}

/// A case as it is kept. `Debug` shows which one it is, and nothing of what it says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// Its number within the lab.
    pub id: CaseId,
    /// The lab that it belongs to.
    pub lab_id: LabId,
    /// Counts its changes, from 1.
    pub version: u32,
    /// Where it stands.
    pub status: Status,
    /// How the lab and its dentists name it: lab code, year and month, id.
    pub case_number: String,
    /// What clients set.
    #[serde(flatten)]
    pub fields: CaseFields,
    /// The first day that the lead time allows.
    pub earliest_due_date: Date,
    /// The case that this one is made again for.
    pub remake_of: Option<CaseId>,
    /// Why it is made again.
    pub remake_reason_code: Option<RemakeReason>,
    /// The cases that make this one again, oldest first.
    #[serde(default)]
    pub remakes: Vec<CaseId>,
    /// The user who created it.
    pub created_by: String,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it came into its status.
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
}

impl Case {
    /// The case as the API shows it: with what follows from it.
    pub fn view(&self) -> CaseView<'_> {
        CaseView { case: self, allowed_transitions: self.status.next(), warnings: self.warnings() }
    }

    /// Whether it is not deleted.
    pub(super) fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// The moment of its next change: now, but never before its last, whatever the clocks of two machines say.
    pub(super) fn next_moment(&self) -> Timestamp {
        Timestamp::now().max(self.updated_at)
    }

    /// What was accepted, but should be looked at: labs decide.
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

    /// Sets the first day that the lead time allows, counted from the day of creation.
    pub(super) fn settle_lead_time(&mut self, calendar: &Calendar) {
        self.earliest_due_date = calendar.after(self.created_at.date(), self.fields.lead_days());
    }

    /// Notes when the case came into its status.
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

/// A case with what is derived from it and not kept.
#[derive(Serialize)]
pub struct CaseView<'a> {
    #[serde(flatten)]
    case: &'a Case,
    allowed_transitions: &'static [Status],
    warnings: Vec<FieldError>,
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
