//! A webhook: an endpoint of another system that gets messages about the cases of a lab.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::SigningSecrets;
use crate::{
    base::{
        LabId,
        encryption::EncryptionKeys,
        error::{Error, ErrorCode},
        is_random_id,
        private::Private,
        random_id,
        time::Timestamp,
        wire_enum::{Stored, WireEnum},
    },
    message::MessageType,
    table::{Query, Table, from_item, keys},
    wire_enum,
};

/// The id of a webhook: `wh_` and 16 letters or digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct WebhookId(String);

impl WebhookId {
    /// How an id begins.
    const PREFIX: &str = "wh_";

    /// Makes a new id.
    #[allow(clippy::new_without_default, reason = "each one is another id")]
    pub fn new() -> Self {
        Self(random_id(Self::PREFIX))
    }

    /// Reads the text of a path parameter. `None` for text that cannot be a webhook's id.
    pub fn parse(text: &str) -> Option<Self> {
        is_random_id(Self::PREFIX, text).then(|| Self(text.to_owned()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

wire_enum! {
    /// Why the service has disabled a webhook: the endpoint answered 410, or it failed for five days.
    DisabledReason { Gone = "gone", Failing = "failing" }
}

/// The types of the messages that a webhook gets. An empty list is all types, also those of later releases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageFilter(Vec<String>);

impl MessageFilter {
    /// A filter for these types.
    pub fn new(types: &[MessageType]) -> Self {
        Self(types.iter().map(|kind| kind.as_str().to_owned()).collect())
    }

    /// Whether messages of this type pass.
    pub fn passes(&self, kind: MessageType) -> bool {
        self.0.is_empty() || self.0.iter().any(|name| name == kind.as_str())
    }
}

/// The secrets that a rotation has replaced. They sign beside the new ones until the receiver has had time to change.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PreviousSecrets {
    /// The encrypted secrets.
    pub secrets: String,
    /// When they stop to sign.
    pub until: Timestamp,
}

/// A webhook, as its item has it. It has no `Debug`, because URLs can have passwords and descriptions can have anything.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The lab.
    pub lab_id: LabId,
    /// Where messages go.
    pub url: Private<String>,
    /// What people say about it.
    pub description: Option<Private<String>>,
    /// Which messages it gets.
    #[serde(default)]
    pub types: MessageFilter,
    /// Whether people and the service want it to get messages.
    pub(super) enabled: bool,
    /// Why the service has disabled it; `None` if it did not.
    pub disabled_reason: Option<Stored<DisabledReason>>,
    /// When its deliveries began to fail; `None` after each success.
    pub failing_since: Option<Timestamp>,
    /// How many attempts in a row have failed since then.
    #[serde(default)]
    pub failures: u32,
    /// Until when no request is sent, because the endpoint fails.
    pub paused_until: Option<Timestamp>,
    /// The version of what people set, from 1. It rises too when the service disables the webhook.
    pub version: u32,
    /// When it was created.
    pub created_at: Timestamp,
    /// When people changed it last, or the service disabled it.
    pub updated_at: Timestamp,
    /// The user who created it.
    pub created_by: String,
    /// The encrypted secrets; `None` in a lab that came from another deployment.
    pub(super) secrets: Option<String>,
    /// The public key of the secrets, in the format of Standard Webhooks.
    pub(super) public_key: String,
    /// The secrets before the last rotation.
    pub(super) previous: Option<PreviousSecrets>,
}

impl Webhook {
    /// Its sort key.
    pub fn sk(&self) -> String {
        keys::webhook(self.id.as_str())
    }

    /// The secrets that sign a message at `now`: the current ones, and during a rotation the previous ones.
    ///
    /// # Errors
    /// Internal, when there are no secrets, or they are not of this webhook or were changed, or their key is not configured any
    /// more.
    pub fn signing_secrets(
        &self,
        keys: &EncryptionKeys,
        now: Timestamp,
    ) -> Result<Vec<SigningSecrets>, Error> {
        let current = self.secrets.as_ref().ok_or_else(|| Error::internal("a webhook has no secrets"))?;
        let previous = self.previous(now).map(|previous| &previous.secrets);
        let texts = [current].into_iter().chain(previous);
        texts.map(|text| SigningSecrets::decrypt(text, keys, self.lab_id, &self.id)).collect()
    }

    /// The secrets before the last rotation, while they still sign.
    pub(super) fn previous(&self, now: Timestamp) -> Option<&PreviousSecrets> {
        self.previous.as_ref().filter(|previous| now < previous.until)
    }

    /// Whether it gets messages. Without secrets it gets none until the next rotation.
    pub fn is_enabled(&self) -> bool {
        self.enabled && self.secrets.is_some()
    }

    /// Checks that messages can be sent to it.
    ///
    /// # Errors
    /// Webhook disabled.
    pub(super) fn check_enabled(&self) -> Result<(), Error> {
        if self.is_enabled() {
            return Ok(());
        }
        Err(Error::new(ErrorCode::WebhookDisabled, "The webhook is disabled. Enable it first."))
    }
}

/// Reads a webhook, strongly consistent; `None` if the lab does not have it.
///
/// # Errors
/// Unavailable; internal, when the item is no webhook.
pub(crate) async fn get(table: &Table, lab: LabId, id: &WebhookId) -> Result<Option<Webhook>, Error> {
    table.get(lab, &keys::webhook(id.as_str())).await?.map(from_item).transpose()
}

/// Reads all webhooks of a lab, in the order of their ids.
///
/// # Errors
/// Unavailable; internal, when an item is no webhook.
pub(crate) async fn all(table: &Table, lab: LabId) -> Result<Vec<Webhook>, Error> {
    let range = Query::of_table(keys::WEBHOOK_PREFIX, keys::last_webhook()).consistent();
    table.query_all(lab, range).await?.into_iter().map(from_item).collect()
}

/// Reads the webhooks of a lab that get messages.
///
/// # Errors
/// The errors of [`all`].
pub(crate) async fn enabled(table: &Table, lab: LabId) -> Result<Vec<Webhook>, Error> {
    Ok(all(table, lab).await?.into_iter().filter(Webhook::is_enabled).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_a_prefix_and_16_letters_or_digits() {
        let id = WebhookId::new();
        assert_eq!(WebhookId::parse(id.as_str()), Some(id.clone()));
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{id}\""));
        assert_ne!(WebhookId::new(), id);
        let long = format!("{id}a");
        for text in
            ["", "wh_", "1", "wh_abc#", "wh_0123456789abcde#", "wh_0123456789abcdé", &long, &id.as_str()[3..]]
        {
            assert_eq!(WebhookId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_empty_filter_passes_every_type_and_a_filter_only_its_own() {
        let all = MessageFilter::default();
        let some = MessageFilter::new(&[MessageType::CaseCreated, MessageType::CaseDeleted]);
        for &kind in MessageType::ALL {
            assert!(all.passes(kind), "{kind:?}");
            let expected = matches!(kind, MessageType::CaseCreated | MessageType::CaseDeleted);
            assert_eq!(some.passes(kind), expected, "{kind:?}");
        }
    }

    #[test]
    fn the_secrets_before_a_rotation_sign_until_their_time_is_over() {
        let at = |text| Timestamp::parse(text).unwrap();
        let lab = LabId::new(123).unwrap();
        let key = crate::base::private::Secret::new("AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=");
        let keys = EncryptionKeys::new([("2026", &key)]).unwrap();
        let (id, new, old) =
            (WebhookId::new(), SigningSecrets::generate().unwrap(), SigningSecrets::generate().unwrap());
        let webhook = Webhook {
            lab_id: lab,
            url: Private::new("https://example.com/hook".to_owned()),
            description: None,
            types: MessageFilter::default(),
            enabled: true,
            disabled_reason: None,
            failing_since: None,
            failures: 0,
            paused_until: None,
            version: 2,
            created_at: at("2026-11-27T10:00:00.000Z"),
            updated_at: at("2026-11-28T10:00:00.000Z"),
            created_by: "1".to_owned(),
            secrets: Some(new.encrypted(&keys, lab, &id).unwrap()),
            public_key: new.public_key(),
            previous: Some(PreviousSecrets {
                secrets: old.encrypted(&keys, lab, &id).unwrap(),
                until: at("2026-11-29T10:00:00.000Z"),
            }),
            id,
        };
        let signing = |now| {
            let secrets = webhook.signing_secrets(&keys, at(now)).unwrap();
            secrets.iter().map(SigningSecrets::public_key).collect::<Vec<_>>()
        };
        assert_eq!(signing("2026-11-29T09:59:59.999Z"), [new.public_key(), old.public_key()]);
        assert_eq!(signing("2026-11-29T10:00:00.000Z"), [new.public_key()]);
    }
}
