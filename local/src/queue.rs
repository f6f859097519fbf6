//! A stand-in for an SQS FIFO queue: the operations that the service calls, and the polling of an event source mapping.
//!
//! It keeps the messages in memory. It has what the service relies on: order within a group, one message of a group at a time,
//! deduplication for five minutes, hidden messages, counts of receptions, and dead letters.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore},
    time::Instant,
};

use crate::{Result, server::Server};

/// How long the queue drops messages with the same deduplication id.
const DEDUPLICATION: Duration = Duration::from_secs(5 * 60);
/// The longest pause before the poller looks for messages that have appeared again.
const POLL: Duration = Duration::from_millis(200);
/// SQS's limit of messages in one call.
const BATCH: usize = 10;
/// SQS hides a message for twelve hours at most.
const LONGEST_HIDING: u64 = 12 * 60 * 60;

/// What template.yaml says about the queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueSettings {
    /// How long a received message is hidden.
    pub visibility: Duration,
    /// After how many receptions a message becomes a dead letter.
    pub max_receives: u32,
}

impl Default for QueueSettings {
    fn default() -> Self {
        Self { visibility: Duration::from_secs(180), max_receives: 1000 }
    }
}

/// A queue. A clone is the same queue.
#[derive(Clone, Debug)]
pub struct Queue(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    settings: QueueSettings,
    state: Mutex<Contents>,
    /// Wakes the poller.
    changed: Notify,
}

#[derive(Debug, Default)]
struct Contents {
    messages: VecDeque<Message>,
    dead: Vec<String>,
    seen: HashMap<String, Instant>,
    last_id: u64,
    refused: u32,
}

#[derive(Clone, Debug)]
struct Message {
    id: String,
    group: String,
    body: String,
    receives: u32,
    /// Until when it is hidden.
    hidden_until: Option<Instant>,
}

impl Message {
    fn is_hidden(&self, now: Instant) -> bool {
        self.hidden_until.is_some_and(|until| until > now)
    }

    /// The message as Lambda hands it to a function. Its id is its receipt as well.
    fn record(&self) -> Value {
        json!({
            "messageId": self.id, "receiptHandle": self.id, "body": self.body,
            "attributes": {
                "ApproximateReceiveCount": self.receives.to_string(), "MessageGroupId": self.group,
            },
            "messageAttributes": {}, "eventSource": "aws:sqs", "awsRegion": "us-east-1",
            "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:webhooks.fifo",
        })
    }
}

impl Default for Queue {
    fn default() -> Self {
        Self::new(QueueSettings::default())
    }
}

impl Queue {
    /// An empty queue.
    pub fn new(settings: QueueSettings) -> Self {
        let state = Mutex::new(Contents::default());
        Self(Arc::new(Shared { settings, state, changed: Notify::new() }))
    }

    /// Serves the queue's API on `listener`. The queue's URL is any URL.
    ///
    /// # Errors
    /// The listener has no address.
    pub fn serve(&self, listener: TcpListener) -> Result<Server> {
        Server::start("SQS", listener, Router::new().route("/", post(answer)).with_state(self.clone()))
    }

    /// The bodies of the messages that are in the queue, in their order.
    pub fn bodies(&self) -> Vec<Value> {
        let messages = &self.contents().messages;
        messages.iter().map(|message| serde_json::from_str(&message.body).unwrap_or_default()).collect()
    }

    /// The bodies of the dead letters.
    pub fn dead_letters(&self) -> Vec<String> {
        self.contents().dead.clone()
    }

    /// How many messages are hidden for at least this long from now on.
    pub fn hidden_for(&self, time: Duration) -> usize {
        let until = Instant::now() + time;
        self.contents().messages.iter().filter(|message| message.is_hidden(until)).count()
    }

    /// Refuses all messages after the next `accepted` ones, until [`heal`](Self::heal).
    pub fn refuse_after(&self, accepted: u32) {
        self.contents().refused = accepted + 1;
    }

