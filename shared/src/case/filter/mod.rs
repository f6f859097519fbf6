//! Filters and order of lists: reads the parameters. `conditions` turns them into conditions on the indexes, and `matches`
//! applies them to a case.

mod conditions;
mod matches;

use jiff::civil::Date;
use serde_json::Value;

use super::{CaseType, Priority, ProcedureType, due_info::NOBODY, search::SearchWords, workflow::Status};
use crate::{
    base::{
        CaseId, Subject,
        error::Error,
        field_error::{FieldCode, Invalid},
        private::Private,
        time::Timestamp,
        validate::{self, Checked, date, one_of, reference},
        wire_enum::WireEnum,
    },
    http::{Query, Source},
    table::Order,
    wire_enum,
};

/// The longest search text, in characters.
const MAX_SEARCH: usize = 100;
/// The longest case number, in characters.
const MAX_CASE_NUMBER: usize = 200;
/// The most doctors that a list can be of.
const MAX_DOCTORS: usize = 20;

wire_enum! {
    /// The field that orders a list.
    Sort { CreatedAt = "created_at", DueDate = "due_date", UpdatedAt = "updated_at", Priority = "priority" }
}

wire_enum! {
    /// The direction of the order.
    Direction { Asc = "asc", Desc = "desc" }
}

/// The last due date that a filter can have. The index has cases without a due date one day later.
const LAST_DUE: Date = Date::constant(9999, 12, 30);
/// The first day of all.
const FIRST_DAY: Date = Date::constant(1, 1, 1);

/// Parameters that do not select cases. A cursor stays valid when they change.
const NO_FILTERS: [&str; 5] = ["cursor", "limit", "per_page", "page", "format"];

/// A kind of condition that a filter can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    Patient,
    Status,
    Doctor,
    Assignee,
    Product,
    CaseType,
    Procedure,
    Priority,
    RushOrder,
    Waiting,
    Due,
    Created,
    Words,
}

/// The filter and the order of a list.
pub(super) struct CaseFilter {
    pub sort: Sort,
    /// The order of the entries' keys. Keys by priority begin with the most urgent cases, which `desc` puts first.
    pub order: Order,
    /// Selects deleted cases instead of live ones.
    pub deleted: bool,
    /// The number of the only case to select.
    pub case_number: Option<CaseNumber>,
    pub patient_id: Option<Private<String>>,
    /// The statuses to select; `None` selects all.
    pub statuses: Option<Vec<Status>>,
    pub doctors: Option<Vec<String>>,
    /// The assignee to select, or [`NOBODY`].
    pub assignee: Option<String>,
    product_id: Option<String>,
    case_type: Option<CaseType>,
    procedure: Option<ProcedureType>,
    priorities: Option<Vec<Priority>>,
    rush_order: Option<bool>,
    /// Whether the cases wait for an answer.
    pub waiting_for_answer: Option<bool>,
    /// The due dates to select, both ends included.
    pub due: Option<(Date, Date)>,
    /// The days of creation to select, both ends included.
    created: Option<(Date, Date)>,
    /// The words of the search.
    words: Option<SearchWords>,
    /// Where the request has its parameters, for the errors of a page.
    pub source: Source,
    /// The whole filter as text. A cursor is valid for the same filter only. It is private because it has the search text.
    pub canonical: Private<String>,
}

impl CaseFilter {
    /// Reads the filters of a list and records errors in `query`. `me` is the caller, for `assigned_to=me`.
    pub(super) fn read(query: &mut Query, me: &Subject) -> Self {
        let canonical = Private::new(query.canonical_without(&NO_FILTERS));
        let deleted = query.boolean("deleted").unwrap_or(false);
        let sort = query.checked("sort", one_of).unwrap_or(Sort::CreatedAt);
        let default = if sort == Sort::DueDate { Direction::Asc } else { Direction::Desc };
        let direction = query.checked("order", one_of).unwrap_or(default);
        let is_ascending = (direction == Direction::Asc) != (sort == Sort::Priority);
        let order = if is_ascending { Order::Ascending } else { Order::Descending };
        if deleted && sort != Sort::CreatedAt {
            let detail = "must be created_at for deleted cases";
            let other = query.source().pointer("deleted");
            query.reject("sort", Invalid::inconsistent(other, detail));
        }
        let mut statuses = query.several("status", Status::ALL.len(), one_of::<Status>);
        if sort == Sort::Priority {
            statuses = Some(open_statuses(query, statuses));
        }
        // Excludes cases without a due date: the index has them with the last possible date.
        let mut due = span(query, "due_from", "due_to").map(|(from, to)| (from, to.min(LAST_DUE)));
        if query.boolean("overdue").unwrap_or(false) {
            let yesterday = Timestamp::now().date().yesterday().unwrap_or(FIRST_DAY);
            let (from, to) = due.unwrap_or((FIRST_DAY, Date::MAX));
            due = Some((from, to.min(yesterday)));
            let selected = statuses.unwrap_or_else(|| Status::ALL.to_vec());
            statuses = Some(selected.into_iter().filter(|status| status.is_open()).collect());
        }
        Self {
            sort,
            order,
            deleted,
            case_number: query.checked("case_number", CaseNumber::from_value),
            patient_id: query.checked("patient_id", reference).map(Private::new),
            statuses,
            doctors: query.several("doctor_id", MAX_DOCTORS, reference),
            assignee: assignee(query, me),
            product_id: query.checked("product_id", reference),
            case_type: query.checked("case_type", one_of),
            procedure: query.checked("procedure_type", ProcedureType::from_value),
            priorities: query.several("priority", Priority::ALL.len(), one_of),
            rush_order: query.boolean("rush_order"),
            waiting_for_answer: query.boolean("waiting_for_answer"),
            due,
            created: span(query, "created_from", "created_to"),
            words: query.checked("q", words),
            source: query.source(),
            canonical,
        }
    }

