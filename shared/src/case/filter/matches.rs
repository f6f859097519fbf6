//! Applies a filter to a case.

use jiff::civil::Date;

use super::{CaseFilter, Condition};
use crate::{
    base::private::Private,
    case::{Case, due_info::NOBODY},
};

impl CaseFilter {
    /// Whether the filter selects the case. It is the meaning of the filter: an index may only leave out cases that it does
    /// not select.
    pub(in crate::case) fn matches(&self, case: &Case) -> bool {
        let has_number = |number: &super::CaseNumber| case.case_number.to_uppercase() == number.text;
        case.is_live() != self.deleted
            && self.case_number.as_ref().is_none_or(has_number)
            && self.conditions().all(|condition| self.has(case, condition))
    }

    fn has(&self, case: &Case, condition: Condition) -> bool {
        let fields = &case.fields;
        let is_in = |date: Date, span: Option<(Date, Date)>| {
            span.is_some_and(|(from, to)| (from..=to).contains(&date))
        };
        match condition {
            Condition::Patient => {
                let patient = fields.patient_info.as_ref().map(Private::expose);
                patient.and_then(|patient| patient.patient_id.as_ref())
                    == self.patient_id.as_ref().map(Private::expose)
            }
            Condition::Status => self.statuses.iter().flatten().any(|status| *status == case.status),
            Condition::Doctor => {
                let doctor = fields.doctor_id.as_ref();
                doctor.is_some_and(|doctor| self.doctors.iter().flatten().any(|wanted| wanted == doctor))
            }
            Condition::Assignee => {
                fields.assigned_to.as_deref().unwrap_or(NOBODY) == self.assignee.as_deref().unwrap_or(NOBODY)
            }
            Condition::Product => fields.product_id == self.product_id,
            Condition::CaseType => fields.case_type == self.case_type,
            Condition::Procedure => fields.procedure_type == self.procedure,
            Condition::Priority => {
                self.priorities.iter().flatten().any(|priority| *priority == fields.priority)
            }
            Condition::RushOrder => Some(fields.rush_order) == self.rush_order,
            Condition::Waiting => Some(case.waiting_for_answer) == self.waiting_for_answer,
            Condition::Due => fields.due_date.is_some_and(|date| is_in(date, self.due)),
            Condition::Created => is_in(case.created_at.date(), self.created),
            Condition::Words => self.words.as_ref().is_some_and(|words| words.find(case)),
        }
    }
}
