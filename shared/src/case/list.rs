//! Lists of cases: filtered, ordered, a page at a time, of one lab or of several merged.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::future::try_join_all;
use serde::{Serialize, Serializer};

use super::{
    Case,
    filter::CaseFilter,
    index_reader::{Batch, Entry, IndexReader},
    item::from_item,
    stats,
};
use crate::{
    auth::Permission,
    base::{
        CaseId, LabId, Subject,
        cursor::CursorKey,
        error::Error,
        field_error::{FieldCode, Invalid},
    },
    http::{MAX_RESPONSE_BYTES, PageRequest, Pagination, Query, Request, size_in_response},
    lab::{LabScope, Labs},
    table::{Consistency, Order, keys},
};

/// The lists of the cases of one lab or several.
pub struct CaseLists<'a> {
    labs: &'a Labs,
}

/// A page of the list of cases.
#[derive(Serialize)]
pub struct CasePage {
    #[serde(serialize_with = "as_views")]
    cases: Vec<Case>,
    pagination: Pagination,
}

fn as_views<S: Serializer>(cases: &[Case], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(cases.iter().map(Case::view))
}

/// Where a list stands in each lab: the key of the last case that was given out.
type Positions = BTreeMap<u64, String>;

impl<'a> CaseLists<'a> {
    /// The lists of these labs' cases.
    pub fn of(labs: &'a Labs) -> Self {
        Self { labs }
    }

    /// The page that the request asks for: `page` or `cursor`, `limit` (or `per_page`), filters and order.
    ///
    /// # Errors
    /// Invalid parameter, with every fault; invalid cursor; forbidden, for deleted cases without the permission.
    pub async fn page(&self, request: &Request) -> Result<CasePage, Error> {
        let mut query = Query::of(request);
        let filter = CaseFilter::read(&mut query, self.user_id());
        let page = PageRequest::read(&mut query, &self.labs.first().services().paging);
        query.finish()?;
        let select = self.select(&filter, page.cursor.as_deref(), page.offset(), page.per_page as usize);
        // The total follows from the statistics, where only the status is asked for.
        let counted = page.cursor.is_none() && !filter.deleted && filter.is_by_status_only();
        let (mut selection, total) = tokio::try_join!(select, async {
            if counted { self.count(&filter).await.map(Some) } else { Ok(None) }
        })?;
        let cases = selection.next(usize::MAX, MAX_RESPONSE_BYTES).await?.unwrap_or_default();
        if page.is_by_number() && !selection.entries.is_empty() {
            let detail = "makes a page that is too large for a response: ask for fewer cases";
            return Err(Error::parameter("/query/per_page", Invalid::new(FieldCode::PageTooLarge, detail)));
        }
        self.record(&filter, &cases).await?;
        let pagination = Pagination::new(&page, self.cursor(&filter, &selection), total);
        Ok(CasePage { cases, pagination })
    }