    /// The conditions that the filter has, without the case number.
    pub(super) fn conditions(&self) -> impl Iterator<Item = Condition> {
        use Condition as C;
        [
            (C::Patient, self.patient_id.is_some()),
            (C::Status, self.statuses.is_some()),
            (C::Doctor, self.doctors.is_some()),
            (C::Assignee, self.assignee.is_some()),
            (C::Product, self.product_id.is_some()),
            (C::CaseType, self.case_type.is_some()),
            (C::Procedure, self.procedure.is_some()),
            (C::Priority, self.priorities.is_some()),
            (C::RushOrder, self.rush_order.is_some()),
            (C::Waiting, self.waiting_for_answer.is_some()),
            (C::Due, self.due.is_some()),
            (C::Created, self.created.is_some()),
            (C::Words, self.words.is_some()),
        ]
        .into_iter()
        .filter_map(|(condition, is_given)| is_given.then_some(condition))
    }

    /// Whether it has no conditions but these.
    pub(super) fn has_only(&self, conditions: &[Condition]) -> bool {
        self.case_number.is_none() && self.conditions().all(|condition| conditions.contains(&condition))
    }

    /// Whether it cannot select any case.
    pub(super) fn is_contradictory(&self) -> bool {
        let ends_before_it_begins = |span: Option<(Date, Date)>| span.is_some_and(|(from, to)| from > to);
        self.statuses.as_ref().is_some_and(Vec::is_empty)
            || ends_before_it_begins(self.due)
            || ends_before_it_begins(self.created)
    }

    /// The words to look up in the index of words. Without them, the cases are found by another condition, which selects fewer.
    pub(super) fn words_to_look_up(&self) -> Option<&SearchWords> {
        self.words.as_ref().filter(|_| self.case_number.is_none() && self.patient_id.is_none())
    }

    /// Whether the cases that a search finds by id are the list, without a further condition.
    pub(super) fn has_order_of_candidates(&self) -> bool {
        self.sort == Sort::CreatedAt && !self.deleted && self.has_only(&[Condition::Words])
    }

    /// The error of a search whose words begin too many words of the lab.
    pub(super) fn too_broad(&self) -> Error {
        let detail = "finds too much: give more letters of a word, or another word";
        self.source.error("q", Invalid::new(FieldCode::SearchTooBroad, detail))
    }

    /// Whether it selects open cases only.
    pub(super) fn is_of_open_cases(&self) -> bool {
        self.statuses.as_ref().is_some_and(|statuses| statuses.iter().all(|status| status.is_open()))
    }
}

/// The statuses of a list by priority, which has open cases only.
fn open_statuses(query: &mut Query, selected: Option<Vec<Status>>) -> Vec<Status> {
    if selected.iter().flatten().any(|status| !status.is_open()) {
        let detail = "must not be priority with the status shipped, delivered or cancelled";
        let other = query.source().pointer("status");
        query.reject("sort", Invalid::inconsistent(other, detail));
    }
    let open = || Status::ALL.iter().copied().filter(|status| status.is_open()).collect();
    selected.unwrap_or_else(open)
}

fn assignee(query: &mut Query, me: &Subject) -> Option<String> {
    let user = query.checked("assigned_to", reference);
    let is_unassigned = query.boolean("unassigned").unwrap_or(false);
    if is_unassigned && user.is_some() {
        let other = query.source().pointer("assigned_to");
        query.reject("unassigned", Invalid::inconsistent(other, "must not be true with assigned_to"));
    }
    if is_unassigned {
        return Some(NOBODY.to_owned());
    }
    user.map(|user| if user == "me" { me.to_string() } else { user })
}

/// Reads a span of days, both included. One end may be missing.
fn span(query: &mut Query, from: &str, to: &str) -> Option<(Date, Date)> {
    let (first, last) = (query.checked(from, date), query.checked(to, date));
    (first.is_some() || last.is_some()).then(|| (first.unwrap_or(FIRST_DAY), last.unwrap_or(Date::MAX)))
}

/// A whole case number, such as `RIVERSIDE-202611-42`.
pub(super) struct CaseNumber {
    /// The id at its end.
    pub id: CaseId,
    /// In capital letters, because people type it in any case.
    text: String,
}

impl CaseNumber {
    fn from_value(value: &Value) -> Checked<Self> {
        let text = validate::any_text(1..=MAX_CASE_NUMBER)(value)?;
        let id = text.expose().rsplit_once('-').and_then(|(_, id)| CaseId::parse(id));
        let text = text.expose().to_uppercase();
        let detail = "must be a whole case number, such as RIVERSIDE-202611-42";
        id.map(|id| Self { id, text }).ok_or_else(|| Invalid::format("case_number", detail))
    }
}

/// The words of a search.
fn words(value: &Value) -> Checked<SearchWords> {
    let text = validate::any_text(1..=MAX_SEARCH)(value)?;
    SearchWords::of(text.expose()).ok_or_else(validate::blank)
}