    /// Accepts messages again.
    pub fn heal(&self) {
        self.contents().refused = 0;
    }

    /// Lets all hidden messages appear, as if their time had come.
    pub fn show_all(&self) {
        for message in &mut self.contents().messages {
            message.hidden_until = None;
        }
        self.0.changed.notify_one();
    }

    /// Forgets which messages it has seen, as after five minutes.
    pub fn forget_duplicates(&self) {
        self.contents().seen.clear();
    }

    /// Adds a message. A repeated one is dropped. Returns `false` if the queue refuses messages.
    pub fn send(&self, group: &str, deduplication: &str, body: &str) -> bool {
        let mut contents = self.contents();
        match contents.refused {
            0 => {}
            1 => return false,
            _ => contents.refused -= 1,
        }
        let now = Instant::now();
        contents.seen.retain(|_, at| now - *at < DEDUPLICATION);
        if contents.seen.insert(format!("{group}#{deduplication}"), now).is_none() {
            contents.last_id += 1;
            let id = format!("message-{}", contents.last_id);
            let (group, body) = (group.to_owned(), body.to_owned());
            contents.messages.push_back(Message { id, group, body, receives: 0, hidden_until: None });
            self.0.changed.notify_one();
        }
        true
    }

    /// Receives the next message as a record of an event of Lambda; `None` if there is nothing to receive.
    pub fn receive(&self) -> Option<Value> {
        let mut guard = self.contents();
        let contents = &mut *guard;
        let now = Instant::now();
        let max_receives = self.0.settings.max_receives;
        let mut busy = HashSet::new();
        let place = contents.messages.iter().position(|message| {
            // A hidden message blocks its group.
            let is_free = !busy.contains(&message.group) && !message.is_hidden(now);
            busy.insert(message.group.clone());
            is_free
        })?;
        if contents.messages[place].receives >= max_receives {
            contents.dead.extend(contents.messages.remove(place).map(|message| message.body));
            drop(guard);
            return self.receive();
        }
        let message = &mut contents.messages[place];
        message.receives += 1;
        message.hidden_until = Some(now + self.0.settings.visibility);
        Some(message.record())
    }

    /// Removes a received message.
    pub fn delete(&self, receipt: &str) {
        self.contents().messages.retain(|message| message.id != receipt);
        self.0.changed.notify_one();
    }

    /// Hides a received message for this many seconds from now on. Returns `false` if it is not there.
    pub fn hide(&self, receipt: &str, seconds: u64) -> bool {
        let mut contents = self.contents();
        let Some(message) = contents.messages.iter_mut().find(|message| message.id == receipt) else {
            return false;
        };
        message.hidden_until = (seconds > 0).then(|| Instant::now() + Duration::from_secs(seconds));
        self.0.changed.notify_one();
        true
    }

