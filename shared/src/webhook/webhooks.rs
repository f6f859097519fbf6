//! The webhooks of one lab: reading them, and what their changes have in common.

use serde::Serialize;

use super::{Assignment, Webhook, WebhookId, delivery, model};
use crate::{
    base::error::{Error, ErrorCode},
    http::{self, Request},
    lab::LabScope,
    message::DeliveryId,
    table::{ItemChange, Table, Transaction, number},
};

/// The webhooks of one lab.
pub struct Webhooks<'a> {
    pub(super) lab: &'a LabScope,
}

/// The response to a request that sends a message.
#[derive(Serialize)]
pub struct Sent {
    pub(super) delivery_id: DeliveryId,
}

/// The id of the webhook in the path.
///
/// # Errors
/// Webhook not found, when the text cannot be a webhook's id.
pub fn webhook_id(request: &Request) -> Result<WebhookId, Error> {
    WebhookId::parse(http::path_parameter(request, "webhook_id")?).ok_or_else(Error::webhook_not_found)
}

/// The id of the delivery in the path.
///
/// # Errors
/// Delivery not found, when the text cannot be a delivery's id.
pub fn delivery_id(request: &Request) -> Result<DeliveryId, Error> {
    DeliveryId::parse(http::path_parameter(request, "delivery_id")?).ok_or_else(delivery_not_found)
}

/// The webhook does not have this delivery.
pub(super) fn delivery_not_found() -> Error {
    Error::new(ErrorCode::DeliveryNotFound, "The webhook does not have this delivery.")
}

impl<'a> Webhooks<'a> {
    /// The webhooks of the scope's lab.
    pub fn of(lab: &'a LabScope) -> Self {
        Self { lab }
    }

    /// Reads all webhooks, oldest first.
    ///
    /// # Errors
    /// Unavailable.
    pub async fn list(&self) -> Result<Vec<Webhook>, Error> {
        let mut webhooks = model::all(self.table(), self.lab.lab_id()).await?;
        webhooks.sort_by(|one, other| (one.created_at, &one.id).cmp(&(other.created_at, &other.id)));
        Ok(webhooks)
    }

    /// Reads a webhook.
    ///
    /// # Errors
    /// Webhook not found; unavailable.
    pub async fn get(&self, id: &WebhookId) -> Result<Webhook, Error> {
        model::get(self.table(), self.lab.lab_id(), id).await?.ok_or_else(Error::webhook_not_found)
    }

    pub(super) fn table(&self) -> &Table {
        self.lab.table()
    }

    /// A transaction that changes attributes of a webhook if it still has the version that was read, with the audit record.
    pub(super) fn change(&self, before: &Webhook, change: ItemChange) -> Result<Transaction, Error> {
        let mut transaction = Transaction::new(self.table(), self.lab.lab_id());
        transaction.update(&before.sk(), change.if_equal("version", number(before.version)))?;
        self.lab.recorder().add_granted(&mut transaction, Vec::new())?;
        Ok(transaction)
    }

    /// Puts messages into the queue, after the audit record of the request.
    ///
    /// # Errors
    /// Unavailable. Some of the messages may be in the queue; a repeated request sends each once.
    pub(super) async fn send(&self, assignments: &[Assignment]) -> Result<(), Error> {
        let queue = self.lab.webhook_queue()?;
        self.lab.recorder().record_granted(Vec::new()).await?;
        delivery::enqueue(queue, assignments).await.map_err(|(_, error)| error)
    }
}
