//! Lists of cases: filtered, ordered, a page at a time, of one lab or of several merged.

use std::collections::{BTreeMap, VecDeque};

use futures_util::future::try_join_all;
use serde::{Serialize, Serializer};

use super::{
    Case, CaseId,
    filter::CaseFilter,
    item::from_item,
    stats,
    stream::{Entry, Stream, Stretch},
};
use crate::{
    cursor::CursorKey,
    error::Error,
    http::{Query, Request},
    keys,
    lab::{LabId, LabScope, Labs, Permission},
    page::{PageRequest, Pagination},
    table::{Consistency, Order},
    token::Subject,
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
    pub(crate) fn new(labs: &'a Labs) -> Self {
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
        let counted = page.is_by_number() && !filter.deleted && filter.is_by_status_only();
        let (mut selection, total) = tokio::try_join!(select, async {
            if counted { self.count(&filter).await.map(Some) } else { Ok(None) }
        })?;
        let cases = selection.next(usize::MAX).await?.unwrap_or_default();
        self.record(&cases).await?;
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
        if filter.deleted {
            for lab in self.labs.scopes() {
                lab.require_permission(Permission::Restore)?;
            }
        }
        let mut positions = self.open(filter, cursor)?;
        if filter.is_contradictory() {
            return Ok(Selection::default());
        }
        let wanted = offset + size + 1;
        let stretches = try_join_all(self.labs.scopes().iter().map(|lab| {
            let position = positions.get(&lab.lab_id().get()).cloned();
            async move { Stream { lab, filter, offset }.next(position.as_deref(), wanted).await }
        }))
        .await?;
        let mut heads: Vec<(&LabScope, Stretch)> = self.labs.scopes().iter().zip(stretches).collect();
        let mut entries = VecDeque::new();
        for place in 0..offset + size {
            let Some(next) = first(&heads, filter.order) else { break };
            let (lab, stretch) = &mut heads[next];
            let Some(entry) = stretch.entries.pop_front() else { break };
            if place < offset {
                positions.insert(lab.lab_id().get(), entry.key);
            } else {
                entries.push_back((*lab, entry));
            }
        }
        let more = heads.iter().any(|(_, s)| !s.entries.is_empty() || s.complete_to.is_some());
        let used_up = heads.into_iter().filter(|(_, stretch)| stretch.entries.is_empty());
        let ends = used_up.filter_map(|(lab, stretch)| Some((lab.lab_id().get(), stretch.complete_to?)));
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

    /// Puts on record, in each lab that was looked into, which of its cases are shown.
    pub(super) async fn record<'c>(&self, cases: impl IntoIterator<Item = &'c Case>) -> Result<(), Error> {
        let mut shown: BTreeMap<LabId, Vec<CaseId>> = BTreeMap::new();
        for case in cases {
            shown.entry(case.lab_id).or_default().push(case.id);
        }
        let records = self.labs.scopes().iter().map(|lab| {
            let ids = shown.remove(&lab.lab_id()).unwrap_or_default();
            async move { lab.recorder().granted(ids).await }
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
    /// The next cases, at most `count`; `None` at the end. One that was deleted meanwhile is left out.
    pub(super) async fn next(&mut self, count: usize) -> Result<Option<Vec<Case>>, Error> {
        if self.entries.is_empty() {
            return Ok(None);
        }
        let taken: Vec<_> = self.entries.drain(..count.min(self.entries.len())).collect();
        for (lab, entry) in &taken {
            self.positions.insert(lab.lab_id().get(), entry.key.clone());
        }
        whole(taken).await.map(Some)
    }
}

/// The lab whose next case comes first; none when that cannot be told, because a lab may have cases in between that
/// were not read, or when there are no more.
fn first(heads: &[(&LabScope, Stretch)], order: Order) -> Option<usize> {
    let ran_dry = |stretch: &Stretch| stretch.entries.is_empty() && stretch.complete_to.is_some();
    if heads.iter().any(|(_, stretch)| ran_dry(stretch)) {
        return None;
    }
    let key = |index: &usize| -> Option<(&str, LabId)> {
        let (lab, stretch) = &heads[*index];
        Some((stretch.entries.front()?.at.as_str(), lab.lab_id()))
    };
    let left = (0..heads.len()).filter(|index| key(index).is_some());
    match order {
        Order::Ascending => left.min_by_key(|index| key(index)),
        Order::Descending => left.max_by_key(|index| key(index)),
    }
}

/// The cases of entries.
async fn whole(entries: Vec<(&LabScope, Entry)>) -> Result<Vec<Case>, Error> {
    let mut wanted: BTreeMap<LabId, (&LabScope, Vec<String>)> = BTreeMap::new();
    for (lab, entry) in entries.iter().filter(|(_, entry)| entry.case.is_none()) {
        wanted.entry(lab.lab_id()).or_insert((lab, Vec::new())).1.push(keys::case(entry.id));
    }
    let read = wanted.into_values().map(|(lab, sks)| async move {
        let items = lab.table().get_many(lab.lab_id(), &sks, Consistency::Eventual).await?;
        Ok::<_, Error>((lab.lab_id(), items))
    });
    let mut found: BTreeMap<_, _> = try_join_all(read).await?.into_iter().collect();
    let mut cases = Vec::with_capacity(entries.len());
    for (lab, Entry { id, case, .. }) in entries {
        let mut item = || found.get_mut(&lab.lab_id())?.remove(&keys::case(id));
        match case {
            Some(case) => cases.push(*case),
            None => cases.extend(item().map(from_item).transpose()?),
        }
    }
    Ok(cases)
}
