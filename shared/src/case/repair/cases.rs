//! Checks each case: its history, its keys of indexes and its text for searches.

use std::collections::BTreeMap;

use futures_util::{StreamExt, TryStreamExt, stream};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    super::{
        Case,
        event::{Action, Event},
        item::{self, SEARCH},
        tokens::{Words, words_of},
        verification::{CaseItems, Verification, Verifier},
        workflow::Status,
    },
    Fault, FaultKind, Place, Repair, RepairReport, place_of,
};
use crate::{
    base::{
        CaseId, LabId,
        error::Error,
        time::Timestamp,
        wire_enum::{Stored, WireEnum},
    },
    table::{self, Item, Query, keys, text},
};

/// How many cases are checked at the same time.
const CONCURRENCY: usize = 8;
/// How often a case is read again because a request changes it.
const ATTEMPTS: usize = 20;

/// What was seen of all cases of a lab.
#[derive(Default)]
pub(super) struct Seen {
    pub cases: BTreeMap<CaseId, SeenCase>,
}

impl Seen {
    /// All events: case, version and the rest.
    pub(super) fn events(&self) -> impl Iterator<Item = (CaseId, u32, EventPlace)> {
        let of = |(id, case): (&CaseId, &SeenCase)| {
            let id = *id;
            case.events.iter().map(move |(version, event)| (id, *version, *event)).collect::<Vec<_>>()
        };
        self.cases.iter().flat_map(of)
    }
}

/// What was seen of a case.
pub(super) struct SeenCase {
    /// The words of its names, if it exists.
    pub words: Words,
    /// Its last change, if it exists.
    pub updated_at: Option<Timestamp>,
    /// What the statistics have to count, if it is live.
    pub counted: Option<Counted>,
    /// Its events by version.
    pub events: BTreeMap<u32, EventPlace>,
    /// By how much each event changes what the statistics count, for events whose place in the log is known.
    pub deltas: Vec<(Place, Vec<(Counted, i64)>)>,
    /// Whether it cannot be counted.
    pub is_unreadable: bool,
}

/// What the statistics count of a live case.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Counted {
    pub status: Status,
    pub created: Date,
    pub is_remake: bool,
    pub is_waiting: bool,
}

/// The time of an event, and its place in the log.
#[derive(Clone, Copy)]
pub(super) struct EventPlace {
    pub at: Timestamp,
    pub place: Option<Place>,
}

/// What an event keeps even after the end of its case's life.
#[derive(Deserialize)]
struct EventHead {
    case_id: CaseId,
    version: u32,
    at: Timestamp,
    log_entry: Option<String>,
}

impl Repair {
    /// Checks the cases, and mends their keys and texts.
    pub(super) async fn check_cases(
        &self,
        lab: LabId,
        ids: &std::collections::BTreeSet<CaseId>,
        progress: impl Fn(u64, u64),
        report: &mut RepairReport,
    ) -> Result<Seen, Error> {
        let (mut seen, of, mut done) = (Seen::default(), ids.len() as u64, 0);
        let checks = stream::iter(ids.iter().copied()).map(|id| self.check_case(lab, id));
        let mut checks = std::pin::pin!(checks.buffered(CONCURRENCY));
        while let Some((id, case, part)) = checks.try_next().await? {
            report.live += part.live;
            report.deleted += part.deleted;
            report.disposed += part.disposed;
            report.events += part.events;
            report.faults.extend(part.faults);
            seen.cases.insert(id, case);
            done += 1;
            progress(done, of);
        }
        Ok(seen)
    }

    async fn check_case(&self, lab: LabId, id: CaseId) -> Result<(CaseId, SeenCase, RepairReport), Error> {
        let reader = self.reader(lab);
        let mut attempts = 0;
        loop {
            attempts += 1;
            let items = reader.items(id).await?;
            let range = Query::of_table(keys::event(id, 0), keys::last_event(id)).consistent();
            let events = self.table.query_all(lab, range).await?;
            let is_disposed = items.live.is_none() && reader.is_disposed(id, &items).await?;
            let verification = match is_disposed {
                true => None,
                false => Some(self.verify(lab, id, &events, &items)?),
            };
            let mut parts = Vec::new();
            if !is_disposed {
                parts.extend(self.comment_faults(lab, id, &events).await?);
                parts.extend(self.file_faults(lab, id, &events).await?);
            }
            if (verification.as_ref().is_some_and(|found| !found.valid) || !parts.is_empty())
                && attempts < ATTEMPTS
                && reader.items(id).await?.differ_from(&items)
            {
                continue;
            }
            let mut report = RepairReport { events: events.len() as u64, ..RepairReport::default() };
            if let Some(Verification { broken_at: Some(version), fault: Some(fault), .. }) = verification {
                report.add(FaultKind::History, keys::event(id, version), fault, false);
            }
            report.faults.extend(parts);
            match (&items.live, &items.deleted) {
                (Some(_), _) => report.live = 1,
                (None, Some(_)) if !is_disposed => report.deleted = 1,
                _ => report.disposed = u64::from(is_disposed),
            }
            let case = self.see(lab, id, &items, events, &mut report.faults).await?;
            return Ok((id, case, report));
        }
    }

