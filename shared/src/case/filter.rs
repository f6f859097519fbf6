//! Filters and order of lists: reads the parameters and turns them into conditions on the indexes.

use jiff::civil::Date;

use super::{CaseType, Priority, ProcedureType, item::SEARCH, workflow::Status};
use crate::{
    base::{
        CaseId, Subject,
        field_error::Invalid,
        private::Private,
        search_text,
        time::Timestamp,
        validate::{self, Checked, date, one_of, reference},
        wire_enum::WireEnum,
    },
    http::{Query, Source},
    table::{Filter, Index, Order, boolean, keys, text},
    wire_enum,
};

/// The longest search text, in characters.
const MAX_SEARCH: usize = 100;

wire_enum! {
    /// The field that orders a list.
    Sort { CreatedAt = "created_at", DueDate = "due_date", UpdatedAt = "updated_at" }
}

wire_enum! {
    /// The direction of the order.
    Direction { Asc = "asc", Desc = "desc" }
}

/// The last due date that a filter can have. The index has cases without a due date one day later.
const LAST_DUE: Date = Date::constant(9999, 12, 30);

/// Parameters that do not select cases. A cursor stays valid when they change.
const NO_FILTERS: [&str; 5] = ["cursor", "limit", "per_page", "page", "format"];

/// The filter and the order of a list.
pub(super) struct CaseFilter {
    pub sort: Sort,
    pub order: Order,
    /// Selects deleted cases instead of live ones.
    pub deleted: bool,
    /// The statuses to select; `None` selects all.
    pub statuses: Option<Vec<Status>>,
    /// The due dates to select, both ends included.
    due: Option<(Date, Date)>,
    /// The days of creation to select, both ends included.
    created: Option<(Date, Date)>,
    /// All other conditions.
    others: Filter,
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
        let order = match query.checked("order", one_of).unwrap_or(default) {
            Direction::Asc => Order::Ascending,
            Direction::Desc => Order::Descending,
        };
        if deleted && sort != Sort::CreatedAt {
            let detail = "must be created_at for deleted cases";
            let other = query.source().pointer("deleted");
            query.reject("sort", Invalid::inconsistent(other, detail));
        }
        let mut statuses = query.several::<Status>("status");
        // Excludes cases without a due date: the index has them with the last possible date.
        let mut due = span(query, "due_from", "due_to").map(|(from, to)| (from, to.min(LAST_DUE)));
        if query.boolean("overdue").unwrap_or(false) {
            let yesterday = Timestamp::now().date().yesterday().unwrap_or(Date::constant(1, 1, 1));
            let (from, to) = due.unwrap_or((Date::constant(1, 1, 1), Date::MAX));
            due = Some((from, to.min(yesterday)));
            let selected = statuses.unwrap_or_else(|| Status::ALL.to_vec());
            statuses = Some(selected.into_iter().filter(|status| status.is_open()).collect());
        }
        let created = span(query, "created_from", "created_to");
        let others = others(query, me);
        let source = query.source();
        Self { sort, order, deleted, statuses, due, created, others, source, canonical }
    }

    /// Whether it has no condition except on the status.
    pub(super) fn is_by_status_only(&self) -> bool {
        self.due.is_none() && self.created.is_none() && self.others.is_empty()
    }

    /// Whether it cannot select any case.
    pub(super) fn is_contradictory(&self) -> bool {
        let ends_before_it_begins = |span: Option<(Date, Date)>| span.is_some_and(|(from, to)| from > to);
        self.statuses.as_ref().is_some_and(Vec::is_empty)
            || ends_before_it_begins(self.due)
            || ends_before_it_begins(self.created)
    }

    /// The indexes that have a lab's cases in the requested order. `offset` is the number of cases to skip.
    pub(super) fn sources(&self, offset: usize) -> Vec<Index> {
        let is_everything = self.is_by_status_only() && self.statuses.is_none();
        match self.sort {
            _ if self.deleted => vec![Index::Table],
            // The table has complete cases in this order. With an offset the smaller index is cheaper.
            Sort::CreatedAt if is_everything && offset == 0 => vec![Index::Table],
            Sort::CreatedAt => vec![Index::ByCase],
            Sort::UpdatedAt => vec![Index::ByUpdate],
            Sort::DueDate => {
                let statuses = self.statuses.as_deref().unwrap_or(Status::ALL);
                statuses.iter().map(|status| Index::ByStatus(status.as_str())).collect()
            }
        }
    }

    /// The first and the last key of the filter's cases in an index.
    pub(super) fn bounds(&self, source: Index) -> (String, String) {
        match (source, self.due) {
            (Index::ByStatus(_), Some((from, to))) => {
                (from.to_string(), keys::ordered(&to.to_string(), CaseId::MAX))
            }
            _ => (keys::BEFORE_ALL.to_owned(), keys::PAST_ALL.to_owned()),
        }
    }

    /// The conditions on the items of an index that its keys do not express.
    pub(super) fn conditions(&self, source: Index) -> Filter {
        let mut filter = self.others.clone();
        if let Some((from, to)) = self.created {
            // `~` follows every character of a timestamp.
            filter.between("created_at", text(from.to_string()), text(format!("{to}T~")));
        }
        if matches!(source, Index::ByStatus(_)) {
            return filter;
        }
        if let Some(statuses) = &self.statuses {
            filter.one_of("status", statuses);
        }
        if let Some((from, to)) = self.due {
            filter.between("due_date", text(from.to_string()), text(to.to_string()));
        }
        filter
    }
}

