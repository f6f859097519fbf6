//! Reads the cases of one lab in the order of a list from the indexes, one batch after the other.

use std::collections::VecDeque;

use aws_sdk_dynamodb::types::AttributeValue;
use futures_util::future::try_join_all;

use super::{
    Case,
    filter::CaseFilter,
    item::{from_item, is_expired},
};
use crate::{
    base::{CaseId, error::Error},
    lab::LabScope,
    table::{Consistency, Filter, Index, Item, Order, Query, Table, keys, number, text},
};

/// The most entries that the first call for a filtered list reads. They usually hold a page.
const FIRST_FILTERED: u32 = 500;
/// How many megabytes of an index one page may read. A page that reaches this limit may be shorter than requested.
const MAX_CALLS: usize = 40;
/// How many megabytes of complete cases one page may read. A response cannot hold more.
const MAX_TABLE_CALLS: usize = 4;

/// A case in the order of a list.
pub(super) struct Entry {
    /// Its sort key within its lab.
    pub key: String,
    /// Its sort key among the cases of several labs.
    pub at: String,
    pub id: CaseId,
    /// The case itself, if the index has it.
    pub case: Option<Box<Case>>,
}

/// The next entries of one lab.
pub(super) struct Batch {
    pub entries: VecDeque<Entry>,
    /// The key up to which the entries are complete; `None` if there are no more.
    pub complete_to: Option<String>,
}

/// Reads the entries of one lab.
pub(super) struct IndexReader<'a> {
    pub lab: &'a LabScope,
    pub filter: &'a CaseFilter,
    /// How many of the entries the list skips.
    pub offset: usize,
}

impl IndexReader<'_> {
    /// Reads the entries after `position`: at least `count`, unless there are fewer or a limit of calls or time is reached.
    pub(super) async fn next(&self, position: Option<&str>, count: usize) -> Result<Batch, Error> {
        let sources = self.filter.sources(self.offset);
        let reads = sources.into_iter().map(|source| self.read(source, position, count));
        let parts = try_join_all(reads).await?;
        let ascending = self.filter.order == Order::Ascending;
        let ends = parts.iter().filter_map(|(_, complete_to)| complete_to.clone());
        let complete_to = if ascending { ends.min() } else { ends.max() };
        let mut entries: Vec<Entry> = parts.into_iter().flat_map(|(entries, _)| entries).collect();
        if let Some(end) = &complete_to {
            entries.retain(|entry| if ascending { entry.key <= *end } else { entry.key >= *end });
        }
        entries.sort_by(|one, other| {
            let order = one.key.cmp(&other.key);
            if ascending { order } else { order.reverse() }
        });
        Ok(Batch { entries: entries.into(), complete_to })
    }

    async fn read(
        &self,
        source: Index,
        position: Option<&str>,
        count: usize,
    ) -> Result<(Vec<Entry>, Option<String>), Error> {
        let conditions = self.filter.conditions(source);
        let mut query = self.range(source, position, &conditions);
        let mut entries = Vec::new();
        for call in 0..MAX_CALLS {
            query.limit = match (conditions.is_empty(), call) {
                (true, _) => u32::try_from(count - entries.len()).ok(),
                (false, 0) => Some(FIRST_FILTERED),
                (false, _) => None,
            };
            let page = self.table().query(self.lab.lab_id(), query.clone()).await?;
            for item in page.items.into_iter().filter(|item| !is_expired(item)) {
                entries.push(entry(source, item)?);
            }
            let Some(stopped_at) = page.stopped_at else { return Ok((entries, None)) };
            let end = sort_key(source, &stopped_at)?;
            // With an offset most cases are skipped, so they do not fill the response. (Deleted cases are in no index, so
            // even then the table is read.)
            let fills_response = source == Index::Table && self.offset == 0;
            let max_calls = if fills_response { MAX_TABLE_CALLS } else { MAX_CALLS };
            if entries.len() >= count || call + 1 >= max_calls || !self.lab.has_time_left() {
                return Ok((entries, Some(end)));
            }
            query.start = Some(stopped_at);
        }
        unreachable!("the loop above only ends by returning")
    }

    /// The query for the items of an index after `position`.
    fn range<'f>(&self, source: Index, position: Option<&str>, conditions: &'f Filter) -> Query<'f> {
        let (mut from, mut to) = self.filter.bounds(source);
        if let Some(position) = position {
            match self.filter.order {
                Order::Ascending => from = from.max(key_after(position)),
                Order::Descending => to = to.min(key_before(position)),
            }
        }
        let (from, to) = match source {
            Index::ByCase => (number(id_in(&from).unwrap_or(0)), number(id_in(&to).unwrap_or(CaseId::MAX))),
            Index::Table => {
                let prefix = if self.filter.deleted { keys::DELETED_PREFIX } else { keys::CASE_PREFIX };
                (text(format!("{prefix}{from}")), text(format!("{prefix}{to}")))
            }
            Index::ByUpdate | Index::ByStatus(_) => (text(from), text(to)),
        };
        Query {
            index: source,
            from,
            to,
            order: self.filter.order,
            filter: Some(conditions),
            limit: None,
            consistency: Consistency::Eventual,
            attributes: match source {
                Index::Table => &[],
                Index::ByCase => &["sk", "created_at"],
                Index::ByUpdate => &["sk", "created_at", "update_key"],
                Index::ByStatus(_) => &["sk", "created_at", "due_key"],
            },
            start: None,
        }
    }

    fn table(&self) -> &Table {
        self.lab.table()
    }
}

/// Makes an entry of an item.
fn entry(source: Index, item: Item) -> Result<Entry, Error> {
    let key = sort_key(source, &item)?;
    let sk = string(&item, "sk")?;
    let id = id_in(sk).and_then(CaseId::new).ok_or_else(|| Error::internal("a sort key without an id"))?;
    let created_at = string(&item, "created_at")?.to_owned();
    let at = if matches!(source, Index::Table | Index::ByCase) { created_at } else { key.clone() };
    let case = if source == Index::Table { Some(Box::new(from_item(item)?)) } else { None };
    Ok(Entry { key, at, id, case })
}

/// An item's sort key within its lab: the id in lists by creation, otherwise the sort key of the index.
fn sort_key(source: Index, item: &Item) -> Result<String, Error> {
    match source {
        Index::Table | Index::ByCase => {
            let id = id_in(string(item, "sk")?).ok_or_else(|| Error::internal("a sort key without an id"))?;
            Ok(format!("{id:010}"))
        }
        Index::ByUpdate | Index::ByStatus(_) => string(item, source.sort_key()).map(str::to_owned),
    }
}

fn string<'i>(item: &'i Item, name: &str) -> Result<&'i str, Error> {
    let value = item.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    value.map(String::as_str).ok_or_else(|| Error::internal("an item of an index lacks an attribute"))
}

/// The id at the end of a key.
fn id_in(key: &str) -> Option<u64> {
    key.rsplit('#').next()?.parse().ok()
}

/// The next greater key. Keys end with an id.
fn key_after(key: &str) -> String {
    with_id(key, |id| id.saturating_add(1))
}

/// The next smaller key.
fn key_before(key: &str) -> String {
    with_id(key, |id| id.saturating_sub(1))
}

fn with_id(key: &str, change: impl Fn(u64) -> u64) -> String {
    let id = change(id_in(key).unwrap_or(0));
    match key.rsplit_once('#') {
        Some((at, _)) => keys::ordered(at, id),
        None => format!("{id:010}"),
    }
}
