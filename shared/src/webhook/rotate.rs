//! Replaces the secrets of a webhook.

use std::time::Duration;

use super::{SigningSecrets, WebhookId, WebhookWithSecret, Webhooks, model::PreviousSecrets};
use crate::{
    base::{error::Error, time::Timestamp},
    http::IdempotencyKey,
    table::{Attempt, ItemChange, number, text, to_attribute},
};

/// How long the replaced secrets sign beside the new ones.
const OVERLAP: Duration = Duration::from_secs(24 * 60 * 60);

impl Webhooks<'_> {
    /// Gives a webhook new secrets. The ones before sign as well for 24 hours; those before them do not any more. A repeated
    /// request with the same idempotency key gets the same secret until another rotation.
    ///
    /// # Errors
    /// Webhook not found; idempotency key reused; conflict.
    pub async fn rotate_secret(
        &self,
        id: &WebhookId,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<WebhookWithSecret, Error> {
        self.table()
            .write(self.lab.retry(), || async {
                if let Some(repeated) = self.repeated(idempotency_key).await? {
                    return Ok(Attempt::Done(repeated));
                }
                let before = self.get(id).await?;
                let (mut after, now) = (before.clone(), Timestamp::now());
                let secrets = SigningSecrets::generate()?;
                let encrypted = secrets.encrypted(self.lab.webhook_keys()?, before.lab_id, id)?;
                let until = now.plus(OVERLAP);
                after.previous = before.secrets.clone().map(|secrets| PreviousSecrets { secrets, until });
                (after.secrets, after.public_key) = (Some(encrypted.clone()), secrets.public_key());
                (after.version, after.updated_at) = (before.version + 1, now);
                let mut change = ItemChange::default();
                change.set("secrets", text(encrypted));
                change.set("public_key", text(&after.public_key));
                change.set("version", number(after.version));
                change.set("updated_at", text(now.to_string()));
                match &after.previous {
                    Some(previous) => change.set("previous", to_attribute(previous)?),
                    None => change.remove("previous"),
                }
                let mut transaction = self.change(&before, change)?;
                self.store_response(&mut transaction, idempotency_key, &after)?;
                let secret = Some(secrets.secret());
                Ok(Attempt::Commit(
                    transaction,
                    WebhookWithSecret { webhook: after, secret, is_replay: false },
                ))
            })
            .await
    }
}
