//! The delivery of a message to a webhook: its assignment in the queue, and the record of its attempts in the table.

use serde::{Deserialize, Serialize};

use super::WebhookId;
use crate::{
    base::{LabId, error::Error, time::Timestamp},
    message::{DeliveryId, Message},
    queue::{Outgoing, Queue},
    table::{Item, Table, from_item, key, keys, number, to_item},
    wire_enum,
};

wire_enum! {
    /// How far a delivery is.
    DeliveryState { Pending = "pending", Delivered = "delivered", Failed = "failed" }
}

/// How long the table keeps the record of a delivery after its last attempt.
pub(super) const RETENTION_DAYS: u32 = 30;
/// The attribute with the time at which DynamoDB removes the record.
const EXPIRES_AT: &str = "expires_at";

/// The delivery of one message to one webhook, as the queue has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    /// The lab.
    pub lab_id: LabId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// Which series of attempts this is, from 1. A user can begin another one.
    pub round: u32,
    /// What to deliver.
    pub message: Message,
}

impl Assignment {
    /// The first series of attempts.
    pub fn new(lab_id: LabId, webhook_id: WebhookId, message: Message) -> Self {
        Self { lab_id, webhook_id, round: 1, message }
    }

    /// The message of the queue. One group has the messages of one case to one webhook, so that no other waits for them.
    fn outgoing(&self) -> Result<Outgoing, Error> {
        let Self { webhook_id, round, message, .. } = self;
        let case =
            message.data.case.as_ref().map_or_else(|| "test".to_owned(), |case| case.case_id.to_string());
        let body =
            serde_json::to_string(self).map_err(|_| Error::internal("a message does not serialize"))?;
        Ok(Outgoing {
            group: format!("{webhook_id}-{case}"),
            deduplication: format!("{webhook_id}-{}-{round}", message.delivery_id()),
            body,
        })
    }
}

/// Puts assignments into the queue. Returns the places of those that are not there, with the error of one of them.
pub(crate) async fn enqueue(queue: &Queue, assignments: &[Assignment]) -> Result<(), (Vec<usize>, Error)> {
    let outgoing: Result<Vec<Outgoing>, Error> = assignments.iter().map(Assignment::outgoing).collect();
    let outgoing = outgoing.map_err(|error| ((0..assignments.len()).collect(), error))?;
    queue.send(&outgoing).await
}

/// The record of a delivery: the attempts so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivery {
    /// The lab.
    pub lab_id: LabId,
    /// The webhook.
    pub webhook_id: WebhookId,
    /// The message. A user can have it sent again.
    pub message: Message,
    /// How far it is.
    pub state: DeliveryState,
    /// Which series of attempts this is, from 1.
    pub round: u32,
    /// The attempts of this series.
    pub attempts: u32,
    /// When the last attempt was.
    pub attempted_at: Option<Timestamp>,
    /// When the next attempt is due, while the state is `pending`.
    pub next_attempt_at: Option<Timestamp>,
    /// The status of the last response; `None` if there was none.
    pub response_status: Option<u16>,
    /// How long the last attempt took until the response or the failure, in milliseconds.
    pub latency_ms: Option<u64>,
    /// Why the last attempt failed, as a word such as `timeout`.
    pub error: Option<String>,
}

impl Delivery {
    /// The record of an assignment without attempts.
    pub fn new(assignment: Assignment) -> Self {
        let Assignment { lab_id, webhook_id, round, message } = assignment;
        Self {
            lab_id,
            webhook_id,
            message,
            state: DeliveryState::Pending,
            round,
            attempts: 0,
            attempted_at: None,
            next_attempt_at: None,
            response_status: None,
            latency_ms: None,
            error: None,
        }
    }

    /// The id, which receivers get as `webhook-id`.
    pub fn id(&self) -> DeliveryId {
        self.message.delivery_id()
    }

    /// The assignment of the next series of attempts.
    pub fn again(&self) -> Assignment {
        let Self { lab_id, webhook_id, message, round, .. } = self.clone();
        Assignment { lab_id, webhook_id, round: round + 1, message }
    }

    /// Reads the record from its item.
    pub(crate) fn from_item(item: Item) -> Result<Self, Error> {
        from_item(item)
    }

    fn into_item(self) -> Result<Item, Error> {
        let mut item = to_item(&self)?;
        item.extend(key(self.lab_id, &keys::delivery(self.webhook_id.as_str(), self.id().as_str())));
        let expires_at = Timestamp::now().epoch_seconds_after_days(RETENTION_DAYS);
        item.insert(EXPIRES_AT.to_owned(), number(expires_at));
        Ok(item)
    }
}

/// Reads the record of a delivery.
pub(crate) async fn get(
    table: &Table,
    lab: LabId,
    webhook: &WebhookId,
    id: &DeliveryId,
) -> Result<Option<Delivery>, Error> {
    let item = table.get(lab, &keys::delivery(webhook.as_str(), id.as_str())).await?;
    item.map(Delivery::from_item).transpose()
}

/// Writes the record of a delivery.
pub(crate) async fn put(table: &Table, delivery: Delivery) -> Result<(), Error> {
    table.put(delivery.into_item()?).await
}
