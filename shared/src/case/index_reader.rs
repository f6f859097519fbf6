//! Reads the cases of one lab in the order of a list, as its plan says.

use std::collections::{BTreeSet, VecDeque};

use futures_util::future::try_join_all;

use super::{
    Priority, Sort,
    due_info::DueInfo,
    entry::{
        Entry, EntryCase, at, due_key, has_creation, has_order, id_in, id_key, key_after, key_before, key_of,
        read, read_cases, sort_key, string, unread, urgency_key,
    },
    filter::CaseFilter,
    item::is_expired,
    members,
    plan::Plan,
    search,
};
use crate::{
    base::{CaseId, error::Error, wire_enum::WireEnum},
    lab::LabScope,
    table::{Consistency, Filter, Index, Item, Order, Query, keys, number, text, throttled},
};

/// How many megabytes of an index one page may read. A page that reaches this limit may be shorter than requested.
const MAX_CALLS: usize = 40;
/// How many megabytes of complete cases one page may read. A response cannot hold more.
const MAX_TABLE_CALLS: usize = 4;
/// How many entries for each missing one the first call of a list with conditions reads.
const FIRST_GUESS: usize = 7;
/// The fewest entries that a call of a list with conditions reads: a kilobyte costs as much as eight.
const MIN_READ: usize = 30;
/// The most entries of a call whose cases are read to check them.
const MAX_CHECKED: usize = 300;

/// What is left to do for entries from an index or a search.
struct Checks {
    /// Their keys have the order of the list. Otherwise their cases must be read to sort them.
    has_order: bool,
    /// Their cases must be compared with the filter.
    is_checked: bool,
    /// Their cases must be read.
    needs_read: bool,
}

/// The next entries of one lab.
#[derive(Default)]
pub(super) struct Batch {
    pub entries: VecDeque<Entry>,
    /// The key up to which the entries are complete; `None` if there are no more.
    pub complete_to: Option<String>,
    /// The number of all cases of the list, if it is known. It is not known with a position.
    pub total: Option<usize>,
}

/// Reads the entries of one lab.
pub(super) struct IndexReader<'a> {
    pub lab: &'a LabScope,
    pub filter: &'a CaseFilter,
    /// How many of the entries the list skips.
    pub offset: usize,
    /// Whether the list merges several labs, so that their entries need [`Entry::at`].
    pub is_merged: bool,
    /// The only cases that can match, when a search has found too many to read all of them.
    pub candidates: Option<BTreeSet<CaseId>>,
}

impl<'a> IndexReader<'a> {
    /// Reads the entries after `position`: at least `count`, unless there are fewer or a limit of calls or time is reached.
    pub(super) async fn next(mut self, position: Option<&str>, count: usize) -> Result<Batch, Error> {
        if let Some(words) = self.filter.words_to_look_up() {
            let found = words.candidates(self.lab, self.filter.deleted).await?;
            let found = found.ok_or_else(|| self.filter.too_broad())?;
            if found.len() <= search::FEW || self.filter.has_order_of_candidates() {
                let entries = found.into_iter().map(|id| unread(id_key(id), id)).collect();
                let has_order = self.filter.sort == Sort::CreatedAt;
                return self
                    .select(
                        entries,
                        Checks { has_order, is_checked: true, needs_read: true },
                        position,
                        count,
                    )
                    .await;
            }
            self.candidates = Some(found);
        }
        let mut plan = Plan::of(self.filter, self.offset);
        loop {
            plan = match plan {
                Plan::Case(id) => return self.one(id, position).await,
                Plan::Walk(indexes) => return self.walk(&indexes, position, count).await,
                Plan::Sort(indexes) => {
                    let entries = self.all(&indexes).await?;
                    return self.sorted(&indexes, entries, position, count).await;
                }
                Plan::SortUpTo { most, of, otherwise } => match self.up_to(most, &of).await? {
                    Some(entries) => return self.sorted(&of, entries, position, count).await,
                    None => *otherwise,
                },
            }
        }
    }

    /// Reads the case with this id, if the filter selects it.
    async fn one(&self, id: CaseId, position: Option<&str>) -> Result<Batch, Error> {
        let sk = if self.filter.deleted { keys::deleted(id) } else { keys::case(id) };
        let item = self.lab.table().get(self.lab.lab_id(), &sk).await?.filter(|item| !is_expired(item));
        let case = item.map(members::from_item).transpose()?.filter(|case| self.filter.matches(case));
        let entry = case.map(|case| {
            let key = key_of(self.filter.sort, &case);
            Entry { at: at(self.filter.sort, &key, &case.created_at.to_string()), key, id, case: read(case) }
        });
        let total = Some(entry.iter().len());
        let entries = entry.into_iter().filter(|entry| self.is_after(&entry.key, position)).collect();
        Ok(Batch { entries, complete_to: None, total })
    }

