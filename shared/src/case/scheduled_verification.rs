//! Verifies histories without a request: in every lab the cases that changed lately, and a sample of all cases. A change
//! without its event, or an event without its case, is found here even if somebody changed all items of a case together,
//! because the change log of the lab names each change.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::{
    change_set::last_change,
    item::from_item,
    verification::{HistoryFault, LogEntry},
    verify::HistoryReader,
};
use crate::{
    base::{
        CaseId, LabId,
        error::{Error, ErrorCode},
        seal::SealKeys,
        time::Timestamp,
    },
    config::{RETRY_BUDGET, VerificationConfig},
    table::{Item, Order, Query, Retry, Table, keys},
    telemetry::{self, Details, SecurityEvent},
};

/// How far back a run looks for changes: two hours. A run starts every hour, so each change is seen by two runs and one run
/// that fails leaves no change out.
const LOOK_BACK: Duration = Duration::from_secs(2 * 3600);
/// How many cases of each lab a run picks at random, whatever their age.
const SAMPLE: usize = 10;
/// How many cases are verified at the same time.
const CONCURRENCY: usize = 8;
/// How many log entries one call reads.
const LOG_PAGE: u32 = 100;

/// The verification of all labs.
pub struct ScheduledVerification {
    table: Table,
    seals: Arc<SealKeys>,
    config: VerificationConfig,
}

/// The result of a run. It has no patient data.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct VerificationReport {
    /// The number of labs.
    pub labs: u64,
    /// The number of verified cases.
    pub cases: u64,
    /// The number of them with events of releases without seals.
    pub unsealed: u64,
    /// The number of cases and labs that could not be verified in time or because the database failed.
    pub unverified: u64,
    /// All contradictions.
    pub contradictions: Vec<Contradiction>,
}

/// A contradiction in the data of a case, or in the change log of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Contradiction {
    /// The lab.
    pub lab_id: LabId,
    /// The case; `None` for the log itself.
    pub case_id: Option<CaseId>,
    /// The version of the case.
    pub version: Option<u32>,
    /// What is wrong.
    pub fault: HistoryFault,
}

/// What the change log says about the cases of a lab.
#[derive(Default)]
struct Changed {
    /// The newest version of each case that changed.
    versions: BTreeMap<CaseId, u32>,
    /// Whether a number is missing in the log.
    has_gap: bool,
}

impl ScheduledVerification {
    /// Makes the clients. Sends nothing yet.
    ///
    /// # Errors
    /// The text says which client could not be made.
    pub fn new(config: &VerificationConfig) -> Result<Self, String> {
        let seals = Arc::new(config.seal.seal_keys());
        Ok(Self { table: Table::new(&config.table)?, seals, config: config.clone() })
    }

    /// Verifies all labs until `deadline`. Each contradiction is a security event.
    ///
    /// # Errors
    /// Unavailable, when the labs cannot be listed.
    pub async fn run(&self, deadline: Instant) -> Result<VerificationReport, Error> {
        let mut report = VerificationReport::default();
        for lab in self.table.labs().await? {
            report.labs += 1;
            if let Err(error) = self.verify_lab(lab, deadline, &mut report).await {
                tracing::error!(lab.id = lab.get(), error.cause = error.cause(), "lab not verified");
                report.unverified += 1;
            }
        }
        for Contradiction { lab_id, case_id, .. } in &report.contradictions {
            let details = Details { lab_id: Some(lab_id.get()), case_id: *case_id, ..Details::default() };
            telemetry::security_event(self.config.common.stage, SecurityEvent::VerificationFailed, details);
        }
        let &VerificationReport { labs, cases, unsealed, unverified, .. } = &report;
        let contradictions = report.contradictions.len();
        tracing::info!(labs, cases, unsealed, unverified, contradictions, "histories verified");
        Ok(report)
    }

