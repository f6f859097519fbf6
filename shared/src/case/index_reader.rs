//! The cases of one lab in the order of a list, a stretch at a time, from the indexes that know the order.

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

/// How many entries the first call for a filtered list reads at most: as a rule they hold a page.
const FIRST_FILTERED: u32 = 500;
/// How many megabytes of an index are read for one page. Behind that a page may be shorter than asked for.
const MAX_CALLS: usize = 40;
/// How many megabytes of whole cases, where all of them are for the page: no answer has room for more.
const MAX_TABLE_CALLS: usize = 4;

/// A case in the order of a list.
pub(super) struct Entry {
    /// Its place within its lab.
    pub key: String,
    /// Its place among the cases of several labs.
    pub at: String,
    pub id: CaseId,
    /// The case itself, where the source has it.
    pub case: Option<Box<Case>>,
}

/// The next entries of one lab.
pub(super) struct Batch {
    pub entries: VecDeque<Entry>,
    /// Up to where the entries are complete, if there may be more behind.
    pub complete_to: Option<String>,
}

/// What is read of one lab.
pub(super) struct IndexReader<'a> {
    pub lab: &'a LabScope,
    pub filter: &'a CaseFilter,
    /// How many of the entries are only passed over.
    pub offset: usize,
}

impl IndexReader<'_> {
    /// The entries behind `position`: at least `wanted`, unless there are fewer or they are too far apart.
    pub(super) async fn next(&self, position: Option<&str>, wanted: usize) -> Result<Batch, Error> {
        let sources = self.filter.sources(self.offset);
        let read = sources.into_iter().map(|source| self.read(source, position, wanted));
        let stretches = try_join_all(read).await?;
        let ascending = self.filter.order == Order::Ascending;
        let ends = stretches.iter().filter_map(|(_, complete_to)| complete_to.clone());
        let complete_to = if ascending { ends.min() } else { ends.max() };
        let mut entries: Vec<Entry> = stretches.into_iter().flat_map(|(entries, _)| entries).collect();
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
        wanted: usize,
    ) -> Result<(Vec<Entry>, Option<String>), Error> {
        let conditions = self.filter.conditions(source);
        let mut query = self.range(source, position, &conditions);
        let mut entries = Vec::new();
        for call in 0..MAX_CALLS {
            query.limit = match (conditions.is_empty(), call) {
                (true, _) => u32::try_from(wanted - entries.len()).ok(),
                (false, 0) => Some(FIRST_FILTERED),
                (false, _) => None,
            };
            let page = self.table().query(self.lab.lab_id(), query.clone()).await?;
            for item in page.items.into_iter().filter(|item| !is_expired(item)) {
                entries.push(entry(source, item)?);
            }
            let Some(stopped_at) = page.stopped_at else { return Ok((entries, None)) };
            let end = place(source, &stopped_at)?;
            // No index has deleted cases: the way to a page of them by number leads through whole ones.
            let fills_answer = source == Index::Table && self.offset == 0;
            let is_enough = if fills_answer { MAX_TABLE_CALLS } else { MAX_CALLS };
            if entries.len() >= wanted || call + 1 >= is_enough || !self.lab.has_time_left() {
                return Ok((entries, Some(end)));
            }
            query.start = Some(stopped_at);
        }
        unreachable!("the loop above only ends by returning")
    }

    /// The part of a source that is behind `position`.
    fn range<'f>(&self, source: Index, position: Option<&str>, conditions: &'f Filter) -> Query<'f> {
        let (mut from, mut to) = self.filter.bounds(source);
        if let Some(position) = position {
            match self.filter.order {
                Order::Ascending => from = from.max(behind(position)),
                Order::Descending => to = to.min(before(position)),
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
            only: match source {
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

/// An item as an entry.
fn entry(source: Index, item: Item) -> Result<Entry, Error> {
    let key = place(source, &item)?;
    let sk = string(&item, "sk")?;
    let id = id_in(sk).and_then(CaseId::new).ok_or_else(|| Error::internal("a sort key without an id"))?;
    let created_at = string(&item, "created_at")?.to_owned();
    let at = if matches!(source, Index::Table | Index::ByCase) { created_at } else { key.clone() };
    let case = if source == Index::Table { Some(Box::new(from_item(item)?)) } else { None };
    Ok(Entry { key, at, id, case })
}

/// An item's place within its lab: the id for lists by creation, else the sort key of the index.
fn place(source: Index, item: &Item) -> Result<String, Error> {
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

/// The first key that is greater: keys end in an id.
fn behind(key: &str) -> String {
    with_id(key, |id| id.saturating_add(1))
}

/// The last key that is smaller.
fn before(key: &str) -> String {
    with_id(key, |id| id.saturating_sub(1))
}

fn with_id(key: &str, change: impl Fn(u64) -> u64) -> String {
    let id = change(id_in(key).unwrap_or(0));
    match key.rsplit_once('#') {
        Some((at, _)) => keys::ordered(at, id),
        None => format!("{id:010}"),
    }
}
