//! Chooses what a list reads: the source in which the fewest entries stand for a page. docs/adr/0030-indexes-of-cases.md has
//! the reasons.

use super::{
    Sort,
    due_info::DueList,
    filter::{CaseFilter, Condition},
};
use crate::{
    base::{CaseId, private::Private, wire_enum::WireEnum},
    table::Index,
};

/// The most entries of a doctor, an assignee or some statuses that are sorted in memory: about a megabyte, one call.
const MAX_SORTED: u32 = 4000;
/// The most cases that are read to be sorted, if their entries do not have the order.
const MAX_READ: u32 = 200;

/// The conditions that the index by due date answers.
const OF_DUE_LISTS: [Condition; 5] =
    [Condition::Status, Condition::Assignee, Condition::Priority, Condition::RushOrder, Condition::Due];

/// What a list reads of one lab.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Plan<'f> {
    /// The case with this id.
    Case(CaseId),
    /// These indexes, which have the order of the list, from the start or the cursor up to the end of the page.
    Walk(Vec<Index<'f>>),
    /// All matching entries of these indexes, to be sorted: open cases only, so an old lab has no more of them.
    Sort(Vec<Index<'f>>),
    /// The same, if each index has at most `most` entries; otherwise another plan.
    SortUpTo { most: u32, of: Vec<Index<'f>>, otherwise: Box<Plan<'f>> },
}

impl<'f> Plan<'f> {
    /// The plan for a filter. `offset` is the number of cases to skip.
    pub(super) fn of(filter: &'f CaseFilter, offset: usize) -> Self {
        if let Some(number) = &filter.case_number {
            return Plan::Case(number.id);
        }
        if filter.deleted {
            return Plan::Walk(vec![Index::Table]);
        }
        match filter.sort {
            Sort::CreatedAt => by_creation(filter, offset),
            Sort::DueDate => by_due_date(filter),
            Sort::UpdatedAt => by_update(filter),
            Sort::Priority => by_priority(filter),
        }
    }
}

/// Every index by id has this order. The table has complete cases, so it needs no second read, but skips at a high price.
fn by_creation(filter: &CaseFilter, offset: usize) -> Plan<'_> {
    let is_one_status = filter.statuses.as_ref().is_some_and(|statuses| statuses.len() == 1);
    let is_of_due_list = filter.is_of_open_cases() && filter.has_only(&OF_DUE_LISTS);
    if let Some(few) = patient(filter).or_else(|| waiting(filter)) {
        Plan::Walk(vec![few])
    } else if is_of_due_list
        && (filter.due.is_some() || !is_one_status && !filter.has_only(&[Condition::Status]))
    {
        Plan::Sort(due_lists(filter))
    } else if filter.is_of_open_cases() && (is_one_status || filter.doctors.is_none()) {
        Plan::Walk(statuses(filter))
    } else if let Some(indexes) = doctors(filter).or_else(|| assignee(filter)) {
        Plan::Walk(indexes)
    } else if filter.statuses.is_some() {
        Plan::Walk(statuses(filter))
    } else if offset == 0 && filter.has_only(&[]) {
        Plan::Walk(vec![Index::Table])
    } else if filter.due.is_some() && filter.has_only(&OF_DUE_LISTS) {
        // In a range of due dates there are far fewer cases than in a lab, also if most of them are closed.
        sort_up_to(MAX_SORTED, due_lists(filter), Plan::Walk(vec![Index::ById]))
    } else {
        Plan::Walk(vec![Index::ById])
    }
}

/// Only `by_due` has this order. The entries of the other indexes have the due date, except those of patients.
fn by_due_date(filter: &CaseFilter) -> Plan<'_> {
    let walk = Plan::Walk(due_lists(filter));
    let is_open = filter.is_of_open_cases();
    if filter.has_only(&OF_DUE_LISTS) && (is_open || filter.assignee.is_none()) {
        walk
    } else if let Some(few) = patient(filter).or_else(|| waiting(filter)) {
        sort_up_to(MAX_READ, vec![few], walk)
    } else if let Some(doctors) = doctors(filter) {
        sort_up_to(MAX_SORTED, doctors, walk)
    } else if is_open {
        sort_up_to(MAX_SORTED, statuses(filter), walk)
    } else if let Some(assignee) = assignee(filter) {
        sort_up_to(MAX_SORTED, assignee, walk)
    } else {
        walk
    }
}

