//! The event source mappings of the stack: call the functions on the streams with new changes, the function on the queue with
//! its messages, and the function of scans with the results of new files. Removes expired items, too.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc::UnboundedReceiver,
    task::JoinHandle,
    time::{Instant, sleep},
};

use crate::{
    Error, Result, client::Client, dynamodb::Expiry, queue::Queue, s3::Created, scanner,
    streams::StreamReader,
};

/// The function on the streams.
const PROCESS_STREAMS: &str = "process-streams";
/// The other function on the stream of cases.
const PUSH_CHANGES: &str = "push-changes";
/// What template.yaml says about its mapping: the prefix of the items' keys, how often a failed batch is tried again, and the
/// longest age of a record in seconds.
const PUSH_PREFIX: &str = "CASE#";
const PUSH_RETRIES: usize = 2;
const PUSH_AGE: i64 = 60;
/// How many records are read at once. On AWS a batch is 100 records that pass the filter; a change of a case makes about six records.
const PUSH_RECORDS: u32 = 600;
/// The function on the queue.
const DELIVER_WEBHOOKS: &str = "deliver-webhooks";
/// The function that gets the results of scans.
const SCAN_RESULTS: &str = "scan-results";
/// The time between two reads of a stream without changes. AWS reads four times a second.
const PAUSE: Duration = Duration::from_millis(250);
/// The time between two removals of expired items. DynamoDB takes up to days.
const EXPIRY_PAUSE: Duration = Duration::from_secs(60);
/// How often a result of a scan is delivered, and the pause between two deliveries. EventBridge goes on for a day.
const DELIVERIES: usize = 10;
const DELIVERY_PAUSE: Duration = Duration::from_secs(1);
/// The longest time-out of these functions in template.yaml.
const LIMIT: Duration = Duration::from_secs(60);

/// A running mapping. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Mapping(JoinHandle<()>);

impl Drop for Mapping {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts reading the streams of `tables`, after the changes that an earlier run has processed. The places are kept in `data`.
///
/// # Errors
/// A table has no stream.
pub(super) async fn of_streams(
    dynamodb: &str,
    tables: &[String],
    cargo_lambda: &str,
    data: &Path,
    expiry: Expiry,
) -> Result<Mapping> {
    let mut streams = Vec::new();
    for table in tables {
        streams.push(Stream::open(dynamodb, table, data.join(format!("{table}.stream.json"))).await?);
    }
    let cargo_lambda = cargo_lambda.to_owned();
    Ok(Mapping(tokio::spawn(async move {
        let client = Client::new(LIMIT);
        let mut last_expiry = Instant::now();
        loop {
            let mut is_idle = true;
            for stream in &mut streams {
                match stream.process_next(&client, &cargo_lambda).await {
                    Ok(has_more) => is_idle &= !has_more,
                    Err(error) => eprintln!("lhcms-local: {error}; it is tried again"),
                }
            }
            if is_idle {
                sleep(PAUSE).await;
            }
            if last_expiry.elapsed() > EXPIRY_PAUSE {
                last_expiry = Instant::now();
                let expiry = expiry.clone();
                let expired = tokio::task::spawn_blocking(move || expiry.run()).await;
                if let Ok(Err(error)) = expired {
                    eprintln!("lhcms-local: {error}");
                }
            }
        }
    })))
}

/// Starts reading the stream of the table of cases for push, as a second reader.
///
/// # Errors
/// The table has no stream.
pub(super) async fn of_push(dynamodb: &str, table: &str, cargo_lambda: &str, data: &Path) -> Result<Mapping> {
    let mut stream = Stream::open(dynamodb, table, data.join(format!("{table}.push.json"))).await?;
    stream.reader = stream.reader.with_batch(PUSH_RECORDS);
    let cargo_lambda = cargo_lambda.to_owned();
    Ok(Mapping(tokio::spawn(async move {
        let client = Client::new(LIMIT);
        loop {
            match stream.push_next(&client, &cargo_lambda).await {
                Ok(true) => {}
                Ok(false) => sleep(PAUSE).await,
                Err(error) => {
                    eprintln!("lhcms-local: {error}; it is tried again");
                    sleep(PAUSE).await;
                }
            }
        }
    })))
}

/// Starts calling the function with the messages of a queue: as many at a time as the function has processes.
pub(super) fn of_queue(queue: Queue, cargo_lambda: &str, concurrency: u16) -> Mapping {
    let cargo_lambda = cargo_lambda.to_owned();
    Mapping(tokio::spawn(async move {
        let client = Client::new(LIMIT);
        let call = |event: Value| {
            let (client, cargo_lambda) = (client.clone(), cargo_lambda.clone());
            async move {
                let answer = client.invoke(&cargo_lambda, DELIVER_WEBHOOKS, &event).await?;
                if answer.status.is_success() {
                    return Ok(answer.json());
                }
                Err(Error::new(format!("{DELIVER_WEBHOOKS} answers {}", answer.status)))
            }
        };
        queue.poll(concurrency.into(), call).await;
    }))
}

/// Starts scanning the new objects of the bucket of files, one after the other, and calling the function with the results, as
/// EventBridge does.
pub(super) fn of_files(mut created: UnboundedReceiver<Created>, bucket: &str, cargo_lambda: &str) -> Mapping {
    let (bucket, cargo_lambda) = (bucket.to_owned(), cargo_lambda.to_owned());
    Mapping(tokio::spawn(async move {
        let client = Client::new(LIMIT);
        while let Some(object) = created.recv().await {
            if object.bucket != bucket {
                continue;
            }
            let scanned = tokio::task::spawn_blocking(move || scanner::scan(&object)).await;
            match scanned {
                Ok(Ok(event)) => deliver_result(&client, &cargo_lambda, &event).await,
                // Deleted since then.
                Ok(Err(error)) => eprintln!("lhcms-local: no scan: {error}"),
                Err(_) => return,
            }
        }
    }))
}

async fn deliver_result(client: &Client, cargo_lambda: &str, event: &Value) {
    for _ in 0..DELIVERIES {
        match client.invoke(cargo_lambda, SCAN_RESULTS, event).await {
            Ok(answer) if answer.status.is_success() => return,
            _ => sleep(DELIVERY_PAUSE).await,
        }
    }
    eprintln!("lhcms-local: the result of a scan could not be delivered");
}

/// The stream of one table.
struct Stream {
    reader: StreamReader,
    /// Where the places are kept.
    file: PathBuf,
}

impl Stream {
    /// Opens the stream of a table, after the changes that an earlier run has processed according to this file.
    async fn open(dynamodb: &str, table: &str, file: PathBuf) -> Result<Self> {
        let positions = fs::read(&file).ok().and_then(|text| serde_json::from_slice(&text).ok());
        let reader = StreamReader::open(dynamodb, table, positions.unwrap_or_default()).await?;
        Ok(Self { reader, file })
    }