    /// The `size` cases behind a cursor and behind another `offset` cases.
    pub(super) async fn select(
        &self,
        filter: &CaseFilter,
        cursor: Option<&str>,
        offset: usize,
        size: usize,
    ) -> Result<Selection<'_>, Error> {
        let scopes = self.scopes(filter)?;
        let mut positions = self.open(filter, cursor)?;
        if filter.is_contradictory() {
            return Ok(Selection::default());
        }
        let wanted = offset + size + 1;
        let batches = try_join_all(scopes.iter().map(|lab| {
            let position = positions.get(&lab.lab_id().get()).cloned();
            async move { IndexReader { lab, filter, offset }.next(position.as_deref(), wanted).await }
        }))
        .await?;
        let mut heads: Vec<(&LabScope, Batch)> = scopes.into_iter().zip(batches).collect();
        let (mut entries, mut seen) = (VecDeque::new(), BTreeSet::new());
        for place in 0..offset + size {
            let next = first(&heads, filter.order);
            if next.is_none() && place < offset && heads.iter().any(|(_, head)| head.complete_to.is_some()) {
                let detail = "leads too far for these filters: use the cursor";
                return Err(Error::parameter("/query/page", Invalid::new(FieldCode::PageTooFar, detail)));
            }
            let Some(next) = next else { break };
            let (lab, batch) = &mut heads[next];
            let Some(entry) = batch.entries.pop_front() else { break };
            // One that moved while the list was made may be in it twice.
            if !seen.insert((lab.lab_id(), entry.id)) {
                continue;
            }
            if place < offset {
                positions.insert(lab.lab_id().get(), entry.key);
            } else {
                entries.push_back((*lab, entry));
            }
        }
        let more = heads.iter().any(|(_, s)| !s.entries.is_empty() || s.complete_to.is_some());
        let used_up = heads.into_iter().filter(|(_, batch)| batch.entries.is_empty());
        let ends = used_up.filter_map(|(lab, batch)| Some((lab.lab_id().get(), batch.complete_to?)));
        Ok(Selection { entries, positions, ends: ends.collect(), more })
    }

    /// The cursor for what comes behind the cases that were taken of a selection, if there is more.
    pub(super) fn cursor(&self, filter: &CaseFilter, selection: &Selection) -> Option<String> {
        let mut positions = selection.positions.clone();
        if selection.entries.is_empty() {
            positions.extend(selection.ends.clone());
            selection.more.then_some(())?;
        }
        let position = serde_json::json!(positions).to_string();
        Some(self.cursors().seal(&self.list_name(filter), position.as_bytes()))
    }

    /// The labs that are looked into: for deleted cases, those in which the caller may see such.
    fn scopes(&self, filter: &CaseFilter) -> Result<Vec<&'a LabScope>, Error> {
        let all = self.labs.scopes().iter();
        let scopes: Vec<_> = all.filter(|lab| !filter.deleted || lab.allows(Permission::Restore)).collect();
        if scopes.is_empty() {
            self.labs.first().require(Permission::Restore)?;
        }
        Ok(scopes)
    }

    /// Puts on record, in each lab that was looked into, which of its cases are shown.
    pub(super) async fn record<'c>(
        &self,
        filter: &CaseFilter,
        cases: impl IntoIterator<Item = &'c Case>,
    ) -> Result<(), Error> {
        let mut shown: BTreeMap<LabId, Vec<CaseId>> = BTreeMap::new();
        for case in cases {
            shown.entry(case.lab_id).or_default().push(case.id);
        }
        let records = self.scopes(filter)?.into_iter().map(|lab| {
            let ids = shown.remove(&lab.lab_id()).unwrap_or_default();
            async move { lab.recorder().record_granted(ids).await }
        });
        try_join_all(records).await.map(|_| ())
    }

    /// The caller.
    pub(super) fn user_id(&self) -> &Subject {
        self.labs.first().user_id()
    }

    /// How many cases have the statuses that the filter shows.
    async fn count(&self, filter: &CaseFilter) -> Result<u64, Error> {
        let counts = try_join_all(self.labs.scopes().iter().map(stats::by_status)).await?;
        let shown = |status| filter.statuses.as_ref().is_none_or(|statuses| statuses.contains(status));
        Ok(counts.iter().flatten().filter(|(status, _)| shown(status)).map(|(_, count)| count).sum())
    }

    /// A cursor is good for the same labs and the same filter; one over all labs, for the same caller.
    fn list_name(&self, filter: &CaseFilter) -> String {
        let first = self.labs.first();
        if self.labs.is_all() {
            format!("cases of all labs of {} {}", first.user_id(), filter.canonical.expose())
        } else {
            format!("cases of {} {}", first.lab_id(), filter.canonical.expose())
        }
    }

    fn open(&self, filter: &CaseFilter, cursor: Option<&str>) -> Result<Positions, Error> {
        let Some(cursor) = cursor else { return Ok(Positions::new()) };
        let position = self.cursors().open(&self.list_name(filter), cursor)?;
        serde_json::from_slice(&position).map_err(|_| CursorKey::invalid())
    }

    fn cursors(&self) -> &CursorKey {
        &self.labs.first().services().cursors
    }
}