/// Only `by_update` has the times of the last changes. It has all attributes, so reading a few cases to sort them pays only
/// if they are really few.
fn by_update(filter: &CaseFilter) -> Plan<'_> {
    let walk = Plan::Walk(vec![Index::ByUpdate]);
    let few = patient(filter).or_else(|| waiting(filter)).map(|few| vec![few]);
    match few.or_else(|| doctors(filter)).or_else(|| assignee(filter)) {
        Some(indexes) => sort_up_to(MAX_READ, indexes, walk),
        None => walk,
    }
}

/// No index has this order, but it has open cases only.
fn by_priority(filter: &CaseFilter) -> Plan<'_> {
    if filter.has_only(&OF_DUE_LISTS) {
        return Plan::Sort(due_lists(filter));
    }
    let sort = Plan::Sort(statuses(filter));
    if let Some(few) = patient(filter).or_else(|| waiting(filter)) {
        sort_up_to(MAX_READ, vec![few], sort)
    } else if let Some(doctors) = doctors(filter) {
        sort_up_to(MAX_SORTED, doctors, sort)
    } else {
        sort
    }
}

fn sort_up_to<'f>(most: u32, of: Vec<Index<'f>>, otherwise: Plan<'f>) -> Plan<'f> {
    Plan::SortUpTo { most, of, otherwise: Box::new(otherwise) }
}

fn patient(filter: &CaseFilter) -> Option<Index<'_>> {
    filter.patient_id.as_ref().map(Private::expose).map(|id| Index::ByPatient(id))
}

/// The index of the cases that wait for an answer, which are few. Nearly all cases do not, so that condition names no index.
fn waiting(filter: &CaseFilter) -> Option<Index<'_>> {
    (filter.waiting_for_answer == Some(true)).then_some(Index::ByWaiting)
}

fn doctors(filter: &CaseFilter) -> Option<Vec<Index<'_>>> {
    filter.doctors.as_ref().map(|doctors| doctors.iter().map(|id| Index::ByDoctor(id)).collect())
}

fn assignee(filter: &CaseFilter) -> Option<Vec<Index<'_>>> {
    filter.assignee.as_ref().map(|user| vec![Index::ByAssignee(user)])
}

fn statuses(filter: &CaseFilter) -> Vec<Index<'_>> {
    filter.statuses.iter().flatten().map(|status| Index::ByStatus(status.as_str())).collect()
}

