//! Lists of cases, with filters, order and pages, from one lab or merged from several labs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use futures_util::future::try_join_all;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use super::{
    Case,
    entry::{Entry, EntryCase, read_cases},
    filter::{CaseFilter, Condition},
    index_reader::{Batch, IndexReader},
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
    http::{MAX_RESPONSE_BYTES, PageRequest, Pagination, Query, length_in_json},
    lab::{LabScope, Labs},
    table::{Consistency, Order, throttled},
};

/// The lists of the cases of one lab or several.
pub struct CaseLists<'a> {
    labs: &'a Labs,
}

/// A page of the list of cases.
#[derive(Serialize)]
pub struct CasePage {
    /// Each case as JSON already, because the size of a response decides how many fit.
    cases: Vec<Box<RawValue>>,
    pagination: Pagination,
}

/// A position in a list: for each lab the key of the last returned case.
type Positions = BTreeMap<u64, String>;

impl<'a> CaseLists<'a> {
    /// The lists of these labs' cases.
    pub fn of(labs: &'a Labs) -> Self {
        Self { labs }
    }

    /// Reads the requested page. The parameters are `page` or `cursor`, `limit` (or `per_page`), filters and order.
    ///
    /// # Errors
    /// Invalid parameter (validation, for parameters in the body), with all errors; invalid cursor; forbidden, for deleted
    /// cases without the permission to restore.
    pub async fn page(&self, mut query: Query) -> Result<CasePage, Error> {
        let filter = CaseFilter::read(&mut query, self.user_id());
        let page = PageRequest::read(&mut query, &self.labs.first().services().paging);
        query.finish()?;
        let select = self.select(&filter, page.cursor.as_deref(), page.offset(), page.per_page as usize);
        // The statistics have the total if the filter selects by status only.
        let has_total = page.cursor.is_none() && !filter.deleted && filter.has_only(&[Condition::Status]);
        let (mut selection, total) = tokio::try_join!(select, async {
            if has_total { self.count(&filter).await.map(Some) } else { Ok(None) }
        })?;
        let (mut shown, mut size) = (Vec::new(), 0);
        let cases = selection.next(usize::MAX, |case| {
            let view =
                to_raw_value(&case.view()).map_err(|_| Error::internal("a case does not serialize"))?;
            size += length_in_json(view.get().as_bytes());
            let fits = size <= MAX_RESPONSE_BYTES || shown.is_empty();
            if fits {
                shown.push(view);
            }
            Ok(fits)
        });
        let cases = cases.await?.unwrap_or_default();
        if page.is_by_number() && selection.is_out_of_time {
            return Err(throttled());
        }
        if page.is_by_number() && !selection.entries.is_empty() {
            let detail = "makes the page too large for a response: request fewer cases";
            return Err(filter.source.error("per_page", Invalid::new(FieldCode::PageTooLarge, detail)));
        }
        self.record(&filter, &cases).await?;
        let total = total.or(selection.total.filter(|_| page.cursor.is_none()));
        let pagination = Pagination::new(&page, self.cursor(&filter, &selection)?, total);
        Ok(CasePage { cases: shown, pagination })
    }

