//! Reads the audit records by time, filtered by user, case, action and outcome.

use jiff::civil::Date;
use serde::Serialize;

use crate::{
    audit::{AuditRecord, Outcome},
    auth::{Operation, Permission},
    base::{
        CaseId,
        csv::{Format, Sheet},
        error::Error,
        field_error::Invalid,
        time::Timestamp,
        validate::{Checked, date, not_a_case_id, one_of, reference},
        wire_enum::WireEnum,
    },
    http::{File, PageRequest, Pagination, Query as Parameters, Request},
    lab::LabScope,
    table::{self, Filter, Item, Order, Query, keys, number, text},
    telemetry::SecurityEvent,
};

/// How many megabytes of records one page may read. A page that reaches this limit may be shorter than requested.
const MAX_CALLS: usize = 10;

/// The audit records of one lab.
pub struct AuditLog<'a> {
    lab: &'a LabScope,
}

/// A page of audit records, newest first.
#[derive(Serialize)]
pub struct AuditPage {
    records: Vec<AuditRecord>,
    /// The table has every record since then; the archive has the earlier ones.
    reaches_back_to: Date,
    pagination: Pagination,
}

/// The requested records.
struct Search {
    case: Option<CaseId>,
    from: String,
    to: String,
    filter: Filter,
    page: PageRequest,
    list: String,
}

impl<'a> AuditLog<'a> {
    /// The audit records of the scope's lab.
    pub fn of(lab: &'a LabScope) -> Self {
        Self { lab }
    }

    /// Reads a page of the requested records; only those of `case`, if there is one.
    ///
    /// # Errors
    /// Invalid parameter; invalid cursor.
    pub async fn page(&self, request: &Request, case: Option<CaseId>) -> Result<AuditPage, Error> {
        let search = self.search(request, case)?;
        let (records, last) = self.read(&search).await?;
        self.lab.recorder().record_granted(search.case.into_iter().collect()).await?;
        let next = self.next_cursor(&search, last)?;
        let reaches_back_to = self.reaches_back_to();
        Ok(AuditPage { records, reaches_back_to, pagination: Pagination::new(&search.page, next, None) })
    }

    /// Reads the same as CSV.
    ///
    /// # Errors
    /// Forbidden, without the permission to export audit records; invalid parameter; invalid cursor.
    pub async fn export(&self, request: &Request) -> Result<File, Error> {
        self.lab.require(Permission::AuditExport)?;
        let search = self.search(request, None)?;
        let (records, last) = self.read(&search).await?;
        self.lab.recorder().record_granted(search.case.into_iter().collect()).await?;
        let mut sheet = Sheet::new();
        if search.page.cursor.is_none() {
            sheet.row(AuditRecord::COLUMNS)?;
        }
        records.iter().try_for_each(|record| sheet.row(record.cells()))?;
        let next_cursor = self.next_cursor(&search, last)?;
        self.lab.report(SecurityEvent::Export);
        Ok(File { format: Format::Csv, name: "access", body: sheet.finish()?, next_cursor })
    }

    /// The first day of which the table has every record.
    pub fn reaches_back_to(&self) -> Date {
        Timestamp::now().days_ago(self.lab.services().audit_table_days).date()
    }

    fn search(&self, request: &Request, case: Option<CaseId>) -> Result<Search, Error> {
        let mut query = Parameters::of(request);
        let canonical = query.canonical_without(&["cursor", "limit", "per_page", "format"]);
        let from = query.checked("from", moment).unwrap_or_default();
        let to = query.checked("to", moment).unwrap_or_default() + keys::PAST_ALL;
        let mut filter = Filter::default();
        if let Some(user) = query.checked("user_id", reference) {
            filter.equals("user_id", text(user));
        }
        if case.is_none() {
            // The handler has read `format`, to choose between page and export.
            query.text("format");
        }
        let case = match case {
            None => query
                .checked("case_id", |value| value.as_str().and_then(CaseId::parse).ok_or_else(not_a_case_id)),
            case => case,
        };
        if let Some(case) = case {
            filter.list_contains("case_ids", number(case));
        }
        if let Some(action) = query.checked("action", one_of::<Operation>) {
            filter.equals("action", text(action.as_str()));
        }
        if let Some(outcome) = query.checked("outcome", one_of::<Outcome>) {
            filter.equals("outcome", text(outcome.as_str()));
        }
        if query.boolean("break_glass").unwrap_or(false) {
            filter.exists("break_glass");
        }
        let page = PageRequest::read_without_number(&mut query, &self.lab.services().paging);
        query.finish()?;
        let of_case = case.map_or(String::new(), |case| case.to_string());
        let list = format!("access to {of_case} of {} {canonical}", self.lab.lab_id());
        Ok(Search { case, from, to, filter, page, list })
    }

