//! Verifies the audit trail of a day: the audit records and the events in the tables must be those of the archive.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use futures_util::{StreamExt, future::try_join, stream};
use jiff::civil::Date;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    archive::{self, ArchiveEntry, ChangeKind, ERASED_AT, FIELDS, ItemKind},
    audit::seal,
    base::{CaseId, cursor::CursorKey, error::Error, seal::Broken, time::Timestamp, validate::date},
    case::{epoch::Epochs, event::Event},
    http::{Query as Parameters, Request},
    lab::LabScope,
    table::{self, Consistency, Item, Query, keys},
    telemetry::SecurityEvent,
    wire_enum,
};

/// How long after its time an item may be missing in the archive, and how late it may be written, in seconds. The streams
/// collect changes for a minute, and a failed batch comes again.
const PENDING_SECONDS: i64 = 900;
/// How many hours of the day are verified at the same time.
const CONCURRENCY: usize = 4;
/// The response lists at most this many faults.
const MAX_FAULTS: usize = 100;

wire_enum! {
    /// How the tables and the archive disagree about an item.
    TrailFaultKind { Changed = "changed", Removed = "removed", Added = "added", Forged = "forged" }
}

/// One disagreement.
#[derive(Serialize)]
pub struct TrailFault {
    item: ItemKind,
    fault: TrailFaultKind,
    at: Timestamp,
    /// The sort key in its table.
    id: String,
    case_id: Option<u64>,
    version: Option<u64>,
    detail: &'static str,
}

/// The result of the verification of a day, or of some hours of it.
#[derive(Serialize)]
pub struct TrailVerification {
    day: Date,
    valid: bool,
    /// Audit records in the table.
    records: usize,
    /// Audit records in the archive.
    archived_records: usize,
    /// Events in the archive.
    archived_events: usize,
    /// Those of them that are gone, or were replaced, since the table was restored to an earlier time.
    lost_events: usize,
    /// Records that are too new to be in the archive for certain.
    pending: usize,
    fault_count: usize,
    /// The first faults.
    faults: Vec<TrailFault>,
    table_reaches_back_to: Date,
    archive_reaches_back_to: Option<Date>,
    /// For the rest of the day, if the time of the request was over.
    next_cursor: Option<String>,
}

/// The audit trail of one lab.
pub struct AuditTrail<'a> {
    lab: &'a LabScope,
}

/// What one hour adds to the result.
#[derive(Default)]
struct Findings {
    records: usize,
    archived_records: usize,
    archived_events: usize,
    lost_events: usize,
    pending: usize,
    faults: Vec<TrailFault>,
}

impl<'a> AuditTrail<'a> {
    /// The audit trail of the scope's lab.
    pub fn of(lab: &'a LabScope) -> Self {
        Self { lab }
    }

    /// Verifies the trail of the day in the query, which is today if it names none. If there is too much for one request, the
    /// result has a cursor for the rest of the day.
    ///
    /// # Errors
    /// Invalid parameter; invalid cursor; unavailable, when the tables or the archive do not answer.
    pub async fn verify(&self, request: &Request) -> Result<TrailVerification, Error> {
        let mut query = Parameters::of(request);
        let now = Timestamp::now();
        let day = query.checked("day", date).unwrap_or_else(|| now.date());
        let cursor = query.text("cursor");
        query.finish()?;
        let list = format!("trail of {day} of {}", self.lab.lab_id());
        let cursors = self.lab.cursors()?;
        let first = match cursor {
            None => 0,
            Some(cursor) => {
                let hour = cursors.open(&list, &cursor)?;
                *hour.first().filter(|hour| **hour < 24).ok_or_else(CursorKey::invalid)?
            }
        };
        self.lab.recorder().record_granted(Vec::new()).await?;
        let archive = self.lab.services().archive()?;
        let oldest = archive.first_day(self.lab.lab_id()).await?;

        let mut found = Findings::default();
        let mut next = None;
        let hours =
            stream::iter(first..24).map(|hour| async move { (hour, self.verify_hour(day, hour).await) });
        let mut hours = std::pin::pin!(hours.buffered(CONCURRENCY));
        while let Some((hour, result)) = hours.next().await {
            found.add(result?);
            if hour < 23 && !self.lab.has_time_left() {
                next = Some(cursors.seal(&list, &[hour + 1]));
                break;
            }
        }
        if !found.faults.is_empty() {
            self.lab.report(SecurityEvent::VerificationFailed);
        }
        let fault_count = found.faults.len();
        found.faults.truncate(MAX_FAULTS);
        Ok(TrailVerification {
            day,
            valid: fault_count == 0,
            records: found.records,
            archived_records: found.archived_records,
            archived_events: found.archived_events,
            lost_events: found.lost_events,
            pending: found.pending,
            fault_count,
            faults: found.faults,
            table_reaches_back_to: now.days_ago(self.lab.services().audit_table_days).date(),
            archive_reaches_back_to: oldest,
            next_cursor: next,
        })
    }

