//! Sends a failed delivery again.

use super::{DeliveryState, Sent, WebhookId, Webhooks, delivery, webhooks::delivery_not_found};
use crate::{
    base::{
        error::{Error, ErrorCode},
        wire_enum::WireEnum,
    },
    message::DeliveryId,
    table::{ItemChange, keys, number, text},
};

impl Webhooks<'_> {
    /// Sends a failed delivery again, with as many attempts as a new one has.
    ///
    /// # Errors
    /// Webhook not found; delivery not found; webhook disabled; delivery not failed; unavailable.
    pub async fn retry(&self, id: &WebhookId, delivery_id: &DeliveryId) -> Result<Sent, Error> {
        let read = delivery::get(self.table(), self.lab.lab_id(), id, delivery_id);
        let (webhook, failed) = tokio::join!(self.get(id), read);
        webhook?.check_enabled()?;
        let failed = failed?.ok_or_else(delivery_not_found)?;
        if failed.state != DeliveryState::Failed {
            let detail = "Only a failed delivery can be sent again.";
            return Err(Error::new(ErrorCode::DeliveryNotFailed, detail));
        }
        // First into the queue: a delivery that waits and is in no queue would wait for ever.
        self.send(&[failed.again()]).await?;
        // Shows that the delivery waits, unless an attempt was faster.
        let mut change = ItemChange::default();
        change.set("state", text(DeliveryState::Pending.as_str()));
        change.set("round", number(failed.round + 1));
        change.set("attempts", number(0));
        let change = change.if_equal("round", number(failed.round));
        let sk = keys::delivery(id.as_str(), delivery_id.as_str());
        self.table().update(self.lab.lab_id(), &sk, change).await?;
        Ok(Sent { delivery_id: delivery_id.clone() })
    }
}