    /// Verifies the history of a case. The log and the keys of indexes are taken as they should be, because they are checked
    /// elsewhere.
    fn verify(
        &self,
        lab: LabId,
        id: CaseId,
        events: &[Item],
        items: &CaseItems,
    ) -> Result<Verification, Error> {
        let reader = self.reader(lab);
        let mut verifier = Verifier::new(&reader, id);
        let events: Vec<Option<Event>> =
            events.iter().map(|event| table::from_item(event.clone()).ok()).collect();
        let log = events.iter().flatten().filter_map(|event| {
            let sk = keys::change_at(event.log_entry.as_deref()?);
            Some((sk, super::log::entry(event.case_id, event.version, event.at)))
        });
        let log = log.collect();
        verifier.check(events, log)?;
        let mut live = items.live.clone();
        if let Some(item) = &mut live
            && let Ok(case) = Case::correctable(item.clone())
        {
            let (set, removed) = case.index_key_changes(item);
            item.extend(set.into_iter().map(|(name, value)| (name.to_owned(), value)));
            removed.into_iter().for_each(|name| drop(item.remove(name)));
        }
        verifier.finish(&CaseItems { live, deleted: items.deleted.clone(), tombstone: None })
    }

    /// Takes what the other checks need, and mends the keys.
    async fn see(
        &self,
        lab: LabId,
        id: CaseId,
        items: &CaseItems,
        events: Vec<Item>,
        faults: &mut Vec<Fault>,
    ) -> Result<SeenCase, Error> {
        let mut seen = SeenCase {
            words: Words::new(),
            updated_at: None,
            counted: None,
            events: BTreeMap::new(),
            deltas: Vec::new(),
            is_unreadable: false,
        };
        for head in events.iter().filter_map(|event| table::from_item::<EventHead>(event.clone()).ok()) {
            if head.case_id == id {
                let place = head.log_entry.as_deref().and_then(place_of);
                seen.events.insert(head.version, EventPlace { at: head.at, place });
            }
        }
        for item in [&items.live, &items.deleted].into_iter().flatten() {
            let json: Map<String, Value> = table::from_item(item.clone())?;
            seen.words.extend(words_of(&json));
        }
        let Some(item) = items.live.as_ref().or(items.deleted.as_ref()) else { return Ok(seen) };
        let Ok(case) = Case::correctable(item.clone()) else {
            let place = if items.live.is_some() { keys::case(id) } else { keys::deleted(id) };
            faults.push(Fault {
                kind: FaultKind::Case,
                place,
                detail: "cannot be read as a case".to_owned(),
                is_mended: false,
            });
            seen.is_unreadable = true;
            return Ok(seen);
        };
        seen.updated_at = Some(case.updated_at);
        let counted = Counted {
            status: case.status,
            created: case.created_at.date(),
            is_remake: case.remake_of.is_some(),
            is_waiting: case.waiting_for_answer,
        };
        seen.counted = Some(counted).filter(|_| items.live.is_some());
        let events: Vec<Event> =
            events.into_iter().filter_map(|event| table::from_item(event).ok()).collect();
        seen.deltas = deltas(counted, items.live.is_some(), &events);
        if let Some(item) = &items.live {
            self.mend_keys(lab, &case, item, faults).await?;
        }
        Ok(seen)
    }

    async fn mend_keys(
        &self,
        lab: LabId,
        case: &Case,
        item: &Item,
        faults: &mut Vec<Fault>,
    ) -> Result<(), Error> {
        let sk = keys::case(case.id);
        let (mut set, removed) = case.index_key_changes(item);
        let mut found = Vec::new();
        if !set.is_empty() || !removed.is_empty() {
            let names: Vec<&str> = set.iter().map(|(name, _)| *name).chain(removed.iter().copied()).collect();
            found.push((FaultKind::IndexKeys, format!("does not fit the case: {}", names.join(", "))));
        }
        let search = text(item::search_text(case));
        if item.get(SEARCH) != Some(&search) {
            set.push((SEARCH, search));
            found.push((FaultKind::SearchText, "does not fit the case".to_owned()));
        }
        if found.is_empty() {
            return Ok(());
        }
        // After a change by a request there is nothing to mend: the request has written all of them.
        let is_mended =
            !self.writes() || self.table.set_attributes(lab, &sk, case.version, &set, &removed).await?;
        if is_mended {
            let fault = |(kind, detail)| Fault { kind, place: sk.clone(), detail, is_mended };
            faults.extend(found.into_iter().map(fault));
        }
        Ok(())
    }
}

/// By how much each event has changed what the statistics count, from the newest event to the oldest.
fn deltas(now: Counted, is_live: bool, events: &[Event]) -> Vec<(Place, Vec<(Counted, i64)>)> {
    let (mut counted, mut is_live) = (now, is_live);
    let mut deltas = Vec::new();
    for event in events.iter().rev() {
        let after = Some(counted).filter(|_| is_live);
        match event.action {
            Stored::Known(Action::Created | Action::Imported | Action::Restored) => is_live = false,
            Stored::Known(Action::Deleted) => is_live = true,
            Stored::Known(
                Action::Updated
                | Action::StatusChanged
                | Action::Remade
                | Action::Commented
                | Action::CommentEdited
                | Action::CommentRemoved
                | Action::FileAdded
                | Action::FileScanned
                | Action::FileRemoved,
            )
            | Stored::Newer(_) => {}
        }
        let from = |field: &str| {
            let change = event.changes.iter().find(|change| change.field == field);
            change.map(|change| change.from.expose())
        };
        let status = from("status").and_then(Value::as_str);
        counted.status = status.and_then(Status::parse).unwrap_or(counted.status);
        let is_waiting = from("waiting_for_answer").and_then(Value::as_bool);
        counted.is_waiting = is_waiting.unwrap_or(counted.is_waiting);
        let before = Some(counted).filter(|_| is_live);
        if before != after
            && let Some(place) = event.log_entry.as_deref().and_then(place_of)
        {
            let amounts = [(before, -1), (after, 1)];
            deltas.push((place, amounts.into_iter().filter_map(|(state, by)| Some((state?, by))).collect()));
        }
    }
    deltas
}