    /// Selects `size` cases after a cursor, after skipping `offset` cases.
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
            return Ok(Selection { total: Some(0), ..Selection::default() });
        }
        let (count, is_merged) = (offset + size + 1, scopes.len() > 1);
        let batches = try_join_all(scopes.iter().map(|lab| {
            let position = positions.get(&lab.lab_id().get()).cloned();
            async move {
                IndexReader { lab, filter, offset, is_merged, candidates: None }
                    .next(position.as_deref(), count)
                    .await
            }
        }))
        .await?;
        let total = batches.iter().map(|batch| batch.total.map(|total| total as u64)).sum();
        let mut heads: Vec<(&LabScope, Batch)> = scopes.into_iter().zip(batches).collect();
        let (mut entries, mut selected) = (VecDeque::new(), BTreeSet::new());
        for index in 0..offset + size {
            let next = lab_with_next_case(&heads, filter.order);
            if next.is_none() && index < offset && heads.iter().any(|(_, head)| head.complete_to.is_some()) {
                let detail = "is too far for these filters: use the cursor";
                return Err(filter.source.error("page", Invalid::new(FieldCode::PageTooFar, detail)));
            }
            let Some(next) = next else { break };
            let (lab, batch) = &mut heads[next];
            let Some(entry) = batch.entries.pop_front() else { break };
            // A case that changed during the read may appear twice.
            if !selected.insert((lab.lab_id(), entry.id)) {
                continue;
            }
            if index < offset {
                positions.insert(lab.lab_id().get(), entry.key);
            } else {
                entries.push_back((*lab, entry));
            }
        }
        let has_more =
            heads.iter().any(|(_, batch)| !batch.entries.is_empty() || batch.complete_to.is_some());
        let finished = heads.into_iter().filter(|(_, batch)| batch.entries.is_empty());
        let ends = finished.filter_map(|(lab, batch)| Some((lab.lab_id().get(), batch.complete_to?)));
        Ok(Selection {
            entries,
            positions,
            ends: ends.collect(),
            has_more,
            total,
            is_new: true,
            is_out_of_time: false,
        })
    }

    /// Makes the cursor for the cases after those already read from a selection, if there are more.
    pub(super) fn cursor(&self, filter: &CaseFilter, selection: &Selection) -> Result<Option<String>, Error> {
        let mut positions = selection.positions.clone();
        if selection.entries.is_empty() {
            if !selection.has_more {
                return Ok(None);
            }
            positions.extend(selection.ends.clone());
        }
        let position = serde_json::json!(positions).to_string();
        Ok(Some(self.cursors()?.seal(&self.list_name(filter), position.as_bytes())))
    }

    /// The labs of the list. For deleted cases, only labs in which the caller has the permission to restore.
    pub(super) fn scopes(&self, filter: &CaseFilter) -> Result<Vec<&'a LabScope>, Error> {
        let all = self.labs.scopes().iter();
        let scopes: Vec<_> = all.filter(|lab| !filter.deleted || lab.allows(Permission::Restore)).collect();
        if scopes.is_empty() {
            self.labs.first().require(Permission::Restore)?;
        }
        Ok(scopes)
    }

    /// Writes an audit record in each lab of the list, with the returned cases of that lab.
    pub(super) async fn record<'c>(
        &self,
        filter: &CaseFilter,
        cases: impl IntoIterator<Item = &'c Case>,
    ) -> Result<(), Error> {
        let mut returned: BTreeMap<LabId, Vec<CaseId>> = BTreeMap::new();
        for case in cases {
            returned.entry(case.lab_id).or_default().push(case.id);
        }
        let records = self.scopes(filter)?.into_iter().map(|lab| {
            let ids = returned.remove(&lab.lab_id()).unwrap_or_default();
            async move { lab.recorder().record_granted(ids).await }
        });
        try_join_all(records).await.map(|_| ())
    }

    /// Whether the request has time left for another call.
    pub(super) fn has_time_left(&self) -> bool {
        self.labs.first().has_time_left()
    }

    /// The caller.
    pub(super) fn user_id(&self) -> &Subject {
        self.labs.first().user_id()
    }

    /// Counts the cases with the statuses of the filter.
    async fn count(&self, filter: &CaseFilter) -> Result<u64, Error> {
        // The list itself is not consistent either.
        let counts = self.labs.scopes().iter().map(|lab| stats::counts(lab, Consistency::Eventual));
        let counts = try_join_all(counts).await?;
        let is_selected = |status| filter.statuses.as_ref().is_none_or(|statuses| statuses.contains(status));
        let counts = counts.iter().flat_map(|counts| &counts.by_status);
        Ok(counts.filter(|(status, _)| is_selected(status)).map(|(_, count)| count).sum())
    }

    /// The list's name for cursors. A cursor is valid for the same labs and filter; with all labs, for the same caller.
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
        let position = self.cursors()?.open(&self.list_name(filter), cursor)?;
        serde_json::from_slice(&position).map_err(|_| CursorKey::invalid())
    }

    fn cursors(&self) -> Result<&CursorKey, Error> {
        self.labs.first().cursors()
    }
}

