//! Reads a whole table and migrates its items, page by page. It is an operator's tool: no function may scan the table.

mod pace;
mod place;

use std::{collections::HashMap, fmt, time::Duration};

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata,
    types::{AttributeValue, ReturnConsumedCapacity},
};
use futures_util::{StreamExt, TryStreamExt, stream};
use shared::{
    config::TableConfig,
    migration::{Counts, Migration, Mode, sdk_config},
};
use tokio::{
    sync::Mutex,
    time::{Instant, sleep},
};

use pace::Pace;
use place::{Place, Segment, failed};

type Key = HashMap<String, AttributeValue>;

/// The time between two lines of progress.
const REPORT: Duration = Duration::from_secs(2);
/// The pauses before a page is tried again. After the last one the migration ends with an error.
const PAUSES: [u64; 5] = [1, 2, 5, 10, 30];

/// What to migrate, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// The table of cases.
    pub table: TableConfig,
    /// Whether to write.
    pub mode: Mode,
    /// How many parts of the table are read at the same time.
    pub segments: u32,
    /// The most items of a page.
    pub page: i32,
    /// The most capacity units in a second, about; `None` for as many as possible.
    pub units_per_second: Option<u32>,
    /// Whether to forget the place.
    pub starts_over: bool,
}

impl Options {
    /// The usual options.
    pub fn new(table: TableConfig) -> Self {
        Self { table, mode: Mode::Write, segments: 4, page: 250, units_per_second: None, starts_over: false }
    }
}

/// How far a migration is.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What was done so far, by all runs since the start.
    pub counts: Counts,
    /// About how many items the table has. DynamoDB counts them every six hours.
    pub of: u64,
    /// The time of this run.
    pub time: Duration,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts { items, cases, keys, words_added, words_removed, units, .. } = self.counts;
        write!(
            f,
            "{items} of about {} items read, {cases} cases, {keys} with new keys, {words_added} words added, \
             {words_removed} removed, {units:.0} units, {} s",
            self.of.max(items),
            self.time.as_secs()
        )
    }
}

/// A running migration.
struct Run<'o> {
    options: &'o Options,
    client: Client,
    migration: Migration,
    place: Mutex<Place>,
    pace: Pace,
}

/// Migrates the table, from where an earlier run stopped. Calls `report` now and then.
///
/// # Errors
/// The text says what failed. The place is kept.
pub async fn run(options: &Options, report: impl Fn(&Progress)) -> Result<Progress, String> {
    let client = Client::from_conf(sdk_config(&options.table)?);
    let (table, segments) = (options.table.name.as_str(), options.segments);
    // A dry run keeps no place.
    let continues = options.mode == Mode::Write && !options.starts_over;
    let kept = if continues { Place::read(&client, table, segments).await? } else { None };
    let place = kept.unwrap_or_else(|| Place::start(segments));
    let description = client.describe_table().table_name(table).send().await;
    let description = description.map_err(|error| failed("DescribeTable", error.code()))?;
    let of = description.table.and_then(|table| table.item_count).unwrap_or_default();
    let run = Run {
        options,
        client,
        migration: Migration::new(&options.table, options.mode)?,
        place: Mutex::new(place),
        pace: Pace::new(options.units_per_second),
    };
    let started = Instant::now();
    let progress = async |run: &Run| Progress {
        counts: run.place.lock().await.counts,
        of: u64::try_from(of).unwrap_or_default(),
        time: started.elapsed(),
    };
    let work = stream::iter(0..options.segments)
        .map(Ok)
        .try_for_each_concurrent(None, |segment| run.segment(segment));
    let reports = async {
        loop {
            sleep(REPORT).await;
            report(&progress(&run).await);
        }
    };
    tokio::select! {
        done = work => done?,
        () = reports => {}
    }
    let progress = progress(&run).await;
    report(&progress);
    if options.mode == Mode::Write {
        Place::remove(&run.client, table).await?;
    }
    Ok(progress)
}

impl Run<'_> {
    /// Migrates a segment of the table.
    async fn segment(&self, segment: u32) -> Result<(), String> {
        let kept = self.place.lock().await.segments[segment as usize].clone();
        if kept.is_done {
            return Ok(());
        }
        let mut start = kept.after.map(|(lab, sk)| key(lab, sk));
        loop {
            let mut pauses = PAUSES.iter();
            let (counts, stopped_at) = loop {
                match self.page(segment, start.clone()).await {
                    Ok(done) => break done,
                    Err(error) => match pauses.next() {
                        Some(pause) => sleep(Duration::from_secs(*pause)).await,
                        None => return Err(error),
                    },
                }
            };
            {
                let mut place = self.place.lock().await;
                place.counts += counts;
                let part = |at: &Key, name: &str| {
                    at.get(name).and_then(|part| part.as_s().ok()).cloned().unwrap_or_default()
                };
                place.segments[segment as usize] = Segment {
                    after: stopped_at.as_ref().map(|at| (part(at, "lab_id"), part(at, "sk"))),
                    is_done: stopped_at.is_none(),
                };
                if self.options.mode == Mode::Write {
                    place.write(&self.client, &self.options.table.name).await?;
                }
            }
            self.pace.wait(counts.units).await;
            start = stopped_at;
            if start.is_none() {
                return Ok(());
            }
        }
    }

    /// Reads a page and migrates its items. Returns the key of its last item, if there are more.
    #[allow(
        clippy::disallowed_methods,
        reason = "an operator's tool reads the whole table; no function does"
    )]
    async fn page(&self, segment: u32, start: Option<Key>) -> Result<(Counts, Option<Key>), String> {
        let number = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let page = self
            .client
            .scan()
            .table_name(&self.options.table.name)
            .segment(number(segment))
            .total_segments(number(self.options.segments))
            .limit(self.options.page)
            .set_exclusive_start_key(start)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| failed("Scan", error.code()))?;
        let units = page.consumed_capacity.and_then(|capacity| capacity.capacity_units).unwrap_or_default();
        let items = page.items.unwrap_or_default();
        let mut counts = self.migration.migrate(items).await.map_err(|error| {
            format!("a page was not migrated: {}", error.cause().unwrap_or(error.code().as_str()))
        })?;
        counts.units += units;
        Ok((counts, page.last_evaluated_key))
    }
}

fn key(lab: String, sk: String) -> Key {
    HashMap::from([("lab_id".to_owned(), AttributeValue::S(lab)), ("sk".to_owned(), AttributeValue::S(sk))])
}
