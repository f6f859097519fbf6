//! Tests a webhook.

use super::{Assignment, Sent, WebhookId, Webhooks};
use crate::{
    base::{error::Error, time::Timestamp},
    message::Message,
};

impl Webhooks<'_> {
    /// Sends a test message to this webhook, whatever its types are.
    ///
    /// # Errors
    /// Webhook not found; webhook disabled; unavailable.
    pub async fn test(&self, id: &WebhookId) -> Result<Sent, Error> {
        self.get(id).await?.check_enabled()?;
        let message = Message::test(self.lab.lab_id(), Timestamp::now());
        let delivery_id = message.delivery_id();
        self.send(&[Assignment::new(self.lab.lab_id(), id.clone(), message)]).await?;
        Ok(Sent { delivery_id })
    }
}
