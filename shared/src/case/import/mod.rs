//! Writes cases that come from elsewhere: from the predecessor's database, or from exports. A case keeps its id and its times,
//! and its history begins with an `imported` event. The transaction is that of every other write.

mod row;

use std::{
    collections::{BTreeMap, HashMap},
    time::{Duration, Instant},
};

pub use row::{Row, RowReader, SetAside};

use super::{
    Case,
    change_set::{Author, ChangeSet, LogPosition},
    event::Action,
    item::to_item,
    tokens::{self, words_of},
    write::Shards,
};
use crate::{
    base::{CaseId, LabId, error::Error, seal::SealKeys, time::Timestamp},
    case::repair::Mode,
    config::VerificationConfig,
    table::{self, Attempt, Consistency, Item, Retry, Table, keys},
};

/// The user of imported changes. Users of UMS have numbers.
const USER: &str = "import";
/// How long a batch is tried again.
const BUDGET: Duration = Duration::from_secs(60);

/// Writes imported cases.
pub struct Importer {
    table: Table,
    seals: SealKeys,
    retention_days: u32,
    mode: Mode,
    request_id: String,
}

/// A case that was read from a row.
pub struct ImportedCase(Case);

impl ImportedCase {
    /// Its lab and its id.
    pub fn key(&self) -> (LabId, CaseId) {
        (self.0.lab_id, self.0.id)
    }
}

/// What was done with a batch of cases.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchResult {
    /// Cases written, or in a dry run those that would be.
    pub written: u64,
    /// Cases that an earlier run has written.
    pub existing: u64,
    /// Cases whose id another case of the lab has.
    pub taken: Vec<CaseId>,
}

impl Importer {
    /// The most cases of a batch. Its transaction has three items for each case, the shard, and the months of the statistics:
    /// DynamoDB allows 100 items and 4 MB. A batch takes well below the time-out of a call.
    pub const BATCH: usize = 10;
    /// The number of workers that can write at the same time without conflicts.
    pub const WORKERS: u8 = Shards::WORKERS;

    /// Makes the client. Sends nothing yet.
    ///
    /// # Errors
    /// The text says why the client cannot be made.
    pub fn new(config: &VerificationConfig, mode: Mode) -> Result<Self, String> {
        Ok(Self {
            table: Table::new(&config.table)?,
            seals: config.seal.seal_keys(),
            retention_days: config.retention_days,
            mode,
            request_id: format!("import-{}", Timestamp::now().epoch_seconds()),
        })
    }

    /// Keeps the ids up to this one for the import, so that no request takes them.
    ///
    /// # Errors
    /// Unavailable, when the database fails.
    pub async fn reserve(&self, lab: LabId, last: CaseId) -> Result<(), Error> {
        match self.mode {
            Mode::Write => self.table.raise_counter(lab, last).await,
            Mode::DryRun => Ok(()),
        }
    }

    /// Writes those of the cases of one lab that do not exist yet, and the words of all of them. Workers with different numbers
    /// can write at the same time.
    ///
    /// # Errors
    /// Unavailable, when the database fails; conflict, when requests change the same shard for too long. A repetition completes
    /// the batch.
    pub async fn write(&self, worker: u8, lab: LabId, cases: &[ImportedCase]) -> Result<BatchResult, Error> {
        let result =
            self.table.write(Retry::since(Instant::now(), BUDGET), || self.attempt(worker, lab, cases));
        let result = result.await?;
        if self.mode == Mode::Write {
            let mut words = BTreeMap::new();
            for ImportedCase(case) in cases.iter().filter(|case| !result.taken.contains(&case.0.id)) {
                let json = table::from_item(to_item(case)?)?;
                words.insert(case.id, words_of(&json));
            }
            // An earlier run may have been stopped before it wrote the words. A case that was renamed since then loses its
            // old words again in the same step.
            tokens::add_missing(&self.table, lab, &words, Mode::Write).await?;
        }
        Ok(result)
    }

    async fn attempt(
        &self,
        worker: u8,
        lab: LabId,
        cases: &[ImportedCase],
    ) -> Result<Attempt<BatchResult>, Error> {
        let shard = Shards::OfWorker(worker).pick();
        let mut sks = vec![keys::shard(shard)];
        for ImportedCase(case) in cases {
            let id = case.id;
            sks.extend([keys::event(id, 1), keys::case(id), keys::deleted(id), keys::tombstone(id)]);
        }
        let retry = Retry::since(Instant::now(), BUDGET);
        let items = self.table.get_many(lab, &sks, Consistency::Strong, retry).await?;
        let position = LogPosition::after(shard, items.get(&keys::shard(shard)));
        let author = Author {
            table: &self.table,
            lab,
            user_id: USER,
            request_id: &self.request_id,
            seals: &self.seals,
            retention_days: self.retention_days,
        };
        let (mut changes, mut result) = (ChangeSet::by(author, position), BatchResult::default());
        let now = Timestamp::now();
        for ImportedCase(case) in cases {
            match found(&items, case.id) {
                Found::Nothing => {
                    changes.add_at(now, Action::Imported, None, case, None)?;
                    result.written += 1;
                }
                Found::Imported => result.existing += 1,
                Found::Another => result.taken.push(case.id),
            }
        }
        if result.written == 0 || self.mode == Mode::DryRun {
            return Ok(Attempt::Done(result));
        }
        changes.commit(result)
    }
}

/// What the lab has with an id.
enum Found {
    Nothing,
    Imported,
    Another,
}

fn found(items: &HashMap<String, Item>, id: CaseId) -> Found {
    let action = |event: &Item| event.get("action").and_then(|action| action.as_s().ok()).cloned();
    match items.get(&keys::event(id, 1)) {
        Some(event) if action(event).as_deref() == Some("imported") => Found::Imported,
        Some(_) => Found::Another,
        None => {
            let others = [keys::case(id), keys::deleted(id), keys::tombstone(id)];
            if others.iter().any(|sk| items.contains_key(sk)) { Found::Another } else { Found::Nothing }
        }
    }
}
