//! Which cases a list shows, and in which order: the query parameters of lists, as conditions on the indexes.

use jiff::civil::Date;

use super::{CaseType, Priority, ProcedureType, item::SEARCH, workflow::Status};
use crate::{
    base::{
        CaseId, Subject,
        field_error::Invalid,
        private::Private,
        time::Timestamp,
        validate::{self, Checked, date, one_of, reference},
        wire_enum::WireEnum,
    },
    http::Query,
    table::{Filter, Index, Order, boolean, keys, text},
    wire_enum,
};

/// The longest search text, in characters.
const MAX_SEARCH: usize = 100;

wire_enum! {
    /// What a list is ordered by.
    Sort { CreatedAt = "created_at", DueDate = "due_date", UpdatedAt = "updated_at" }
}

wire_enum! {
    /// In which direction.
    Direction { Asc = "asc", Desc = "desc" }
}

/// The last due date that can be asked for.
const LAST_DUE: Date = Date::constant(9999, 12, 30);

/// Parameters that do not change which cases a list has: a cursor holds whatever they are.
const NO_FILTERS: [&str; 5] = ["cursor", "limit", "per_page", "page", "format"];

/// Which cases a list shows, and in which order.
pub(super) struct CaseFilter {
    pub sort: Sort,
    pub order: Order,
    /// Deleted cases instead of live ones.
    pub deleted: bool,
    /// The statuses that are shown; all, if there is no list.
    pub statuses: Option<Vec<Status>>,
    /// The due dates that are shown, both ends included.
    due: Option<(Date, Date)>,
    /// The days of creation that are shown, both ends included.
    created: Option<(Date, Date)>,
    /// What else a case must be.
    others: Filter,
    /// All of the above with the words of a search, as text: a cursor is good for the same filter only.
    pub canonical: Private<String>,
}

impl CaseFilter {
    /// Takes the filters of a list; errors are recorded in `query`. `me` is the caller, who may look for their own.
    pub(super) fn read(query: &mut Query, me: &Subject) -> Self {
        let canonical = Private::new(query.canonical_without(&NO_FILTERS));
        let deleted = query.boolean("deleted").unwrap_or(false);
        let sort = query.checked("sort", one_of).unwrap_or(Sort::CreatedAt);
        let usual = if sort == Sort::DueDate { Direction::Asc } else { Direction::Desc };
        let order = match query.checked("order", one_of).unwrap_or(usual) {
            Direction::Asc => Order::Ascending,
            Direction::Desc => Order::Descending,
        };
        if deleted && sort != Sort::CreatedAt {
            let detail = "must be created_at for deleted cases";
            query.reject("sort", Invalid::inconsistent("/query/deleted", detail));
        }
        let mut statuses = query.several::<Status>("status");
        // Cases without a due date are kept as due on the last day that there is.
        let mut due = span(query, "due_from", "due_to").map(|(from, to)| (from, to.min(LAST_DUE)));
        if query.boolean("overdue").unwrap_or(false) {
            let yesterday = Timestamp::now().date().yesterday().unwrap_or(Date::constant(1, 1, 1));
            let (from, to) = due.unwrap_or((Date::constant(1, 1, 1), Date::MAX));
            due = Some((from, to.min(yesterday)));
            let wanted = statuses.unwrap_or_else(|| Status::ALL.to_vec());
            statuses = Some(wanted.into_iter().filter(|status| status.is_open()).collect());
        }
        let created = span(query, "created_from", "created_to");
        let others = others(query, me);
        Self { sort, order, deleted, statuses, due, created, others, canonical }
    }

    /// Whether it lets every case pass, but for those of other statuses.
    pub(super) fn is_by_status_only(&self) -> bool {
        self.due.is_none() && self.created.is_none() && self.others.is_empty()
    }

    /// Whether no case can pass.
    pub(super) fn is_contradictory(&self) -> bool {
        let ends_before_it_begins = |span: Option<(Date, Date)>| span.is_some_and(|(from, to)| from > to);
        self.statuses.as_ref().is_some_and(Vec::is_empty)
            || ends_before_it_begins(self.due)
            || ends_before_it_begins(self.created)
    }

    /// Where a lab's cases are found in the wanted order, when the first `offset` of them are passed over.
    pub(super) fn sources(&self, offset: usize) -> Vec<Index> {
        let is_everything = self.is_by_status_only() && self.statuses.is_none();
        match self.sort {
            _ if self.deleted => vec![Index::Table],
            // Whole cases, newest first, in one call; but what is passed over is not read whole.
            Sort::CreatedAt if is_everything && offset == 0 => vec![Index::Table],
            Sort::CreatedAt => vec![Index::ByCase],
            Sort::UpdatedAt => vec![Index::ByUpdate],
            Sort::DueDate => {
                let statuses = self.statuses.as_deref().unwrap_or(Status::ALL);
                statuses.iter().map(|status| Index::ByStatus(status.as_str())).collect()
            }
        }
    }

    /// The first and the last position that a case can have in a source.
    pub(super) fn bounds(&self, source: Index) -> (String, String) {
        match (source, self.due) {
            (Index::ByStatus(_), Some((from, to))) => {
                (from.to_string(), keys::ordered(&to.to_string(), CaseId::MAX))
            }
            _ => (keys::BEFORE_ALL.to_owned(), keys::PAST_ALL.to_owned()),
        }
    }

    /// What the items of a source must be besides.
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
    if let Some(words) = query.checked("q", search) {
        for word in words {
            filter.contains(SEARCH, word.expose());
        }
    }
    filter
}

/// A span of days, both included; one end may be left open.
fn span(query: &mut Query, from: &str, to: &str) -> Option<(Date, Date)> {
    let (first, last) = (query.checked(from, date), query.checked(to, date));
    (first.is_some() || last.is_some())
        .then(|| (first.unwrap_or(Date::constant(1, 1, 1)), last.unwrap_or(Date::MAX)))
}

/// The words of a search text, in lower case.
fn search(value: &serde_json::Value) -> Checked<Vec<Private<String>>> {
    let text = validate::text(1..=MAX_SEARCH)(value)?;
    Ok(text.expose().to_lowercase().split_whitespace().map(|word| Private::new(word.to_owned())).collect())
}
