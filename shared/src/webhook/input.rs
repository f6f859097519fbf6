//! What people set of a webhook.

use serde_json::{Map, Value};

use super::{MessageFilter, Webhook, endpoint::MAX_URL_LENGTH, parse_url};
use crate::{
    base::{
        error::Error,
        field_error::Invalid,
        private::Private,
        validate::{
            Checked, Fields, FromObject, Patch, boolean, distinct, not_one_of, read_only_errors, string,
            text, whole_object,
        },
        wire_enum::WireEnum,
    },
    config::Stage,
    http::Resource,
    message::MessageType,
};

/// The longest description, in characters.
const MAX_DESCRIPTION: usize = 200;

/// The fields that clients cannot set. An update may have them with their current values.
const READ_ONLY: [&str; 9] = [
    "id",
    "lab_id",
    "disabled_reason",
    "public_key",
    "previous_secret_until",
    "version",
    "created_at",
    "updated_at",
    "created_by",
];
/// Changes with each delivery, so an update may have it with any value.
const STATE: &str = "failing_since";

/// The body of a create or an update. It holds the object, because what is allowed depends on the stage and on the webhook.
pub struct WebhookInput {
    object: Map<String, Value>,
}

impl FromObject for WebhookInput {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        Some(Self { object: whole_object(fields) })
    }
}

/// The settings of a webhook.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Settings {
    pub url: Private<String>,
    pub description: Option<Private<String>>,
    pub types: MessageFilter,
    pub enabled: bool,
}

impl WebhookInput {
    /// The settings of a new webhook.
    ///
    /// # Errors
    /// Validation, with all errors.
    pub(super) fn settings(&self, stage: Stage) -> Result<Settings, Error> {
        let mut fields = Fields::new(&self.object);
        let url = fields.required("url", url(stage));
        let mut settings = Settings {
            url: url.unwrap_or_default(),
            description: None,
            types: MessageFilter::default(),
            enabled: true,
        };
        settings.read_rest(&mut fields);
        fields.finish().map(|()| settings)
    }

    /// The settings of a webhook after an update.
    ///
    /// # Errors
    /// Validation, with all errors, including read-only fields that differ from the webhook.
    pub(super) fn updated(&self, webhook: &Webhook, stage: Stage) -> Result<Settings, Error> {
        let mut settings = webhook.settings();
        let mut fields = Fields::new(&self.object);
        if let Some(url) = fields.optional_but_not_null("url", url(stage)) {
            settings.url = url;
        }
        settings.read_rest(&mut fields);
        fields.skip(READ_ONLY);
        fields.skip([STATE]);
        fields.extend(read_only_errors(&self.object, &webhook.view(), READ_ONLY.into_iter())?);
        fields.finish().map(|()| settings)
    }
}

impl Settings {
    fn read_rest(&mut self, fields: &mut Fields) {
        fields.optional("description", text(1..=MAX_DESCRIPTION)).set(&mut self.description);
        match fields.optional("types", types) {
            Patch::Absent => {}
            Patch::Null => self.types = MessageFilter::default(),
            Patch::Value(types) => self.types = MessageFilter::new(&types),
        }
        match fields.optional("enabled", boolean) {
            Patch::Absent => {}
            Patch::Null => self.enabled = true,
            Patch::Value(enabled) => self.enabled = enabled,
        }
    }
}

/// An address that messages can go to.
fn url(stage: Stage) -> impl Fn(&Value) -> Checked<Private<String>> {
    move |value| {
        let url = string(1..=MAX_URL_LENGTH)(value)?;
        parse_url(url.expose(), stage).map_err(|detail| Invalid::format("webhook_url", detail))?;
        Ok(url)
    }
}

/// The types of messages that a webhook can ask for. A test comes whatever they are.
fn types(value: &Value) -> Checked<Vec<MessageType>> {
    let known = || MessageType::ALL.iter().copied().filter(|kind| *kind != MessageType::WebhookTest);
    let kind = |value: &Value| {
        let kind = value.as_str().and_then(|name| known().find(|kind| kind.as_str() == name));
        kind.ok_or_else(|| not_one_of(&known().map(MessageType::as_str).collect::<Vec<_>>()))
    };
    distinct(0..=known().count(), kind)(value)
}
