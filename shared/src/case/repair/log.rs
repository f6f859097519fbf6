//! Compares the change log with the events.
//!
//! The feed reads a shard's log from number to number, and stops at a missing entry and at an entry of a version that does not
//! exist. Both remain when a case or a partition comes back from a backup. An event names its place in the log, so its entry can
//! be written again. A place that no event names gets the newest version of a case: its readers get the case once more, which
//! does no harm.

use std::collections::BTreeMap;

use super::{
    FaultKind, LogEntry, Place, Repair, RepairReport, cases::Seen, counts::Counts, from_item, place_of,
};
use crate::{
    base::{CaseId, LabId, error::Error, time::Timestamp},
    table::{Item, Query, keys, number, text},
};

/// The number of the last change of each shard.
pub(super) type LastChanges = [u64; keys::SHARDS as usize];

/// A change of a case.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Change {
    case: CaseId,
    version: u32,
    at: Timestamp,
}

/// The item of an entry, without its key.
pub(super) fn entry(case: CaseId, version: u32, at: Timestamp) -> Item {
    Item::from([
        ("case_id".to_owned(), number(case)),
        ("version".to_owned(), number(version)),
        ("at".to_owned(), text(at.to_string())),
    ])
}

impl Repair {
    /// Makes the log complete and equal to the events. Returns the last change of each shard that was there when `before` was
    /// read, or should have been.
    pub(super) async fn check_log(
        &self,
        lab: LabId,
        seen: &Seen,
        before: &Counts,
        report: &mut RepairReport,
    ) -> Result<LastChanges, Error> {
        let entries = self.entries(lab).await?;
        let now = self.shards(lab).await?;
        report.log_entries = entries.len() as u64;
        let mut of_events = BTreeMap::<Place, Change>::new();
        for (id, version, event) in seen.events() {
            if let Some(place) = event.place {
                of_events.insert(place, Change { case: id, version, at: event.at });
            }
        }
        let mut last = before.last;
        for shard in 0..keys::SHARDS {
            let slot = usize::from(shard);
            let newest = |place: Option<&Place>| place.map_or(0, |place| place.1);
            let range = (shard, 0)..=(shard, u64::MAX);
            let known = newest(entries.range(range.clone()).next_back().map(|(place, _)| place))
                .max(newest(of_events.range(range).next_back().map(|(place, _)| place)));
            let item = now.get(&shard);
            let said = item.map_or(0, super::super::change_set::last_change);
            let is_behind = said < known;
            if is_behind {
                last[slot] = known;
            }
            for number in 1..=last[slot] {
                let place = (shard, number);
                let should = self.should_be(seen, place, &of_events, &entries);
                let is = entries.get(&place);
                let kind = match (is, should) {
                    (None, _) => FaultKind::LogEntryMissing,
                    (Some(is), Should::Be(change)) if *is != Some(change) => FaultKind::LogEntryWrong,
                    (Some(_), Should::Nothing) => FaultKind::LogEntryWrong,
                    _ => continue,
                };
                let sk = keys::change(shard, number);
                match should {
                    Should::Be(change) => {
                        let detail = format!("should be of case {}, version {}", change.case, change.version);
                        report.add(kind, &sk, detail, true);
                        if self.writes() {
                            let item = entry(change.case, change.version, change.at);
                            self.table.set_item(lab, &sk, item).await?;
                        }
                    }
                    Should::Nothing | Should::Stay => {
                        report.add(kind, &sk, "the lab has no case that could take the place", false);
                    }
                }
            }
            if is_behind {
                let detail = format!("the last change is {said}, but there is a change {known}");
                report.add(FaultKind::ShardBehind, keys::shard(shard), detail, true);
                // After the entries, so that the feed never sees a gap.
                if self.writes() {
                    self.table.raise_last_change(lab, &keys::shard(shard), said, known).await?;
                }
            }
        }
        Ok(last)
    }

    /// What an entry should be.
    fn should_be(
        &self,
        seen: &Seen,
        place: Place,
        of_events: &BTreeMap<Place, Change>,
        entries: &BTreeMap<Place, Option<Change>>,
    ) -> Should {
        if let Some(change) = of_events.get(&place) {
            return Should::Be(*change);
        }
        let event = |case: CaseId, version: u32| seen.cases.get(&case)?.events.get(&version);
        let is = entries.get(&place).copied().flatten();
        if let Some(change) = is {
            // Of a release that did not write places into events, or written by an earlier repair.
            if event(change.case, change.version).is_some_and(|event| event.at == change.at) {
                return Should::Stay;
            }
        }
        let newest = |case: CaseId| {
            let (version, event) = seen.cases.get(&case)?.events.last_key_value()?;
            Some(Change { case, version: *version, at: event.at })
        };
        // The case itself if it still exists, or else the newest one of the lab.
        let own = is.and_then(|change| newest(change.case));
        let any = || seen.cases.keys().rev().find_map(|case| newest(*case));
        own.or_else(any).map_or(Should::Nothing, Should::Be)
    }

    /// All entries of the log; `None` for an item that cannot be read as one.
    async fn entries(&self, lab: LabId) -> Result<BTreeMap<Place, Option<Change>>, Error> {
        let range = Query::of_table(keys::change_at(""), keys::change_at(keys::PAST_ALL)).consistent();
        let items = self.table.query_all(lab, range).await?;
        let entry = |item: Item| {
            let place = place_of(item.get("sk")?.as_s().ok()?.strip_prefix(&keys::change_at(""))?)?;
            let entry = from_item::<LogEntry>(item).ok();
            Some((
                place,
                entry.map(|entry| Change { case: entry.case_id, version: entry.version, at: entry.at }),
            ))
        };
        Ok(items.into_iter().filter_map(entry).collect())
    }
}

/// What an entry of the log should be.
#[derive(Clone, Copy)]
enum Should {
    /// This change.
    Be(Change),
    /// As it is.
    Stay,
    /// There is nothing that it could be.
    Nothing,
}
