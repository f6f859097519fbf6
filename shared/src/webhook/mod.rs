//! Webhooks: endpoints of other systems that get messages about the cases of a lab (Standard Webhooks), and the delivery to them.

mod create;
mod delete;
mod deliveries;
mod delivery;
mod input;
mod model;
mod replay;
mod retry;
mod rotate;
mod secrets;
mod stored_response;
mod test;
mod update;
mod view;
mod webhooks;

pub use deliveries::DeliveryPage;
pub use delivery::{Assignment, Delivery, DeliveryState};
pub use input::WebhookInput;
pub use model::{DisabledReason, MessageFilter, Webhook, WebhookId};
pub(crate) use model::{all, enabled, get};
pub use replay::{Replay, Replayed};
pub use secrets::SigningSecrets;
pub use view::{WebhookList, WebhookView, WebhookWithSecret};
pub use webhooks::{Sent, Webhooks, delivery_id, webhook_id};
