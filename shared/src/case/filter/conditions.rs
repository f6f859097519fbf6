//! The conditions of a filter on the entries of an index: which its keys express, which DynamoDB compares with the entries'
//! attributes, and which only the case itself can answer.

use super::{CaseFilter, Condition};
use crate::{
    base::{CaseId, wire_enum::WireEnum},
    case::{
        due_info::{DueInfo, DueList, NOBODY},
        thread::OPEN_QUESTIONS,
        workflow::Status,
    },
    table::{Filter, Index, boolean, keys, text},
};

/// Who checks a condition when a list reads an index.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Check {
    /// The keys of the index: the query reads only entries that match.
    Key,
    /// DynamoDB: the entries have the attribute.
    Attribute,
    /// [`CaseFilter::matches`], on the case.
    Case,
}

/// Who checks a condition. It follows from the definitions of the indexes in template.yaml.
const fn check(index: Index<'_>, condition: Condition) -> Check {
    use Condition as C;
    match (index, condition) {
        (Index::ByStatus(_), C::Status)
        | (Index::ByDoctor(_), C::Doctor)
        | (Index::ByAssignee(_), C::Assignee)
        | (Index::ByPatient(_), C::Patient)
        | (Index::ByWaiting, C::Waiting)
        | (Index::ByDue(_), C::Due) => Check::Key,
        (_, C::Patient | C::Words) => Check::Case,
        (Index::Table, _) => Check::Attribute,
        (_, C::Waiting) => Check::Case,
        (Index::ByUpdate, _) => Check::Attribute,
        (Index::ByPatient(_) | Index::ByWaiting, _) => Check::Case,
        (Index::ByDue(_), C::Status | C::Assignee | C::Priority | C::RushOrder) => Check::Attribute,
        (Index::ByDue(_), _) | (Index::ById, C::Status | C::Doctor | C::Assignee) => Check::Case,
        _ => Check::Attribute,
    }
}

impl CaseFilter {
    /// Whether an index leaves conditions that only the case itself can answer.
    pub(in crate::case) fn needs_case(&self, index: Index<'_>) -> bool {
        self.conditions().any(|condition| check(index, condition) == Check::Case)
    }

    /// The first and the last sort key of the filter's cases in an index by a date.
    pub(in crate::case) fn bounds(&self, index: Index<'_>) -> (String, String) {
        match (index, self.due) {
            (Index::ByDue(_), Some((from, to))) => {
                (from.to_string(), keys::ordered(&to.to_string(), CaseId::MAX))
            }
            _ => (keys::BEFORE_ALL.to_owned(), keys::PAST_ALL.to_owned()),
        }
    }

    /// The conditions that DynamoDB compares with the entries' attributes.
    pub(in crate::case) fn attribute_conditions(&self, index: Index<'_>) -> Filter {
        let mut filter = Filter::default();
        for condition in self.conditions().filter(|condition| check(index, *condition) == Check::Attribute) {
            match index {
                Index::ByDue(list) => self.add_due_info(&mut filter, list, condition),
                _ => self.add_attribute(&mut filter, condition),
            }
        }
        filter
    }

    fn add_attribute(&self, filter: &mut Filter, condition: Condition) {
        match condition {
            Condition::Patient | Condition::Words => {}
            Condition::Status => filter.one_of("status", self.statuses.as_deref().unwrap_or_default()),
            Condition::Doctor => {
                filter.text_is_one_of("doctor_id", self.doctors.as_deref().unwrap_or_default());
            }
            Condition::Assignee => match self.assignee.as_deref() {
                Some(NOBODY) => filter.is_absent("assigned_to"),
                user => filter.equals("assigned_to", text(user.unwrap_or_default())),
            },
            Condition::Product => {
                filter.equals("product_id", text(self.product_id.as_deref().unwrap_or_default()));
            }
            Condition::CaseType => filter.one_of("case_type", self.case_type.as_slice()),
            Condition::Procedure => filter.one_of("procedure_type", self.procedure.as_slice()),
            Condition::Priority => filter.one_of("priority", self.priorities.as_deref().unwrap_or_default()),
            Condition::RushOrder => filter.equals("rush_order", boolean(self.rush_order == Some(true))),
            // Cases of earlier releases have no attribute that says that they do not wait.
            Condition::Waiting if self.waiting_for_answer == Some(true) => filter.exists(OPEN_QUESTIONS),
            Condition::Waiting => filter.is_absent(OPEN_QUESTIONS),
            Condition::Due => {
                if let Some((from, to)) = self.due {
                    filter.between("due_date", text(from.to_string()), text(to.to_string()));
                }
            }
            Condition::Created => {
                if let Some((from, to)) = self.created {
                    // `~` follows every character of a timestamp.
                    filter.between("created_at", text(from.to_string()), text(format!("{to}T~")));
                }
            }
        }
    }

    fn add_due_info(&self, filter: &mut Filter, list: &str, condition: Condition) {
        let parts: Vec<String> = match condition {
            Condition::Status => {
                let statuses = self.statuses.as_deref().unwrap_or_default();
                let is_in_list = |status: &&Status| DueList::of(**status).as_str() == list;
                if Status::ALL.iter().filter(is_in_list).all(|status| statuses.contains(status)) {
                    return;
                }
                statuses.iter().filter(is_in_list).copied().map(DueInfo::part_of_status).collect()
            }
            Condition::Priority => {
                self.priorities.iter().flatten().copied().map(DueInfo::part_of_priority).collect()
            }
            Condition::RushOrder => self.rush_order.map(DueInfo::part_of_rush).into_iter().collect(),
            Condition::Assignee => {
                self.assignee.as_deref().map(DueInfo::part_of_assignee).into_iter().collect()
            }
            _ => return,
        };
        filter.text_contains_one_of("info", parts.iter().map(String::as_str));
    }
}