    async fn verify_hour(&self, day: Date, hour: u8) -> Result<Findings, Error> {
        let (lab, prefix) = (self.lab.lab_id(), format!("{day}T{hour:02}"));
        let range = Query::of_table(prefix.as_str(), format!("{prefix}{}", keys::PAST_ALL)).consistent();
        let records = self.lab.audit_table().query_all(lab, range);
        let (items, entries) = try_join(records, self.lab.services().archive()?.read(lab, &prefix)).await?;
        let (events, records): (Vec<_>, Vec<_>) =
            entries.into_iter().partition(|entry| entry.item == ItemKind::Event);
        let mut found = Findings::default();
        self.compare_records(&mut found, items, &History::of(records))?;
        self.compare_events(&mut found, &History::of(events)).await?;
        found.faults.sort_by(|one, other| (one.at, &one.id).cmp(&(other.at, &other.id)));
        Ok(found)
    }

    fn compare_records(
        &self,
        found: &mut Findings,
        items: Vec<Item>,
        archived: &History,
    ) -> Result<(), Error> {
        let kind = ItemKind::AuditRecord;
        found.records = items.len();
        found.archived_records = archived.added.len();
        let mut seen = BTreeSet::new();
        for item in items {
            let broken = seal::check(&self.lab.services().seals, &item)?;
            let image: Map<String, Value> = table::from_item(item)?;
            let sk = image.get("sk").and_then(Value::as_str).unwrap_or_default().to_owned();
            let at = sk.split('#').next().and_then(Timestamp::parse).unwrap_or_else(Timestamp::now);
            let entry = archived.added.get(&sk);
            let is_new = Timestamp::now().seconds_since(at) < PENDING_SECONDS;
            let members = archive::members(kind, &image);
            let fault = match entry {
                Some(entry) if entry.members != members => Some((TrailFaultKind::Changed, CHANGED)),
                None if !is_new => Some((TrailFaultKind::Added, NOT_ARCHIVED)),
                Some(entry) if entry.is_late() => Some((TrailFaultKind::Added, LATE)),
                _ => broken.map(|broken| match broken {
                    Broken::UnknownKey => (TrailFaultKind::Forged, UNKNOWN_KEY),
                    Broken::Missing | Broken::WrongMac => (TrailFaultKind::Forged, WRONG_SEAL),
                }),
            };
            match fault {
                Some((fault, detail)) => found.report(kind, fault, at, &sk, &image, detail),
                None if entry.is_none() => found.pending += 1,
                None => {}
            }
            seen.insert(sk);
        }
        let table_start = Timestamp::now().days_ago(self.lab.services().audit_table_days);
        for (sk, entry) in archived.added.iter().filter(|(sk, _)| !seen.contains(*sk)) {
            if entry.at > table_start {
                found.report(kind, TrailFaultKind::Removed, entry.at, sk, &entry.members, MISSING);
            }
        }
        found.report_tampering(kind, archived);
        Ok(())
    }

    /// Compares the events of the archive with the table of cases. An event that a restore of the table explains is no fault.
    async fn compare_events(&self, found: &mut Findings, archived: &History) -> Result<(), Error> {
        let (kind, lab) = (ItemKind::Event, self.lab.lab_id());
        found.archived_events = archived.added.len();
        let mut sks: Vec<String> = archived.added.keys().cloned().collect();
        let cases =
            archived.added.values().filter_map(|entry| CaseId::new(entry.members.get("case_id")?.as_u64()?));
        let tombstones: BTreeSet<String> = cases.map(keys::tombstone).collect();
        sks.extend(tombstones);
        sks.push(keys::EPOCHS.to_owned());
        let mut items = self.lab.table().get_many(lab, &sks, Consistency::Strong, self.lab.retry()).await?;
        let epochs = Epochs::of_item(items.remove(keys::EPOCHS))?;
        for (sk, entry) in &archived.added {
            let mut fault = self.event_fault(sk, entry, &items)?;
            let differs = matches!(fault, Some((TrailFaultKind::Removed | TrailFaultKind::Changed, _)));
            if differs && epochs.may_have_lost(entry.at) {
                found.lost_events += 1;
                // The new change with the number of the lost one.
                let again = archived.again.get(sk).filter(|again| !epochs.may_have_lost(again.at));
                fault = again.map_or(Ok(None), |again| self.event_fault(sk, again, &items))?;
            }
            if let Some((fault, detail)) = fault {
                found.report(kind, fault, entry.at, sk, &entry.members, detail);
            }
        }
        found.report_tampering(kind, archived);
        Ok(())
    }