    /// Reads the next entries of indexes that have the order of the list.
    async fn walk(
        &self,
        indexes: &[Index<'a>],
        position: Option<&str>,
        count: usize,
    ) -> Result<Batch, Error> {
        let reads = indexes.iter().map(|index| self.read(*index, indexes.len(), position, count));
        let parts = try_join_all(reads).await?;
        let ends = parts.iter().filter_map(|(_, complete_to)| complete_to.clone());
        let complete_to = if self.is_ascending() { ends.min() } else { ends.max() };
        let mut entries: Vec<Entry> = parts.into_iter().flat_map(|(entries, _)| entries).collect();
        if let Some(end) = &complete_to {
            entries.retain(|entry| if self.is_ascending() { entry.key <= *end } else { entry.key >= *end });
        }
        self.sort(&mut entries);
        let total = (position.is_none() && complete_to.is_none()).then_some(entries.len());
        Ok(Batch { entries: entries.into(), complete_to, total })
    }

    /// Reads the next entries of one of `among` indexes. Also returns the key up to which they are complete, if there are more.
    async fn read(
        &self,
        index: Index<'a>,
        among: usize,
        position: Option<&str>,
        count: usize,
    ) -> Result<(Vec<Entry>, Option<String>), Error> {
        let conditions = self.filter.attribute_conditions(index);
        let mut query = self.range(index, position, &conditions);
        // The table has complete cases, so no check of them needs a further read.
        let (is_checked, reads_cases) = (self.filter.needs_case(index), self.needs_read(index));
        let (mut entries, mut scanned) = (Vec::new(), 0);
        for call in 1.. {
            let missing = count - entries.len();
            query.limit = if conditions.is_empty() && !is_checked {
                u32::try_from(missing).ok()
            } else {
                next_limit(scanned, entries.len(), missing, among, reads_cases)
            };
            let page = self.lab.table().query(self.lab.lab_id(), query.clone()).await?;
            scanned += page.scanned;
            let items = page.items.into_iter().filter(|item| !is_expired(item));
            let mut found = self.entries(items.map(|item| (index, item)))?;
            if is_checked || reads_cases {
                let stopped_at = self.check(&mut found, is_checked).await?;
                entries.extend(found);
                if stopped_at.is_some() {
                    return Ok((entries, stopped_at));
                }
            } else {
                entries.extend(found);
            }
            let Some(stopped_at) = page.stopped_at else { return Ok((entries, None)) };
            let end = sort_key(index, &stopped_at)?;
            // With an offset most cases are skipped, so they do not fill the response. (Deleted cases are in no index, so
            // even then the table is read.)
            let fills_response = index == Index::Table && self.offset == 0;
            let max_calls = if fills_response { MAX_TABLE_CALLS } else { MAX_CALLS };
            if entries.len() >= count || call >= max_calls || !self.lab.has_time_left() {
                return Ok((entries, Some(end)));
            }
            query.start = Some(stopped_at);
        }
        Ok((entries, None))
    }

    /// Whether a walk must read the cases of an index's entries: to check them, or for the order among several labs.
    fn needs_read(&self, index: Index<'a>) -> bool {
        index != Index::Table
            && (self.filter.needs_case(index) || (self.needs_creation() && !has_creation(index)))
    }

    fn needs_creation(&self) -> bool {
        self.is_merged && self.filter.sort == Sort::CreatedAt
    }

    /// Reads the cases of entries, in their order, and leaves out those that the filter does not select if `is_checked`.
    /// Returns the key at which it stopped, if there was no time for all.
    async fn check(&self, entries: &mut Vec<Entry>, is_checked: bool) -> Result<Option<String>, Error> {
        read_cases(self.lab, self.filter.deleted, entries.iter_mut()).await?;
        let unread = entries.iter().position(|entry| matches!(entry.case, EntryCase::Unread));
        let stopped_at = match unread {
            Some(0) => return Err(throttled()),
            Some(unread) => {
                let last = entries[unread - 1].key.clone();
                entries.truncate(unread);
                Some(last)
            }
            None => None,
        };
        entries.retain_mut(|entry| {
            let EntryCase::Read(case) = &entry.case else { return false };
            entry.at = at(self.filter.sort, &entry.key, &case.created_at.to_string());
            !is_checked || self.filter.matches(case)
        });
        Ok(stopped_at)
    }

    /// Reads all matching entries of indexes.
    async fn all(&self, indexes: &[Index<'a>]) -> Result<Vec<(Index<'a>, Item)>, Error> {
        let parts = try_join_all(indexes.iter().map(|index| async move {
            let conditions = self.filter.attribute_conditions(*index);
            let mut query = self.range(*index, None, &conditions);
            let mut items = Vec::new();
            loop {
                let page = self.lab.table().query(self.lab.lab_id(), query.clone()).await?;
                items.extend(page.items.into_iter().map(|item| (*index, item)));
                query.start = page.stopped_at;
                if query.start.is_none() {
                    return Ok(items);
                }
                if !self.lab.has_time_left() {
                    return Err(Error::unavailable("The database", "no time left for the rest of an index"));
                }
            }
        }));
        Ok(parts.await?.into_iter().flatten().collect())
    }

    /// Reads all matching entries of indexes, each with one call. Returns `None` if an index has more than `most` entries, or
    /// more than its share if there are many indexes.
    async fn up_to(&self, most: u32, indexes: &[Index<'a>]) -> Result<Option<Vec<(Index<'a>, Item)>>, Error> {
        // Two may have the full number. More share it, because all entries are in memory at the same time.
        let limit = u32::try_from(indexes.len()).map_or(most, |count| most.min(most * 2 / count.max(1)));
        let parts = try_join_all(indexes.iter().map(|index| async move {
            let conditions = self.filter.attribute_conditions(*index);
            let query = Query { limit: Some(limit + 1), ..self.range(*index, None, &conditions) };
            let page = self.lab.table().query(self.lab.lab_id(), query).await?;
            let items = page.items.into_iter().map(|item| (*index, item)).collect();
            Ok::<_, Error>(page.stopped_at.is_none().then_some::<Vec<_>>(items))
        }));
        let parts: Option<Vec<_>> = parts.await?.into_iter().collect();
        Ok(parts.map(|parts| parts.into_iter().flatten().collect()))
    }

    /// Sorts all entries of a list, and selects those after `position`.
    async fn sorted(
        &self,
        indexes: &[Index<'a>],
        items: Vec<(Index<'a>, Item)>,
        position: Option<&str>,
        count: usize,
    ) -> Result<Batch, Error> {
        let entries = self.entries(items.into_iter())?;
        let checks = Checks {
            has_order: indexes.iter().all(|index| has_order(*index, self.filter.sort)),
            is_checked: indexes.iter().any(|index| self.filter.needs_case(*index)),
            needs_read: indexes.iter().any(|index| self.needs_read(*index)),
        };
        self.select(entries, checks, position, count).await
    }

    /// Sorts entries, and selects those after `position`.
    async fn select(
        &self,
        mut entries: Vec<Entry>,
        Checks { has_order, is_checked, needs_read }: Checks,
        position: Option<&str>,
        count: usize,
    ) -> Result<Batch, Error> {
        if !has_order {
            if self.check(&mut entries, is_checked).await?.is_some() {
                return Err(throttled());
            }
            for entry in &mut entries {
                if let EntryCase::Read(case) = &entry.case {
                    entry.key = key_of(self.filter.sort, case);
                    entry.at = at(self.filter.sort, &entry.key, &case.created_at.to_string());
                }
            }
        }
        self.sort(&mut entries);
        let total = (!has_order || !is_checked).then_some(entries.len());
        entries.retain(|entry| self.is_after(&entry.key, position));
        if !has_order || !needs_read {
            return Ok(Batch { entries: entries.into(), complete_to: None, total });
        }
        let (mut left, mut found) = (VecDeque::from(entries), Vec::new());
        let mut complete_to = None;
        while found.len() < count && !left.is_empty() && self.lab.has_time_left() {
            let mut part: Vec<Entry> = left.drain(..MAX_CHECKED.min(count).min(left.len())).collect();
            complete_to = part.last().map(|entry| entry.key.clone());
            let stopped_at = self.check(&mut part, is_checked).await?;
            found.extend(part);
            if stopped_at.is_some() {
                return Ok(Batch { entries: found.into(), complete_to: stopped_at, total });
            }
        }
        if left.is_empty() {
            complete_to = None;
        } else if complete_to.is_none() {
            return Err(throttled());
        }
        Ok(Batch { entries: found.into(), complete_to, total })
    }

    /// Sorts entries. A case that changed during the read may be there twice.
    fn sort(&self, entries: &mut Vec<Entry>) {
        if self.is_ascending() {
            entries.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        } else {
            entries.sort_unstable_by(|one, other| other.key.cmp(&one.key));
        }
        let mut ids = BTreeSet::new();
        entries.retain(|entry| ids.insert(entry.id));
    }

    fn is_ascending(&self) -> bool {
        self.filter.order == Order::Ascending
    }

    fn is_after(&self, key: &str, position: Option<&str>) -> bool {
        position.is_none_or(|position| if self.is_ascending() { key > position } else { key < position })
    }

    /// The query for the entries of an index after `position`.
    fn range<'f>(&self, index: Index<'f>, position: Option<&str>, conditions: &'f Filter) -> Query<'f> {
        let (mut from, mut to) = self.filter.bounds(index);
        if let Some(position) = position {
            match self.filter.order {
                Order::Ascending => from = from.max(key_after(position)),
                Order::Descending => to = to.min(key_before(position)),
            }
        }
        let (from, to) = match index {
            Index::Table => {
                let prefix = if self.filter.deleted { keys::DELETED_PREFIX } else { keys::CASE_PREFIX };
                (text(format!("{prefix}{from}")), text(format!("{prefix}{to}")))
            }
            Index::ByUpdate | Index::ByDue(_) => (text(from), text(to)),
            _ => (number(id_in(&from).unwrap_or(0)), number(id_in(&to).unwrap_or(CaseId::MAX))),
        };
        Query {
            index,
            from,
            to,
            order: self.filter.order,
            filter: Some(conditions),
            limit: None,
            consistency: Consistency::Eventual,
            attributes: match (index, self.filter.sort) {
                (Index::Table, _) => members::ATTRIBUTES,
                (Index::ByPatient(_) | Index::ByWaiting, _) => &["sk"],
                (Index::ByDue(_), Sort::Priority) => &["sk", "due_key", "info"],
                (Index::ByDue(_), _) => &["sk", "due_key"],
                (Index::ByUpdate, _) => &["sk", "update_key"],
                (_, Sort::CreatedAt) => &["sk", "created_at"],
                (_, Sort::DueDate) => &["sk", "due_date"],
                (_, Sort::Priority) => &["sk", "due_date", "priority"],
                (_, Sort::UpdatedAt) => &["sk"],
            },
            start: None,
        }
    }

    /// Makes the entries of items, except of those that a search cannot find.
    fn entries(&self, items: impl Iterator<Item = (Index<'a>, Item)>) -> Result<Vec<Entry>, Error> {
        let mut entries = Vec::with_capacity(items.size_hint().0);
        for (index, item) in items {
            entries.push(self.entry(index, item)?);
        }
        if let Some(candidates) = &self.candidates {
            entries.retain(|entry| candidates.contains(&entry.id));
        }
        Ok(entries)
    }

    /// Makes an entry of an item. Its key is preliminary if the index does not have the order of the list.
    fn entry(&self, index: Index<'_>, item: Item) -> Result<Entry, Error> {
        let sk = string(&item, "sk")?;
        let id =
            id_in(sk).and_then(CaseId::new).ok_or_else(|| Error::internal("a sort key without an id"))?;
        let key = match (self.filter.sort, index) {
            (Sort::CreatedAt, _) => id_key(id),
            (Sort::DueDate | Sort::UpdatedAt, Index::ByDue(_) | Index::ByUpdate) => sort_key(index, &item)?,
            (Sort::DueDate, _) => due_key(&item, id),
            (Sort::Priority, Index::ByDue(_)) => {
                let info = DueInfo::parse(string(&item, "info")?);
                let info = info.ok_or_else(|| Error::internal("an entry by due date is malformed"))?;
                urgency_key(info.priority, string(&item, "due_key")?)
            }
            (Sort::Priority, _) => {
                let priority = item.get("priority").and_then(|text| Priority::parse(text.as_s().ok()?));
                urgency_key(priority.unwrap_or_default(), &due_key(&item, id))
            }
            (Sort::UpdatedAt, _) => String::new(),
        };
        let created_at = item.get("created_at").and_then(|at| at.as_s().ok()).map_or("", String::as_str);
        let at = at(self.filter.sort, &key, created_at);
        let case = if index == Index::Table { read(members::from_item(item)?) } else { EntryCase::Unread };
        Ok(Entry { key, at, id, case })
    }
}

/// How many entries the next call reads, for a list with conditions: as many as probably hold the `missing` ones, judged by
/// the share of the entries that matched so far. `None` is a megabyte.
fn next_limit(scanned: usize, found: usize, missing: usize, among: usize, reads_cases: bool) -> Option<u32> {
    let guess = match (scanned, found) {
        (0, _) => missing * FIRST_GUESS / among,
        (_, 0) => scanned * 4,
        _ => missing * scanned / found * 5 / 4,
    };
    let guess = guess.max(MIN_READ).max(missing);
    match u32::try_from(if reads_cases { guess.min(MAX_CHECKED) } else { guess }) {
        Ok(guess) if guess <= 4000 => Some(guess),
        _ => None,
    }
}
