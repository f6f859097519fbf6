//! A dental case: its fields, how they are read from a request, and the repository that keeps them.

mod bulk;
mod change;
mod changes;
mod create;
mod delete;
pub mod details;
mod export;
mod filter;
mod item;
mod list;
mod read;
mod remake;
mod repository;
mod rules;
pub mod shade;
mod stats;
mod stream;
mod transaction;

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

pub use bulk::{BulkResult, BulkStatusChange};
pub use change::{CaseCreate, CaseUpdate, RemakeCreate, StatusChange};
pub use changes::ChangePage;
pub use create::Done;
pub use export::Export;
pub use filter::{Direction, Sort};
pub use list::{CaseLists, CasePage};
pub use read::EventPage;
pub use repository::Cases;
pub use stats::Board;

pub use crate::catalog::{CaseType, ProcedureType};

use crate::{
    calendar::Calendar,
    catalog::Listed,
    choices,
    error::Fault,
    lab::LabId,
    privacy::Private,
    time::Timestamp,
    validate::{Fields, boolean, choice, date, reference, text},
    workflow::Status,
};
use details::{Denture, FixedProsthetic, Implant, NightGuard, PatientInfo};

/// A case's number within its lab, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CaseId(u64);

impl CaseId {
    /// The largest id: ten digits, so that sort keys order as numbers do.
    pub const MAX: u64 = 9_999_999_999;

    /// The id, if it is in range.
    pub fn new(number: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// Reads an id as a path writes it; anything else names no case.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
        digits.then(|| text.parse().ok()).flatten().and_then(Self::new)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for CaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

choices! {
    /// How urgent a case is.
    Priority { Low = "low", Medium = "medium", High = "high" }
}

#[allow(clippy::derivable_impls, reason = "the default belongs to the contract, not to the list of values")]
impl Default for Priority {
    fn default() -> Self {
        Priority::Medium
    }
}

choices! {
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
    fn lead_days(&self) -> u32 {
        let procedure = self.procedure_type.unwrap_or(ProcedureType::Other).entry();
        if self.rush_order { procedure.rush_lead_days() } else { procedure.lead_days }
    }

    /// Sets the fields that the object names; the others keep their values, and `null` clears. Then the rules between
    /// the fields are settled.
    fn apply(&mut self, fields: &mut Fields) {
        fields.optional("patient_name", text(1..=200)).set(&mut self.patient_name);
        let procedure_type = fields.optional("procedure_type", ProcedureType::from_value);
        let case_type = fields.optional("case_type", choice);
        let said = rules::Said {
            procedure_type: matches!(procedure_type, crate::validate::Given::Value(_)),
            case_type: matches!(case_type, crate::validate::Given::Value(_)),
        };
        procedure_type.set(&mut self.procedure_type);
        case_type.set(&mut self.case_type);
        fields.optional("case_name", text(1..=200)).set(&mut self.case_name);
        fields.optional("description", text(0..=2000)).set(&mut self.description);
        fields.optional("notes", text(0..=4000)).set(&mut self.notes);
        fields.optional("special_instructions", text(0..=4000)).set(&mut self.special_instructions);
        fields.optional("priority", choice).set_or_default(&mut self.priority);
        fields.optional("rush_order", boolean).set_or_default(&mut self.rush_order);
        fields.optional("due_date", date).set(&mut self.due_date);
        fields.optional("doctor_id", reference).set(&mut self.doctor_id);
        fields.optional("product_id", reference).set(&mut self.product_id);
        fields.optional("assigned_to", reference).set(&mut self.assigned_to);
        fields.nested("patient_info").set(&mut self.patient_info);
        fields.nested("fixed_prosthetic").set(&mut self.fixed_prosthetic);
        fields.nested("denture").set(&mut self.denture);
        fields.nested("night_guard").set(&mut self.night_guard);
        fields.nested("implant").set(&mut self.implant);
        // Rules between fields say nothing useful while a field itself is at fault.
        if fields.is_sound() {
            fields.extend(rules::settle(self, said));
        }
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
    fn is_live(&self) -> bool {
        self.deleted_at.is_none()
    }

    /// The moment of its next change: now, but never before its last, whatever the clocks of two machines say.
    fn next_moment(&self) -> Timestamp {
        Timestamp::now().max(self.updated_at)
    }

    /// What was accepted, but should be looked at: labs decide.
    fn warnings(&self) -> Vec<Fault> {
        let earliest = self.earliest_due_date;
        let early = self.fields.due_date.is_some_and(|due| due < earliest);
        let warning = || Fault::new("/due_date", format!("is earlier than the lead time allows: {earliest}"));
        early.then(warning).into_iter().collect()
    }

    /// Works out the first day that the lead time allows, counted from the day of creation.
    fn settle_lead_time(&mut self, calendar: &Calendar) {
        self.earliest_due_date = calendar.after(self.created_at.date(), self.fields.lead_days());
    }

    /// Notes when the case came into its status.
    fn stamp_status(&mut self, now: Timestamp) {
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
    warnings: Vec<Fault>,
}