fn others(query: &mut Query, me: &Subject) -> Filter {
    let mut filter = Filter::default();
    for name in ["doctor_id", "product_id"] {
        if let Some(id) = query.checked(name, reference) {
            filter.equals(name, text(id));
        }
    }
    if let Some(user) = query.checked("assigned_to", reference) {
        let user = if user == "me" { me.to_string() } else { user };
        filter.equals("assigned_to", text(user));
    }
    if let Some(case_type) = query.checked("case_type", one_of::<CaseType>) {
        filter.equals("case_type", text(case_type.as_str()));
    }
    if let Some(procedure) = query.checked("procedure_type", ProcedureType::from_value) {
        filter.equals("procedure_type", text(procedure.as_str()));
    }
    if let Some(priority) = query.checked("priority", one_of::<Priority>) {
        filter.equals("priority", text(priority.as_str()));
    }
    if let Some(rush) = query.boolean("rush_order") {
        filter.equals("rush_order", boolean(rush));
    }
    if let Some(words) = query.checked("q", words) {
        for word in words {
            filter.text_contains_one_of(SEARCH, word.expose().spellings());
        }
    }
    filter
}

/// Reads a span of days, both included. One end may be missing.
fn span(query: &mut Query, from: &str, to: &str) -> Option<(Date, Date)> {
    let (first, last) = (query.checked(from, date), query.checked(to, date));
    (first.is_some() || last.is_some())
        .then(|| (first.unwrap_or(Date::constant(1, 1, 1)), last.unwrap_or(Date::MAX)))
}

/// A word of a search.
struct Word {
    folded: String,
    /// In lower case, as the items of earlier releases have it.
    lower: String,
}

impl Word {
    fn spellings(&self) -> impl Iterator<Item = &str> {
        let lower = Some(&self.lower).filter(|lower| **lower != self.folded);
        [&self.folded].into_iter().chain(lower).map(String::as_str)
    }
}

/// The words of a search text: its parts between white space, except those of which folding leaves nothing.
fn words(value: &serde_json::Value) -> Checked<Vec<Private<Word>>> {
    let text = validate::any_text(1..=MAX_SEARCH)(value)?;
    let words = text
        .expose()
        .split_whitespace()
        .map(|word| Word { folded: search_text::fold(word).trim().to_owned(), lower: word.to_lowercase() });
    let words: Vec<_> = words.filter(|word| !word.folded.is_empty()).map(Private::new).collect();
    if words.is_empty() { Err(validate::blank()) } else { Ok(words) }
}