    /// Reads the records. Also returns the sort key where the next page starts, if there may be more.
    async fn read(&self, search: &Search) -> Result<(Vec<AuditRecord>, Option<String>), Error> {
        let lab = self.lab.lab_id();
        let size = search.page.per_page as usize;
        let (mut source, mut start) = (Source::AuditTable, None);
        if let Some(cursor) = &search.page.cursor {
            let sk = self.lab.cursors()?.open_text(&search.list, cursor)?;
            source = Source::of(&sk);
            start = Some(table::key(lab, &sk));
        }
        let mut records: Vec<(String, AuditRecord)> = Vec::new();
        for _ in 0..MAX_CALLS {
            let range = Query::of_table(source.key(&search.from), source.key(&search.to));
            let limit = search.filter.is_empty().then(|| search.page.read_limit());
            let query = Query {
                order: Order::Descending,
                filter: Some(&search.filter),
                limit,
                start,
                ..range.consistent()
            };
            let table = match source {
                Source::AuditTable => self.lab.audit_table(),
                Source::CaseTable => self.lab.table(),
            };
            let page = table.query(lab, query).await?;
            for item in page.items {
                records.push((sort_key(&item)?, table::from_item(item)?));
            }
            if records.len() > size {
                return Ok(cut(records, size, None));
            }
            start = page.stopped_at;
            match &start {
                Some(stopped_at) if records.len() >= size => {
                    let stopped_at = sort_key(stopped_at)?;
                    return Ok(cut(records, size, Some(stopped_at)));
                }
                Some(_) => {}
                None if source == Source::AuditTable => source = Source::CaseTable,
                None => return Ok(cut(records, size, None)),
            }
        }
        let next = match &start {
            Some(stopped_at) => sort_key(stopped_at)?,
            None => source.key(&search.to),
        };
        Ok(cut(records, size, Some(next)))
    }

    /// The cursor for the records after the sort key `last`.
    fn next_cursor(&self, search: &Search, last: Option<String>) -> Result<Option<String>, Error> {
        let Some(sk) = last else { return Ok(None) };
        Ok(Some(self.lab.cursors()?.seal(&search.list, sk.as_bytes())))
    }
}

/// The table that has the records. Those in the table of cases are older than all others.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// The table of audit records.
    AuditTable,
    /// The table of cases, into which earlier releases wrote them.
    CaseTable,
}

impl Source {
    /// The table of the record with this sort key.
    fn of(sk: &str) -> Self {
        if sk.starts_with(keys::EARLIER_AUDIT_PREFIX) { Self::CaseTable } else { Self::AuditTable }
    }

    /// The sort key that the records of a time begin with; `at` may be the beginning of a timestamp, such as a date.
    fn key(self, at: &str) -> String {
        match self {
            Self::AuditTable if at.is_empty() => keys::BEFORE_ALL.to_owned(),
            Self::AuditTable => at.to_owned(),
            Self::CaseTable => format!("{}{at}", keys::EARLIER_AUDIT_PREFIX),
        }
    }
}

/// Cuts the records to `size`. Also returns the sort key after which the rest begins: the last record's, or `stopped_at`
/// when nothing was cut off.
fn cut(
    mut records: Vec<(String, AuditRecord)>,
    size: usize,
    stopped_at: Option<String>,
) -> (Vec<AuditRecord>, Option<String>) {
    let is_complete = records.len() <= size;
    records.truncate(size);
    let last = records.last().map(|(sk, _)| sk.clone());
    let next = if is_complete { stopped_at } else { last };
    (records.into_iter().map(|(_, record)| record).collect(), next)
}

fn sort_key(item: &Item) -> Result<String, Error> {
    let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).cloned();
    sk.ok_or_else(|| Error::internal("an item without a sort key"))
}

/// Reads a date or a time in the format of the sort keys. In text order, a date comes before all times of its day.
fn moment(value: &serde_json::Value) -> Checked<String> {
    if let Ok(date) = date(value) {
        return Ok(date.to_string());
    }
    let moment: Result<Timestamp, _> = serde_json::from_value(value.clone());
    let invalid = |_| Invalid::format("date_or_time", "must be a date (YYYY-MM-DD) or a time (RFC 3339)");
    moment.map(|moment| moment.to_string()).map_err(invalid)
}
