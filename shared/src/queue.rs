//! The client of the SQS queue of webhooks: a FIFO queue, which keeps the order of the messages of a group.

use std::{collections::HashSet, time::Duration};

use aws_sdk_sqs::{Client, types::SendMessageBatchRequestEntry};

use crate::{
    base::error::Error,
    config::{QueueConfig, TableConfig},
    table::client,
};

/// Its name in errors.
const NAME: &str = "The queue";
/// The most attempts of a call.
const ATTEMPTS: u32 = 4;
/// SQS's limit of messages in one call.
const BATCH: usize = 10;
/// SQS hides a message for 12 hours at most, counted from when it was received.
pub(crate) const LONGEST_HIDING: Duration = Duration::from_secs(11 * 60 * 60);

/// The queue of one deployment.
#[derive(Clone)]
pub struct Queue {
    client: Client,
    url: String,
}

/// A message for the queue.
#[derive(Clone, Debug)]
pub(crate) struct Outgoing {
    /// Messages of one group arrive in the order in which they were sent, and one at a time.
    pub group: String,
    /// The queue drops further messages with the same text for five minutes.
    pub deduplication: String,
    pub body: String,
}

impl Queue {
    /// Makes a client with the function's own identity. Sends nothing yet.
    pub(crate) fn new(config: &QueueConfig, identity: &TableConfig) -> Result<Self, String> {
        let sdk = client::sdk_config(identity, config.endpoint.as_deref(), ATTEMPTS)?;
        Ok(Self { client: Client::new(&sdk), url: config.url.clone() })
    }

    /// Sends messages. Returns the places of those that were not sent, with the error of one of them. After one that was not
    /// sent, no other of its group is, so that a repeated call keeps the order.
    pub(crate) async fn send(&self, messages: &[Outgoing]) -> Result<(), (Vec<usize>, Error)> {
        let group = |place: usize| messages[place].group.as_str();
        let mut left: Vec<usize> = (0..messages.len()).collect();
        let (mut unsent, mut failure) = (Vec::new(), None);
        while !left.is_empty() {
            // One message of a group in a call: SQS may refuse one message of a call and accept the one behind it.
            let mut groups = HashSet::new();
            let (batch, rest): (Vec<usize>, Vec<usize>) =
                left.into_iter().partition(|place| groups.len() < BATCH && groups.insert(group(*place)));
            left = rest;
            let Err((failed, error)) = self.send_batch(messages, &batch).await else { continue };
            failure.get_or_insert(error);
            let blocked: HashSet<&str> = failed.iter().map(|place| group(*place)).collect();
            // If the queue does not answer, there is no time to ask it again for each batch.
            let is_down = failed.len() == batch.len();
            let (waiting, others) =
                left.into_iter().partition(|place| is_down || blocked.contains(group(*place)));
            unsent.extend(failed);
            unsent.extend::<Vec<usize>>(waiting);
            left = others;
        }
        failure.map_or(Ok(()), |error| Err((unsent, error)))
    }

    async fn send_batch(&self, messages: &[Outgoing], batch: &[usize]) -> Result<(), (Vec<usize>, Error)> {
        let entries: Result<Vec<SendMessageBatchRequestEntry>, _> = batch
            .iter()
            .map(|place| {
                let Outgoing { group, deduplication, body } = &messages[*place];
                SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_group_id(group)
                    .message_deduplication_id(deduplication)
                    .message_body(body)
                    .build()
            })
            .collect();
        let entries = entries.map_err(|error| {
            (batch.to_vec(), Error::internal(format!("a request does not build: {error}")))
        })?;
        let sent = self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send();
        let answer =
            sent.await.map_err(|error| (batch.to_vec(), client::failed(NAME, "SendMessageBatch", &error)))?;
        let refused: Vec<usize> =
            answer.failed().iter().filter_map(|entry| entry.id().parse().ok()).collect();
        if refused.is_empty() {
            return Ok(());
        }
        Err((refused, Error::unavailable(NAME, "SendMessageBatch: some messages were refused")))
    }

    /// Hides a received message for this long from now on. Its group waits for it.
    ///
    /// # Errors
    /// Unavailable. The message appears again when the time of its reception ends.
    pub(crate) async fn hide(&self, receipt: &str, time: Duration) -> Result<(), Error> {
        let seconds = time.min(LONGEST_HIDING).as_secs_f64().ceil() as i32;
        let hide = self.client.change_message_visibility().queue_url(&self.url).receipt_handle(receipt);
        let answer = hide.visibility_timeout(seconds).send().await;
        answer.map(|_| ()).map_err(|error| client::failed(NAME, "ChangeMessageVisibility", &error))
    }
}