/// The lists of the index by due date that have cases with the filter's statuses.
fn due_lists(filter: &CaseFilter) -> Vec<Index<'_>> {
    let selects = |list: &DueList| match &filter.statuses {
        Some(statuses) => statuses.iter().any(|status| DueList::of(*status) == *list),
        None => true,
    };
    DueList::ALL.iter().filter(|list| selects(list)).map(|list| Index::ByDue(list.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use lambda_http::{RequestExt, http};

    use super::*;
    use crate::{base::Subject, http::Query};

    fn plan(query: &str) -> String {
        let mut parameters = HashMap::<String, Vec<String>>::new();
        for (name, value) in query.split('&').filter_map(|parameter| parameter.split_once('=')) {
            parameters.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        let request = http::Request::new(().into()).with_query_string_parameters(parameters);
        let mut query = Query::of(&request);
        let filter =
            CaseFilter::read(&mut query, &serde_json::from_value::<Subject>(serde_json::json!(1)).unwrap());
        assert!(query.finish().is_ok());
        format!("{:?}", Plan::of(&filter, 0)).replace('"', "")
    }

    #[test]
    fn a_list_reads_the_source_with_the_fewest_entries() {
        for (query, expected) in [
            ("", "Walk([Table])"),
            ("deleted=true&patient_id=p", "Walk([Table])"),
            ("priority=high", "Walk([ById])"),
            ("case_number=RIVERSIDE-202611-42&status=pending", "Case(CaseId(42))"),
            ("status=pending", "Walk([ByStatus(pending)])"),
            ("status=pending,delivered", "Walk([ByStatus(pending), ByStatus(delivered)])"),
            ("status=pending&doctor_id=d&assigned_to=7", "Walk([ByStatus(pending)])"),
            ("status=delivered&doctor_id=d&assigned_to=7", "Walk([ByDoctor(d)])"),
            ("status=pending,on_hold&doctor_id=d,e", "Walk([ByDoctor(d), ByDoctor(e)])"),
            ("status=pending,on_hold&assigned_to=7", "Sort([ByDue(open)])"),
            ("status=pending,on_hold&product_id=p", "Walk([ByStatus(pending), ByStatus(on_hold)])"),
            ("assigned_to=me", "Walk([ByAssignee(1)])"),
            ("unassigned=true", "Walk([ByAssignee()])"),
            ("patient_id=p&status=pending&doctor_id=d", "Walk([ByPatient(p)])"),
            ("overdue=true", "Sort([ByDue(open)])"),
            ("due_to=2030-01-01&product_id=x", "Walk([ById])"),
            ("waiting_for_answer=true", "Walk([ByWaiting])"),
            ("waiting_for_answer=true&status=pending&doctor_id=d", "Walk([ByWaiting])"),
            ("waiting_for_answer=true&patient_id=p", "Walk([ByPatient(p)])"),
            ("waiting_for_answer=false", "Walk([ById])"),
            ("waiting_for_answer=true&deleted=true", "Walk([Table])"),
        ] {
            assert_eq!(plan(query), expected, "{query}");
        }
    }

    #[test]
    fn a_list_in_another_order_sorts_few_entries_or_walks_through_the_index_with_the_order() {
        let few = |most, of: &str, otherwise: &str| {
            format!("SortUpTo {{ most: {most}, of: [{of}], otherwise: {otherwise} }}")
        };
        let all_due = "Walk([ByDue(open), ByDue(closed)])";
        for (query, expected) in [
            ("due_to=2030-01-01", few(MAX_SORTED, "ByDue(open), ByDue(closed)", "Walk([ById])")),
            ("sort=due_date", all_due.to_owned()),
            ("sort=due_date&priority=low&due_from=2030-01-01", all_due.to_owned()),
            ("sort=due_date&overdue=true&assigned_to=7", "Walk([ByDue(open)])".to_owned()),
            ("sort=due_date&status=delivered", "Walk([ByDue(closed)])".to_owned()),
            ("sort=due_date&assigned_to=7", few(MAX_SORTED, "ByAssignee(7)", all_due)),
            ("sort=due_date&doctor_id=d", few(MAX_SORTED, "ByDoctor(d)", all_due)),
            ("sort=due_date&patient_id=p&doctor_id=d", few(MAX_READ, "ByPatient(p)", all_due)),
            (
                "sort=due_date&status=pending&product_id=x",
                few(MAX_SORTED, "ByStatus(pending)", "Walk([ByDue(open)])"),
            ),
            ("sort=updated_at&status=pending", "Walk([ByUpdate])".to_owned()),
            ("sort=updated_at&doctor_id=d", few(MAX_READ, "ByDoctor(d)", "Walk([ByUpdate])")),
            ("sort=priority", "Sort([ByDue(open)])".to_owned()),
            ("sort=due_date&waiting_for_answer=true", few(MAX_READ, "ByWaiting", all_due)),
            ("sort=updated_at&waiting_for_answer=true", few(MAX_READ, "ByWaiting", "Walk([ByUpdate])")),
            ("sort=priority&status=on_hold&product_id=x", "Sort([ByStatus(on_hold)])".to_owned()),
            (
                "sort=priority&status=on_hold&patient_id=p",
                few(MAX_READ, "ByPatient(p)", "Sort([ByStatus(on_hold)])"),
            ),
        ] {
            assert_eq!(plan(query), expected, "{query}");
        }
    }
}