/// Selected cases that are not read yet.
#[derive(Default)]
pub(super) struct Selection<'a> {
    entries: VecDeque<(&'a LabScope, Entry)>,
    /// The position before the first entry.
    positions: Positions,
    /// The position after the last entry, for labs without further entries in their batch.
    ends: Positions,
    /// Whether there may be more cases after the last entry.
    has_more: bool,
    /// The number of all cases of the list, if it is known. It is not known with a cursor.
    total: Option<u64>,
    /// Whether no entry has been read.
    is_new: bool,
    /// Whether the time of the request was over before all entries were read.
    is_out_of_time: bool,
}

impl Selection<'_> {
    /// Reads the next cases: at most `count`, up to the first that does not fit. Leaves out cases that were deleted meanwhile.
    /// Returns `None` at the end. When the time of the request is over, it returns the cases that it has read.
    ///
    /// # Errors
    /// Unavailable, also when the time is over before it has read a case; the errors of `fits`.
    pub(super) async fn next(
        &mut self,
        count: usize,
        mut fits: impl FnMut(&Case) -> Result<bool, Error>,
    ) -> Result<Option<Vec<Case>>, Error> {
        if self.entries.is_empty() || self.is_out_of_time {
            return Ok(None);
        }
        let mut taken: VecDeque<_> = self.entries.drain(..count.min(self.entries.len())).collect();
        read(&mut taken).await?;
        let mut cases = Vec::with_capacity(taken.len());
        while let Some((lab, entry)) = taken.pop_front() {
            let case = match entry.case {
                EntryCase::Read(case) => Some(case),
                EntryCase::Gone => None,
                EntryCase::Unread if self.is_new => return Err(throttled()),
                EntryCase::Unread => {
                    taken.push_front((lab, entry));
                    self.is_out_of_time = true;
                    break;
                }
            };
            let case = match case {
                Some(case) if !fits(&case)? => {
                    taken.push_front((lab, Entry { case: EntryCase::Read(case), ..entry }));
                    break;
                }
                other => other,
            };
            self.positions.insert(lab.lab_id().get(), entry.key);
            self.is_new = false;
            cases.extend(case.map(|case| *case));
        }
        taken.append(&mut self.entries);
        self.entries = taken;
        Ok(Some(cases))
    }
}

/// Finds the lab that has the next case in the order. Returns `None` when there are no more cases, and also when a lab's
/// batch is used up but the lab may have more cases, because the next case could be one of those.
fn lab_with_next_case(heads: &[(&LabScope, Batch)], order: Order) -> Option<usize> {
    let is_used_up = |batch: &Batch| batch.entries.is_empty() && batch.complete_to.is_some();
    if heads.iter().any(|(_, batch)| is_used_up(batch)) {
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

/// Reads the cases of entries that have no case yet, of all labs at the same time.
async fn read(entries: &mut VecDeque<(&LabScope, Entry)>) -> Result<(), Error> {
    let mut by_lab: BTreeMap<LabId, (&LabScope, Vec<&mut Entry>)> = BTreeMap::new();
    for (lab, entry) in entries {
        by_lab.entry(lab.lab_id()).or_insert((*lab, Vec::new())).1.push(entry);
    }
    try_join_all(by_lab.into_values().map(|(lab, entries)| read_cases(lab, false, entries.into_iter())))
        .await
        .map(|_| ())
}
