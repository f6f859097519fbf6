//! Begins an epoch of the change log in a table that was restored to an earlier time, before the stack uses it: writes down in each
//! lab which changes are in the table, and raises the counter of ids. docs/adr/0041-epochs-of-the-change-log.md has the reasons.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    epoch::{Epochs, Numbers, Restore},
    item::{from_item, to_item},
    verification::LogEntry,
};
use crate::{
    base::{CaseId, LabId, error::Error, time::Timestamp},
    config::{RETRY_BUDGET, TableConfig},
    table::{Attempt, Item, Order, Query, Retry, Table, Transaction, Update, keys, number},
};

/// How many log entries one call reads.
const LOG_PAGE: u32 = 100;

/// What is known about a restore.
#[derive(Clone, Debug)]
pub struct RestoreFacts {
    /// The restored table.
    pub table: TableConfig,
    /// The table that was used before, if it can still be read.
    pub former: Option<TableConfig>,
    /// The time to which the table was restored.
    pub restored_to: Timestamp,
    /// How long before that time a change must have been made to count as in the table.
    pub margin: Duration,
    /// How many ids after the counters' are left out.
    pub spare_ids: u64,
}

impl RestoreFacts {
    /// Longer than a request and the differences of clocks together, and than DynamoDB takes for all items of a transaction.
    pub const MARGIN: Duration = Duration::from_secs(300);
    /// The cases of a large lab in four weeks.
    pub const SPARE_IDS: u64 = 10_000;
}

/// Begins epochs.
pub struct EpochStart {
    table: Table,
    former: Option<Table>,
    restored_to: Timestamp,
    spare_ids: u64,
}

/// The epoch of a lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabEpoch {
    /// The lab.
    pub lab: LabId,
    /// Whether this run began it, or an earlier run for the same restore.
    pub is_new: bool,
    /// How many changes of the log it keeps.
    pub kept: u64,
    /// The last id that no new case gets.
    pub last_id: u64,
}

impl EpochStart {
    /// Makes the clients. Sends nothing yet.
    ///
    /// # Errors
    /// The text says why a client cannot be made.
    pub fn new(facts: &RestoreFacts) -> Result<Self, String> {
        Ok(Self {
            table: Table::new(&facts.table)?,
            former: facts.former.as_ref().map(Table::new).transpose()?,
            restored_to: facts.restored_to.minus(facts.margin),
            spare_ids: facts.spare_ids,
        })
    }

    /// All labs: those of the table, and those that only the former table has.
    ///
    /// # Errors
    /// Unavailable, when the database fails.
    pub async fn labs(&self) -> Result<BTreeSet<LabId>, Error> {
        let mut labs: BTreeSet<LabId> = self.table.labs().await?.into_iter().collect();
        if let Some(former) = &self.former {
            labs.extend(former.labs().await?);
        }
        Ok(labs)
    }

    /// Begins the epoch of a lab. A repetition for the same restore changes nothing, and completes what an earlier run has left.
    ///
    /// # Errors
    /// Unavailable, when the database fails; conflict, when another run does the same.
    pub async fn begin(&self, lab: LabId) -> Result<LabEpoch, Error> {
        let written =
            self.table.write(Retry::since(Instant::now(), RETRY_BUDGET), || self.attempt(lab)).await;
        let (restore, is_new) = written?;
        if let Some(id) = CaseId::new(restore.last_id) {
            self.table.raise_counter(lab, id).await?;
        }
        Ok(LabEpoch { lab, is_new, kept: restore.last_changes.iter().sum(), last_id: restore.last_id })
    }

    async fn attempt(&self, lab: LabId) -> Result<Attempt<(Restore, bool)>, Error> {
        let mut epochs = Epochs::of_item(self.table.get(lab, keys::EPOCHS).await?)?;
        if let Some(last) = epochs.restores.last().filter(|last| last.restored_to == self.restored_to) {
            return Ok(Attempt::Done((last.clone(), false)));
        }
        let former = match &self.former {
            Some(former) => last_id(former, lab).await?,
            None => 0,
        };
        let restore = Restore {
            began_at: Timestamp::now(),
            restored_to: self.restored_to,
            last_changes: self.last_changes(lab).await?,
            last_id: (last_id(&self.table, lab).await?.max(former) + self.spare_ids).min(CaseId::MAX),
        };
        let count = epochs.restores.len();
        epochs.restores.push(restore.clone());
        let mut update = Update {
            expression: "SET restores = :restores".to_owned(),
            condition: Some("attribute_not_exists(restores)".to_owned()),
            ..Update::default()
        };
        if count > 0 {
            update.condition = Some("size(restores) = :count".to_owned());
            update.values.push((":count".to_owned(), number(count)));
        }
        update.values.extend(to_item(&epochs)?.into_iter().map(|(name, value)| (format!(":{name}"), value)));
        let mut transaction = Transaction::new(&self.table, lab);
        transaction.update(keys::EPOCHS, update)?;
        Ok(Attempt::Commit(transaction, (restore, true)))
    }

    /// The last number before the time of the restore in the log of each shard. Later ones can be there as well, but not all of
    /// them, or not all of their items.
    async fn last_changes(&self, lab: LabId) -> Result<Numbers, Error> {
        let mut last = Numbers::default();
        for (shard, last) in (0..keys::SHARDS).zip(&mut last) {
            let mut query = Query {
                order: Order::Descending,
                limit: Some(LOG_PAGE),
                ..Query::of_table(keys::change(shard, 1), keys::after_changes(shard)).consistent()
            };
            loop {
                let page = self.table.query(lab, query.clone()).await?;
                let kept = page.items.iter().find_map(|item| self.number_if_kept(item));
                query.start = page.stopped_at;
                if kept.is_some() || query.start.is_none() {
                    *last = kept.unwrap_or(0);
                    break;
                }
            }
        }
        Ok(last)
    }

    /// The number of a log entry, if it is from before the restore.
    fn number_if_kept(&self, item: &Item) -> Option<u64> {
        let entry: LogEntry = from_item(item.clone()).ok()?;
        let sk = item.get("sk")?.as_s().ok()?;
        let number = sk.rsplit('#').next()?.parse().ok()?;
        (entry.at < self.restored_to).then_some(number)
    }
}

/// The last id that the counter of a lab has given out.
async fn last_id(table: &Table, lab: LabId) -> Result<u64, Error> {
    let counter = table.get(lab, keys::COUNTER).await?;
    Ok(counter.and_then(|item| item.get("last_id")?.as_n().ok()?.parse().ok()).unwrap_or(0))
}