    /// Calls the function with the next changes, if there are any. Returns whether there may be more.
    async fn process_next(&mut self, client: &Client, cargo_lambda: &str) -> Result<bool> {
        let Some(batch) = self.reader.next_event().await? else { return Ok(false) };
        let answer = client.invoke(cargo_lambda, PROCESS_STREAMS, &batch.event).await?;
        let is_done = answer.status.is_success() && self.reader.advance(&batch, &answer.json());
        self.save();
        Ok(is_done)
    }

    /// Calls the function of push with the next changes of cases, if there are any. Returns whether there may be more.
    async fn push_next(&mut self, client: &Client, cargo_lambda: &str) -> Result<bool> {
        let Some(batch) = self.reader.next_event().await? else { return Ok(false) };
        let event = of_cases(&batch.event, Timestamp::now().as_second());
        if event["Records"].as_array().is_some_and(|records| !records.is_empty()) {
            for _ in 0..=PUSH_RETRIES {
                let called = client.invoke(cargo_lambda, PUSH_CHANGES, &event).await;
                if called.is_ok_and(|answer| answer.status.is_success()) {
                    break;
                }
                sleep(PAUSE).await;
            }
        }
        let is_done = self.reader.advance(&batch, &Value::Null);
        self.save();
        Ok(is_done)
    }

    /// Keeps the places. If this fails, the next run processes the changes again, which does no harm.
    fn save(&self) {
        let _ = fs::write(&self.file, serde_json::to_vec(self.reader.positions()).unwrap_or_default());
    }
}

/// The records of an event that are of cases and not too old.
fn of_cases(event: &Value, now: i64) -> Value {
    let is_fit = |record: &&Value| {
        let record = &record["dynamodb"];
        let made = record["ApproximateCreationDateTime"].as_f64().unwrap_or_default();
        let key = record["Keys"]["sk"]["S"].as_str().unwrap_or_default();
        key.starts_with(PUSH_PREFIX) && made as i64 + PUSH_AGE >= now
    };
    let records = event["Records"].as_array().into_iter().flatten();
    json!({"Records": records.filter(is_fit).collect::<Vec<_>>()})
}
