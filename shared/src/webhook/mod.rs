//! Webhooks: endpoints of other systems that get messages about the cases of a lab (Standard Webhooks), and the delivery to them.

mod delivery;
mod model;
mod secrets;

pub use delivery::{Assignment, Delivery, DeliveryState};
pub use model::{DisabledReason, MessageFilter, Webhook, WebhookId};
pub(crate) use model::{all, enabled, get};
pub use secrets::SigningSecrets;
