//! Stored responses of requests that make secrets. They name the webhook and the public key of the secrets, and nothing secret: a
//! repeated request takes the secret from the item of the webhook, where it is encrypted.

use serde::{Deserialize, Serialize};

use super::{SigningSecrets, Webhook, WebhookId, WebhookWithSecret, Webhooks};
use crate::{
    base::{error::Error, time::Timestamp},
    http::IdempotencyKey,
    lab::{check_stored_response, response_expires_at},
    table::{Transaction, from_item, to_item},
};

#[derive(Serialize, Deserialize)]
struct StoredResponse {
    fingerprint: String,
    webhook_id: WebhookId,
    /// Tells whether the webhook still has the secrets of the response.
    public_key: String,
    /// Seconds since the Unix epoch.
    expires_at: i64,
}

impl Webhooks<'_> {
    /// The response to a repeated request: the webhook as it is now, and its secret if it is still that of the first response.
    ///
    /// # Errors
    /// Idempotency key reused; webhook not found, when it was deleted since.
    pub(super) async fn repeated(
        &self,
        key: Option<&IdempotencyKey>,
    ) -> Result<Option<WebhookWithSecret>, Error> {
        let Some(key) = key else { return Ok(None) };
        let item = self.table().get(self.lab.lab_id(), &self.lab.response_key(key)).await?;
        let Some(item) = item else { return Ok(None) };
        if check_stored_response(key, &item)?.is_none() {
            return Ok(None);
        }
        let stored: StoredResponse = from_item(item)?;
        let webhook = self.get(&stored.webhook_id).await?;
        let keys = self.lab.webhook_keys()?;
        let secret = match &webhook.secrets {
            Some(text) if webhook.public_key == stored.public_key => {
                Some(SigningSecrets::decrypt(text, keys, webhook.lab_id, &webhook.id)?.secret())
            }
            _ => None,
        };
        self.lab.recorder().record_granted(Vec::new()).await?;
        Ok(Some(WebhookWithSecret { webhook, secret, is_replay: true }))
    }

    /// Stores the response, if the request has an idempotency key.
    pub(super) fn store_response(
        &self,
        transaction: &mut Transaction,
        key: Option<&IdempotencyKey>,
        webhook: &Webhook,
    ) -> Result<(), Error> {
        let Some(key) = key else { return Ok(()) };
        let now = Timestamp::now();
        let response = StoredResponse {
            fingerprint: key.fingerprint().to_owned(),
            webhook_id: webhook.id.clone(),
            public_key: webhook.public_key.clone(),
            expires_at: response_expires_at(now),
        };
        transaction.insert_or_replace_expired(&self.lab.response_key(key), to_item(&response)?, now)
    }
}