/// Cases that were found, but not read yet.
#[derive(Default)]
pub(super) struct Selection<'a> {
    entries: VecDeque<(&'a LabScope, Entry)>,
    /// Where each lab stands before the first of the entries.
    positions: Positions,
    /// Where those labs stand behind the last, of which nothing else was found.
    ends: Positions,
    /// Whether there may be more behind the last.
    more: bool,
}

impl Selection<'_> {
    /// The next cases, at most `count`, and no more than fit into `room` bytes of an answer, but one at least; `None` at
    /// the end. One that was deleted meanwhile is left out.
    pub(super) async fn next(&mut self, count: usize, room: usize) -> Result<Option<Vec<Case>>, Error> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let mut taken: VecDeque<_> = self.entries.drain(..count.min(self.entries.len())).collect();
        read(&mut taken).await?;
        let (mut cases, mut size) = (Vec::with_capacity(taken.len()), 0);
        while let Some((lab, entry)) = taken.pop_front() {
            size += entry.case.as_ref().map_or(0, |case| size_in_response(&case.view()));
            if size > room && !cases.is_empty() {
                taken.push_front((lab, entry));
                break;
            }
            self.positions.insert(lab.lab_id().get(), entry.key);
            cases.extend(entry.case.map(|case| *case));
        }
        taken.append(&mut self.entries);
        self.entries = taken;
        Ok(Some(cases))
    }
}

/// The lab whose next case comes first; none when that cannot be told, because a lab may have cases in between that
/// were not read, or when there are no more.
fn first(heads: &[(&LabScope, Batch)], order: Order) -> Option<usize> {
    let ran_dry = |batch: &Batch| batch.entries.is_empty() && batch.complete_to.is_some();
    if heads.iter().any(|(_, batch)| ran_dry(batch)) {
        return None;
    }
    let key = |index: &usize| -> Option<(&str, LabId)> {
        let (lab, batch) = &heads[*index];
        Some((batch.entries.front()?.at.as_str(), lab.lab_id()))
    };
    let left = (0..heads.len()).filter(|index| key(index).is_some());
    match order {
        Order::Ascending => left.min_by_key(|index| key(index)),
        Order::Descending => left.max_by_key(|index| key(index)),
    }
}

/// Reads the cases of the entries that come without; one that is gone stays away.
async fn read(entries: &mut VecDeque<(&LabScope, Entry)>) -> Result<(), Error> {
    let mut wanted: BTreeMap<LabId, (&LabScope, Vec<String>)> = BTreeMap::new();
    for (lab, entry) in entries.iter().filter(|(_, entry)| entry.case.is_none()) {
        wanted.entry(lab.lab_id()).or_insert((lab, Vec::new())).1.push(keys::case(entry.id));
    }
    let read = wanted.into_values().map(|(lab, sks)| async move {
        let mut items = lab.table().get_many(lab.lab_id(), &sks, Consistency::Eventual).await?;
        // An index may know of a case that this read does not see yet.
        let mut missing = sks;
        missing.retain(|sk| !items.contains_key(sk) && lab.has_time_left());
        items.extend(lab.table().get_many(lab.lab_id(), &missing, Consistency::Strong).await?);
        Ok::<_, Error>((lab.lab_id(), items))
    });
    let mut found: BTreeMap<_, _> = try_join_all(read).await?.into_iter().collect();
    for (lab, entry) in entries.iter_mut().filter(|(_, entry)| entry.case.is_none()) {
        let item = found.get_mut(&lab.lab_id()).and_then(|items| items.remove(&keys::case(entry.id)));
        entry.case = item.map(from_item).transpose()?.map(Box::new);
    }
    Ok(())
}