    /// Hands each message to a function, one message a call and at most `concurrency` calls at a time, and removes those that
    /// the function does not report as failed. It never ends.
    pub async fn poll<F>(&self, concurrency: usize, invoke: impl Fn(Value) -> F)
    where
        F: Future<Output = Result<Value>> + Send + 'static,
    {
        let free = Arc::new(Semaphore::new(concurrency));
        loop {
            let Ok(permit) = free.clone().acquire_owned().await else { return };
            let Some(record) = self.receive() else {
                let _ = tokio::time::timeout(POLL, self.0.changed.notified()).await;
                continue;
            };
            let receipt = record["receiptHandle"].as_str().unwrap_or_default().to_owned();
            let invocation = invoke(json!({"Records": [record]}));
            let queue = self.clone();
            tokio::spawn(async move {
                match invocation.await {
                    Ok(report) if is_done(&report) => queue.delete(&receipt),
                    Ok(_) => {}
                    Err(error) => eprintln!("lhcms-local: {error}; it is tried again"),
                }
                drop(permit);
                queue.0.changed.notify_one();
            });
        }
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a report has no failure.
fn is_done(report: &Value) -> bool {
    report["batchItemFailures"].as_array().is_some_and(Vec::is_empty)
}

async fn answer(State(queue): State<Queue>, headers: HeaderMap, body: Bytes) -> Response {
    let request: Value = serde_json::from_slice(&body).unwrap_or_default();
    let target = headers.get("x-amz-target").and_then(|target| target.to_str().ok()).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    match target {
        "AmazonSQS.SendMessageBatch" => {
            let entries = request["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            if entries.is_empty() || entries.len() > BATCH {
                return refused("TooManyEntriesInBatchRequest");
            }
            let (mut successful, mut failed) = (Vec::new(), Vec::new());
            for entry in entries {
                let [id, group, deduplication, body] =
                    ["Id", "MessageGroupId", "MessageDeduplicationId", "MessageBody"]
                        .map(|name| text(&entry[name]));
                if queue.send(&group, &deduplication, &body) {
                    successful.push(json!({"Id": id, "MessageId": id, "MD5OfMessageBody": ""}));
                } else {
                    failed.push(json!({"Id": id, "Code": "InternalError", "SenderFault": false}));
                }
            }
            Json(json!({"Successful": successful, "Failed": failed})).into_response()
        }
        "AmazonSQS.ChangeMessageVisibility" => match request["VisibilityTimeout"].as_u64() {
            Some(seconds @ ..=LONGEST_HIDING) if queue.hide(&text(&request["ReceiptHandle"]), seconds) => {
                Json(json!({})).into_response()
            }
            _ => refused("InvalidParameterValue"),
        },
        _ => refused("UnsupportedOperation"),
    }
}

fn refused(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"__type": format!("com.amazonaws.sqs#{code}")}))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(queue: &Queue) -> Option<String> {
        queue.receive().map(|record| record["body"].as_str().unwrap().to_owned())
    }

    #[test]
    fn a_hidden_message_blocks_its_group_and_no_other() {
        let queue = Queue::default();
        for (group, body) in [("a", "a1"), ("a", "a2"), ("b", "b1")] {
            assert!(queue.send(group, body, body));
        }
        assert_eq!(received(&queue).as_deref(), Some("a1"));
        assert_eq!(received(&queue).as_deref(), Some("b1"));
        assert_eq!(received(&queue), None);
        queue.delete("message-1");
        assert_eq!(received(&queue).as_deref(), Some("a2"));
        assert!(queue.hide("message-2", 0) && !queue.hide("message-1", 0));
        assert_eq!(received(&queue).as_deref(), Some("a2"));
        queue.show_all();
        assert_eq!(received(&queue).as_deref(), Some("a2"));
    }

    #[test]
    fn a_repeated_message_is_dropped_for_a_time() {
        let queue = Queue::default();
        assert!(
            queue.send("a", "1", "first") && queue.send("a", "1", "again") && queue.send("b", "1", "other")
        );
        assert_eq!(received(&queue).as_deref(), Some("first"));
        queue.delete("message-1");
        queue.forget_duplicates();
        assert!(queue.send("a", "1", "again"));
        assert_eq!(received(&queue).as_deref(), Some("other"));
        assert_eq!(received(&queue).as_deref(), Some("again"));
    }

    #[test]
    fn a_message_that_is_received_too_often_becomes_a_dead_letter() {
        let queue = Queue::new(QueueSettings { max_receives: 2, ..QueueSettings::default() });
        assert!(queue.send("a", "1", "poison") && queue.send("a", "2", "good"));
        for _ in 0..2 {
            assert_eq!(received(&queue).as_deref(), Some("poison"));
            queue.show_all();
        }
        assert_eq!(received(&queue).as_deref(), Some("good"));
        assert_eq!(queue.dead_letters(), ["poison"]);
    }

    #[test]
    fn messages_are_refused_on_demand() {
        let queue = Queue::default();
        queue.refuse_after(1);
        assert_eq!(["1", "2", "3"].map(|id| queue.send("a", id, id)), [true, false, false]);
        queue.heal();
        assert!(queue.send("a", "2", "2"));
    }
}
