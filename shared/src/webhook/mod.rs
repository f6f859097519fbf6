//! Webhooks: endpoints of other systems that get messages about the cases of a lab (Standard Webhooks). Files named after an
//! operation belong to the API; `publish`, `deliverer` and what they use send the messages.

mod attempt;
mod create;
mod delete;
mod deliverer;
mod deliveries;
mod delivery;
mod endpoint;
mod input;
mod model;
mod pause;
mod publish;
mod replay;
mod retry;
mod rotate;
mod schedule;
mod secrets;
mod signature;
mod stored_response;
mod test;
mod update;
mod view;
mod webhooks;

pub use deliverer::{Deliverer, QueueEvent, QueueReport};
pub use deliveries::DeliveryPage;
pub use delivery::{Assignment, Delivery, DeliveryState};
pub use endpoint::{Endpoint, parse_url};
pub use input::WebhookInput;
pub use model::{DisabledReason, MessageFilter, Webhook, WebhookId};
pub(crate) use publish::publish;
pub use replay::{Replay, Replayed};
pub use secrets::SigningSecrets;
pub use view::{WebhookList, WebhookView, WebhookWithSecret};
pub use webhooks::{Sent, Webhooks, delivery_id, webhook_id};