    async fn verify_lab(
        &self,
        lab: LabId,
        deadline: Instant,
        report: &mut VerificationReport,
    ) -> Result<(), Error> {
        let changed = self.changed(lab).await?;
        if changed.has_gap {
            let fault = HistoryFault::LogEntryMissing;
            report.contradictions.push(Contradiction { lab_id: lab, case_id: None, version: None, fault });
        }
        let mut versions = changed.versions;
        for id in self.sample(lab).await? {
            versions.entry(id).or_insert(0);
        }
        let verified = stream::iter(versions)
            .map(|(id, version)| async move { (id, version, self.verify_case(lab, id, deadline).await) })
            .buffer_unordered(CONCURRENCY);
        let verified: Vec<_> = verified.collect().await;
        for (id, logged, found) in verified {
            let found = match found {
                Ok(found) => found,
                // What stays of it has no patient data.
                Err(error) if error.code() == ErrorCode::CaseDisposed => continue,
                Err(error) if error.code() == ErrorCode::CaseNotFound => {
                    // The id of a sample may never have been used. A logged change must have a case.
                    if logged > 0 {
                        report.contradict(lab, id, logged, HistoryFault::CaseMissing);
                    }
                    continue;
                }
                Err(_) => {
                    report.unverified += 1;
                    continue;
                }
            };
            report.cases += 1;
            report.unsealed += u64::from(found.unsealed_to.is_some());
            if let (Some(version), Some(fault)) = (found.broken_at, found.fault_code) {
                report.contradict(lab, id, version, fault);
            } else if found.events < logged {
                // Case and events agree, but the log knows a newer version: all of them were taken back together.
                report.contradict(lab, id, logged, HistoryFault::CaseRolledBack);
            }
        }
        Ok(())
    }

    async fn verify_case(
        &self,
        lab: LabId,
        id: CaseId,
        deadline: Instant,
    ) -> Result<super::verification::Verification, Error> {
        if Instant::now() >= deadline {
            return Err(Error::unavailable("The database", "no time left for the rest of a verification"));
        }
        let reader = HistoryReader {
            table: &self.table,
            lab,
            seals: &self.seals,
            sealed_since: self.config.seal.since,
            retention_days: self.config.retention_days,
            retry: Retry::since(Instant::now(), RETRY_BUDGET),
        };
        let items = reader.items(id).await?;
        if reader.is_disposed(id, &items).await? {
            return Err(Error::case_disposed());
        }
        reader.verify(id, items, || Instant::now() < deadline).await
    }

    /// Reads the changes of the last hours from the log of a lab.
    async fn changed(&self, lab: LabId) -> Result<Changed, Error> {
        let since = Timestamp::now().minus(LOOK_BACK);
        let range = Query::of_table(keys::SHARD_PREFIX, format!("{}{}", keys::SHARD_PREFIX, keys::PAST_ALL));
        let shards = self.table.query_all(lab, range.consistent()).await?;
        let mut changed = Changed::default();
        for shard in &shards {
            let number =
                shard.get("sk").and_then(|sk| sk.as_s().ok()?.strip_prefix(keys::SHARD_PREFIX)?.parse().ok());
            if let Some(number) = number {
                self.read_log(lab, number, last_change(shard), since, &mut changed).await?;
            }
        }
        Ok(changed)
    }

    /// Reads the log of one shard backwards, from its last change to the first one before `since`.
    async fn read_log(
        &self,
        lab: LabId,
        shard: u8,
        mut last: u64,
        since: Timestamp,
        changed: &mut Changed,
    ) -> Result<(), Error> {
        while last > 0 {
            let query = Query {
                order: Order::Descending,
                limit: Some(LOG_PAGE),
                ..Query::of_table(keys::change(shard, 1), keys::change(shard, last)).consistent()
            };
            let items = self.table.query(lab, query).await?.items;
            if items.is_empty() {
                changed.has_gap = true;
                return Ok(());
            }
            for item in items {
                if !is_at(&item, &keys::change(shard, last)) {
                    changed.has_gap = true;
                    return Ok(());
                }
                let entry: LogEntry = from_item(item)?;
                if entry.at < since {
                    return Ok(());
                }
                let newest = changed.versions.entry(entry.case_id).or_default();
                *newest = entry.version.max(*newest);
                last -= 1;
            }
        }
        Ok(())
    }

    /// Picks cases of a lab at random.
    async fn sample(&self, lab: LabId) -> Result<Vec<CaseId>, Error> {
        let counter = self.table.get(lab, keys::COUNTER).await?;
        let last =
            counter.and_then(|item| item.get("last_id")?.as_n().ok()?.parse::<u64>().ok()).unwrap_or(0);
        let picks = (0..SAMPLE).filter(|_| last > 0).map(|_| fastrand::u64(1..=last));
        Ok(picks.filter_map(CaseId::new).collect())
    }
}

impl VerificationReport {
    fn contradict(&mut self, lab_id: LabId, case_id: CaseId, version: u32, fault: HistoryFault) {
        self.contradictions.push(Contradiction {
            lab_id,
            case_id: Some(case_id),
            version: Some(version),
            fault,
        });
    }
}

fn is_at(item: &Item, sk: &str) -> bool {
    item.get("sk").and_then(|found| found.as_s().ok()).is_some_and(|found| found == sk)
}