    /// What is wrong with the event in the table, compared with its entry in the archive.
    fn event_fault(
        &self,
        sk: &str,
        entry: &ArchiveEntry,
        items: &HashMap<String, Item>,
    ) -> Result<Option<(TrailFaultKind, &'static str)>, Error> {
        let Some(item) = items.get(sk) else { return Ok(Some((TrailFaultKind::Removed, MISSING))) };
        let image: Map<String, Value> = table::from_item(item.clone())?;
        let mut members = archive::members(ItemKind::Event, &image);
        let mut expected = entry.members.clone();
        Ok(match members.remove(ERASED_AT) {
            Some(erased_at) => {
                members.remove(FIELDS);
                expected.remove(FIELDS);
                let case = entry.members.get("case_id").and_then(Value::as_u64).and_then(CaseId::new);
                let is_disposed = case.is_some_and(|case| items.contains_key(&keys::tombstone(case)));
                let erased_at = erased_at.as_str().and_then(Timestamp::parse);
                let is_new = erased_at.is_some_and(|at| Timestamp::now().seconds_since(at) < PENDING_SECONDS);
                (members != expected || !(is_disposed || is_new))
                    .then_some((TrailFaultKind::Changed, CHANGED))
            }
            None if members != expected => Some((TrailFaultKind::Changed, CHANGED)),
            None if entry.is_late() => Some((TrailFaultKind::Added, LATE)),
            None => match table::from_item::<Event>(item.clone()) {
                Ok(event) if event.is_authentic(&self.lab.services().seals, self.lab.lab_id())? => None,
                _ => Some((TrailFaultKind::Forged, WRONG_SEAL)),
            },
        })
    }
}

const CHANGED: &str = "The item in the table is not the one in the archive.";
const CHANGED_BACK: &str = "The item was changed or removed, and then put back.";
const MISSING: &str = "The archive has the item, and the table does not.";
const NOT_ARCHIVED: &str = "The table has the item, and the archive does not.";
const LATE: &str = "The item was added long after its time.";
const WRONG_SEAL: &str = "The seal does not fit the item.";
const UNKNOWN_KEY: &str = "The service does not have the key of the item's seal.";

/// The archive's entries of one kind.
struct History {
    /// The first entry of each item, by sort key.
    added: BTreeMap<String, ArchiveEntry>,
    /// The last entry of each item that was added several times.
    again: BTreeMap<String, ArchiveEntry>,
    /// The entries of changes that this service does not make.
    tampering: Vec<ArchiveEntry>,
}

impl History {
    fn of(entries: Vec<ArchiveEntry>) -> Self {
        let (mut added, mut again, mut tampering) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        for entry in entries {
            match entry.change {
                ChangeKind::Added => {
                    // The entries are in their order, so another one is of an item that was removed and put back, or of the
                    // table after a restore.
                    if added.contains_key(&entry.sk) {
                        again.insert(entry.sk.clone(), entry);
                    } else {
                        added.insert(entry.sk.clone(), entry);
                    }
                }
                ChangeKind::Changed | ChangeKind::Removed => tampering.push(entry),
                ChangeKind::Erased => {}
            }
        }
        Self { added, again, tampering }
    }
}

impl ArchiveEntry {
    /// Whether the item was written long after the time in it.
    fn is_late(&self) -> bool {
        self.changed_at.seconds_since(self.at) > PENDING_SECONDS
    }
}

impl Findings {
    fn add(&mut self, other: Self) {
        self.records += other.records;
        self.archived_records += other.archived_records;
        self.archived_events += other.archived_events;
        self.lost_events += other.lost_events;
        self.pending += other.pending;
        self.faults.extend(other.faults);
    }

    fn report(
        &mut self,
        item: ItemKind,
        fault: TrailFaultKind,
        at: Timestamp,
        sk: &str,
        members: &Map<String, Value>,
        detail: &'static str,
    ) {
        let number = |name: &str| members.get(name).and_then(Value::as_u64);
        let (case_id, version) = (number("case_id"), number("version"));
        self.faults.push(TrailFault { item, fault, at, id: sk.to_owned(), case_id, version, detail });
    }

    /// Reports the items that were changed or removed, unless the table already shows it.
    fn report_tampering(&mut self, kind: ItemKind, archived: &History) {
        for entry in &archived.tampering {
            if self.faults.iter().any(|fault| fault.item == kind && fault.id == entry.sk) {
                continue;
            }
            let fault = match entry.change {
                ChangeKind::Removed => TrailFaultKind::Removed,
                _ => TrailFaultKind::Changed,
            };
            self.report(kind, fault, entry.at, &entry.sk, &entry.members, CHANGED_BACK);
        }
    }
}
