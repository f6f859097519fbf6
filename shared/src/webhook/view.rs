//! Webhooks in responses. The secret is only in the response that made it.

use serde::Serialize;

use super::{DisabledReason, MessageFilter, Webhook, WebhookId, input::Settings};
use crate::{
    base::{
        LabId,
        private::{Private, Secret},
        time::Timestamp,
        wire_enum::Stored,
    },
    http::Resource,
};

/// A webhook as clients see it.
#[derive(Serialize)]
pub struct WebhookView<'a> {
    id: &'a WebhookId,
    lab_id: LabId,
    url: &'a Private<String>,
    description: Option<&'a Private<String>>,
    types: &'a MessageFilter,
    enabled: bool,
    disabled_reason: Option<&'a Stored<DisabledReason>>,
    failing_since: Option<Timestamp>,
    public_key: &'a str,
    /// Until when the secret before the last rotation signs as well.
    previous_secret_until: Option<Timestamp>,
    version: u32,
    created_at: Timestamp,
    updated_at: Timestamp,
    created_by: &'a str,
}

impl Webhook {
    pub(super) fn settings(&self) -> Settings {
        let Self { url, description, types, .. } = self.clone();
        Settings { url, description, types, enabled: self.is_enabled() }
    }

    pub(super) fn to_view(&self) -> WebhookView<'_> {
        WebhookView {
            id: &self.id,
            lab_id: self.lab_id,
            url: &self.url,
            description: self.description.as_ref(),
            types: &self.types,
            enabled: self.is_enabled(),
            disabled_reason: self.disabled_reason.as_ref(),
            failing_since: self.failing_since,
            public_key: &self.public_key,
            previous_secret_until: self.previous(Timestamp::now()).map(|previous| previous.until),
            version: self.version,
            created_at: self.created_at,
            updated_at: self.updated_at,
            created_by: &self.created_by,
        }
    }
}

impl Resource for Webhook {
    fn view(&self) -> impl Serialize {
        self.to_view()
    }

    fn version(&self) -> u32 {
        self.version
    }

    fn path(&self) -> String {
        format!("/api/v1/webhooks/{}", self.id)
    }
}

/// A webhook with a new secret: the response to a create or a rotation.
pub struct WebhookWithSecret {
    pub(super) webhook: Webhook,
    /// `None` in a repeated response after a later rotation.
    pub(super) secret: Option<Secret>,
    pub(super) is_replay: bool,
}

impl Resource for WebhookWithSecret {
    fn view(&self) -> impl Serialize {
        #[derive(Serialize)]
        struct View<'a> {
            #[serde(flatten)]
            webhook: WebhookView<'a>,
            secret: Option<&'a str>,
        }
        View { webhook: self.webhook.to_view(), secret: self.secret.as_ref().map(Secret::expose) }
    }

    fn version(&self) -> u32 {
        self.webhook.version
    }

    fn path(&self) -> String {
        self.webhook.path()
    }

    fn is_replay(&self) -> bool {
        self.is_replay
    }
}

/// The webhooks of a lab, oldest first.
#[derive(Serialize)]
pub struct WebhookList<'a> {
    webhooks: Vec<WebhookView<'a>>,
}

impl<'a> WebhookList<'a> {
    /// The list of all webhooks.
    pub fn of(webhooks: &'a [Webhook]) -> Self {
        Self { webhooks: webhooks.iter().map(Webhook::to_view).collect() }
    }
}
