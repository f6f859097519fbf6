//! Changes the settings of a webhook.

use super::{Webhook, WebhookId, WebhookInput, Webhooks, input::Settings};
use crate::{
    base::{error::Error, time::Timestamp},
    http::EntityTags,
    table::{Attempt, ItemChange, boolean, number, text, to_attribute},
};

impl Webhooks<'_> {
    /// Sets the fields, if the webhook has one of the versions in `if_match`. Enabling a disabled webhook, or another URL, lets it
    /// begin anew: its failures are forgotten.
    ///
    /// # Errors
    /// Webhook not found; precondition failed; validation; conflict.
    pub async fn update(
        &self,
        id: &WebhookId,
        update: &WebhookInput,
        if_match: Option<&EntityTags>,
    ) -> Result<Webhook, Error> {
        self.table()
            .write(self.lab.retry(), || async {
                let before = self.get(id).await?;
                if_match.map_or(Ok(()), |tags| tags.check(before.version))?;
                let settings = update.updated(&before, self.lab.services().stage)?;
                if settings == before.settings() {
                    self.lab.recorder().record_granted(Vec::new()).await?;
                    return Ok(Attempt::Done(before));
                }
                let after = before.with(settings);
                let transaction = self.change(&before, after.change_from(&before)?)?;
                Ok(Attempt::Commit(transaction, after))
            })
            .await
    }
}

impl Webhook {
    /// The next version, with these settings.
    fn with(&self, settings: Settings) -> Self {
        let Settings { url, description, types, enabled } = settings;
        let begins_anew = enabled && !self.is_enabled() || url != self.url;
        let mut after = self.clone();
        if begins_anew {
            (after.failing_since, after.failures, after.paused_until) = (None, 0, None);
        }
        if enabled {
            after.disabled_reason = None;
        }
        let (version, updated_at) = (self.version + 1, Timestamp::now());
        Self { url, description, types, enabled, version, updated_at, ..after }
    }

    /// Sets only what an update changes, so that what deliveries write, and attributes of a newer release, stay.
    fn change_from(&self, before: &Self) -> Result<ItemChange, Error> {
        let mut change = ItemChange::default();
        change.set("url", text(self.url.expose()));
        change.set("types", to_attribute(&self.types)?);
        change.set("enabled", boolean(self.enabled));
        change.set("version", number(self.version));
        change.set("updated_at", text(self.updated_at.to_string()));
        match &self.description {
            Some(description) => change.set("description", text(description.expose())),
            None => change.remove("description"),
        }
        if self.disabled_reason.is_none() {
            change.remove("disabled_reason");
        }
        if self.failing_since.is_none() && before.failing_since.is_some() {
            ["failing_since", "failures", "paused_until"].into_iter().for_each(|name| change.remove(name));
        }
        Ok(change)
    }
}
