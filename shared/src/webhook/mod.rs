//! Webhooks: endpoints of other systems that get messages about the cases of a lab (Standard Webhooks).

mod attempt;
mod deliverer;
mod delivery;
mod endpoint;
mod model;
mod pause;
mod publish;
mod schedule;
mod secrets;
mod signature;

pub use deliverer::{Deliverer, QueueEvent, QueueReport};
pub use delivery::{Assignment, Delivery, DeliveryState};
pub use endpoint::{Endpoint, parse_url};
pub use model::{DisabledReason, MessageFilter, Webhook, WebhookId};
pub(crate) use publish::{Change, publish};
pub use secrets::SigningSecrets;
