//! Webhooks: endpoints of other systems that get messages about the cases of a lab (Standard Webhooks).

mod model;
mod secrets;

pub use model::{DisabledReason, MessageFilter, Webhook, WebhookId};
pub(crate) use model::{all, enabled, get};
pub use secrets::SigningSecrets;
