//! Creates a webhook.

use super::{SigningSecrets, Webhook, WebhookId, WebhookInput, WebhookWithSecret, Webhooks, input::Settings};
use crate::{
    base::{
        error::{Error, ErrorCode},
        time::Timestamp,
    },
    http::IdempotencyKey,
    table::{Attempt, Transaction, to_item},
};

/// The most webhooks of a lab. Each costs a message for each change. Simultaneous requests can exceed it.
const MAX_WEBHOOKS: usize = 10;

impl Webhooks<'_> {
    /// Creates a webhook with new secrets. A repeated request with the same idempotency key gets the same webhook, and its
    /// secret until a rotation.
    ///
    /// # Errors
    /// Validation; too many webhooks; idempotency key reused; conflict.
    pub async fn create(
        &self,
        new: &WebhookInput,
        idempotency_key: Option<&IdempotencyKey>,
    ) -> Result<WebhookWithSecret, Error> {
        let settings = new.settings(self.lab.services().stage)?;
        self.table()
            .write(self.lab.retry(), || async {
                if let Some(repeated) = self.repeated(idempotency_key).await? {
                    return Ok(Attempt::Done(repeated));
                }
                if self.list().await?.len() >= MAX_WEBHOOKS {
                    let detail = format!("A lab can have {MAX_WEBHOOKS} webhooks. Delete one first.");
                    return Err(Error::new(ErrorCode::TooManyWebhooks, detail));
                }
                let secrets = SigningSecrets::generate()?;
                let webhook = self.new_webhook(settings.clone(), &secrets)?;
                let mut transaction = Transaction::new(self.table(), self.lab.lab_id());
                transaction.insert(&webhook.sk(), to_item(&webhook)?)?;
                self.lab.recorder().add_granted(&mut transaction, Vec::new())?;
                self.store_response(&mut transaction, idempotency_key, &webhook)?;
                let secret = Some(secrets.secret());
                Ok(Attempt::Commit(transaction, WebhookWithSecret { webhook, secret, is_replay: false }))
            })
            .await
    }

    fn new_webhook(&self, settings: Settings, secrets: &SigningSecrets) -> Result<Webhook, Error> {
        let (id, lab_id, now) = (WebhookId::new(), self.lab.lab_id(), Timestamp::now());
        let Settings { url, description, types, enabled } = settings;
        Ok(Webhook {
            lab_id,
            url,
            description,
            types,
            enabled,
            disabled_reason: None,
            failing_since: None,
            failures: 0,
            paused_until: None,
            version: 1,
            created_at: now,
            updated_at: now,
            created_by: self.lab.user_id().to_string(),
            secrets: Some(secrets.encrypted(self.lab.webhook_keys()?, lab_id, &id)?),
            public_key: secrets.public_key(),
            previous: None,
            id,
        })
    }
}
