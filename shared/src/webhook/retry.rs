//! Sends a failed delivery again.

use super::{
    Delivery, DeliveryState, Sent, WebhookId, Webhooks, delivery,
    webhooks::delivery_not_found,
};
use crate::{
    base::{
        error::{Error, ErrorCode},
        wire_enum::WireEnum,
    },
    message::DeliveryId,
    table::{Attempt, ItemChange, Transaction, keys, number, text},
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
        self.begin_again(id, delivery_id, &failed).await?;
        Ok(Sent { delivery_id: delivery_id.clone() })
    }

    /// Shows that the delivery waits, unless an attempt was faster.
    async fn begin_again(
        &self,
        id: &WebhookId,
        delivery_id: &DeliveryId,
        failed: &Delivery,
    ) -> Result<(), Error> {
        let (table, lab) = (self.table(), self.lab.lab_id());
        let attempt = || async {
            let now = delivery::get(table, lab, id, delivery_id).await?;
            if now.as_ref() != Some(failed) {
                return Ok(Attempt::Done(()));
            }
            let mut change = ItemChange::default();
            change.set("state", text(DeliveryState::Pending.as_str()));
            change.set("round", number(failed.round + 1));
            change.set("attempts", number(0));
            let mut transaction = Transaction::new(table, lab);
            transaction.update(&keys::delivery(id.as_str(), delivery_id.as_str()), change.if_equal("round", number(failed.round)))?;
            Ok(Attempt::Commit(transaction, ()))
        };
        table.write(self.lab.retry(), attempt).await
    }
}
