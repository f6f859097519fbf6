//! Checks the data of one lab, and mends what follows from other data: the keys of indexes, the texts and words for searches,
//! the change log, the statistics, the counter of ids and the list of labs. It changes no case and no event. A broken history
//! is reported and never mended, because it is the proof that the other data is compared with.
//!
//! Requests may change the lab meanwhile. Each check compares data of the same moment, and each mend has a condition that
//! fails after another change. Every step can be repeated.

mod cases;
mod comments;
mod counts;
mod files;
mod log;
mod words;

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::{item::from_item, verification::LogEntry, verify::HistoryReader};
use crate::{
    base::{CaseId, LabId, error::Error, seal::SealKeys, time::Timestamp},
    config::{RETRY_BUDGET, VerificationConfig},
    files::FileStore,
    table::{Query, Retry, Table, keys},
    wire_enum,
};

/// Whether a tool writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It writes.
    Write,
    /// It only reports.
    DryRun,
}

wire_enum! {
    /// The kind of a fault.
    FaultKind {
        History = "history", Case = "case", Comment = "comment", Attachment = "attachment",
        FileMissing = "file_missing", StorageCount = "storage_count", IndexKeys = "index_keys", SearchText = "search_text",
        WordsMissing = "words_missing", WordsStale = "words_stale", LogEntryMissing = "log_entry_missing",
        LogEntryWrong = "log_entry_wrong", ShardBehind = "shard_behind", StatusCount = "status_count",
        WaitingCount = "waiting_count", DayCount = "day_count", CounterBehind = "counter_behind", LabUnlisted = "lab_unlisted",
    }
}

/// A fault in the data of a lab. It has ids and numbers only, no patient data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What is wrong.
    pub kind: FaultKind,
    /// Where: the sort key of an item, or a part of it without patient data.
    pub place: String,
    /// What is wrong, in words.
    pub detail: String,
    /// Whether it is mended now. In a dry run, whether it would be.
    pub is_mended: bool,
}

/// What a check has read and found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RepairReport {
    /// Live cases.
    pub live: u64,
    /// Deleted cases.
    pub deleted: u64,
    /// Cases after the end of their retention.
    pub disposed: u64,
    /// Events.
    pub events: u64,
    /// Entries of the change log.
    pub log_entries: u64,
    /// Words in the index of words.
    pub words: u64,
    /// All faults.
    pub faults: Vec<Fault>,
}

/// Checks and mends labs.
pub struct Repair {
    table: Table,
    seals: SealKeys,
    config: VerificationConfig,
    files: Option<FileStore>,
    mode: Mode,
    /// The words of cases that changed later than this long ago are not compared, because the function on the streams may be
    /// about to write them.
    pub unindexed_age: Duration,
}

impl Repair {
    /// Makes the client. Sends nothing yet.
    ///
    /// # Errors
    /// The text says why the client cannot be made.
    pub fn new(config: &VerificationConfig, mode: Mode) -> Result<Self, String> {
        Ok(Self {
            table: Table::new(&config.table)?,
            seals: config.seal.seal_keys(),
            config: config.clone(),
            files: config.files.as_ref().map(|files| FileStore::new(files, &config.table)).transpose()?,
            mode,
            unindexed_age: Duration::from_secs(120),
        })
    }

    /// Checks a lab, and mends it unless it is a dry run. Calls `progress` with the number of cases that are checked, and of
    /// all cases.
    ///
    /// # Errors
    /// Unavailable, when the database fails. A repetition starts again.
    pub async fn run(&self, lab: LabId, progress: impl Fn(u64, u64)) -> Result<RepairReport, Error> {
        let mut report = RepairReport::default();
        let started = Timestamp::now();
        // Before all cases: the changes that come later are then known by their numbers.
        let before = self.counted(lab).await?;
        let ids = self.case_ids(lab).await?;
        self.check_counter(lab, &ids, &mut report).await?;
        let seen = self.check_cases(lab, &ids, progress, &mut report).await?;
        self.check_words(lab, &seen, started, &mut report).await?;
        let last = self.check_log(lab, &seen, &before, &mut report).await?;
        self.check_counts(lab, &seen, &before, &last, &mut report).await?;
        self.check_storage(lab, &mut report).await?;
        Ok(report)
    }

    fn writes(&self) -> bool {
        self.mode == Mode::Write
    }

    fn retry() -> Retry {
        Retry::since(Instant::now(), RETRY_BUDGET)
    }

    fn reader(&self, lab: LabId) -> HistoryReader<'_> {
        HistoryReader {
            table: &self.table,
            lab,
            seals: &self.seals,
            sealed_since: self.config.seal.since,
            retention_days: self.config.retention_days,
            retry: Self::retry(),
        }
    }

    /// The sort keys that begin with a prefix.
    async fn sort_keys(&self, lab: LabId, prefix: &str) -> Result<Vec<String>, Error> {
        let range = Query {
            attributes: &["sk"],
            ..Query::of_table(prefix, format!("{prefix}{}", char::MAX)).consistent()
        };
        let items = self.table.query_all(lab, range).await?;
        Ok(items.iter().filter_map(|item| item.get("sk")?.as_s().ok().cloned()).collect())
    }

    /// The ids of all cases of which there is an item.
    async fn case_ids(&self, lab: LabId) -> Result<BTreeSet<CaseId>, Error> {
        let mut ids = BTreeSet::new();
        for prefix in [keys::EVENT_PREFIX, keys::CASE_PREFIX, keys::DELETED_PREFIX] {
            for sk in self.sort_keys(lab, prefix).await? {
                let id = sk.strip_prefix(prefix).and_then(|rest| rest.split('#').next()?.parse().ok());
                ids.extend(id.and_then(CaseId::new));
            }
        }
        Ok(ids)
    }

    /// The counter must have the last id, and list the lab.
    async fn check_counter(
        &self,
        lab: LabId,
        ids: &BTreeSet<CaseId>,
        report: &mut RepairReport,
    ) -> Result<(), Error> {
        let Some(last) = ids.last() else { return Ok(()) };
        let counter = self.table.get(lab, keys::COUNTER).await?.unwrap_or_default();
        let count = counter.get("last_id").and_then(|id| id.as_n().ok()?.parse::<u64>().ok()).unwrap_or(0);
        let mut add = |kind, detail: String| {
            report.add(kind, keys::COUNTER, detail, true);
        };
        if count < last.get() {
            add(FaultKind::CounterBehind, format!("is {count}, but there is a case {last}"));
            if self.writes() {
                self.table.raise_counter(lab, *last).await?;
            }
        }
        if !counter.contains_key("registry") {
            add(FaultKind::LabUnlisted, "does not list the lab for the scheduled verification".to_owned());
            if self.writes() {
                self.table.list_lab(lab).await?;
            }
        }
        Ok(())
    }
}

impl RepairReport {
    /// The faults that are left.
    pub fn unmended(&self) -> usize {
        self.faults.iter().filter(|fault| !fault.is_mended).count()
    }

    fn add(&mut self, kind: FaultKind, place: impl Into<String>, detail: impl Into<String>, is_mended: bool) {
        self.faults.push(Fault { kind, place: place.into(), detail: detail.into(), is_mended });
    }
}

/// A place in the change log: shard and number.
type Place = (u8, u64);

/// The place in a text such as `07#000000000042`.
fn place_of(text: &str) -> Option<Place> {
    let (shard, number) = text.split_once('#')?;
    let place = (shard.parse().ok()?, number.parse().ok()?);
    (place.0 < keys::SHARDS && keys::log_place(place.0, place.1) == text).then_some(place)
}
