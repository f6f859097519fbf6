//! The queue of webhooks: sends messages to the endpoints of labs, and tries again later what fails.

use std::sync::Arc;

use shared::webhook::{Deliverer, QueueEvent, QueueReport};

/// Delivers the messages of the queue. Reports those that must stay in it.
pub async fn handler(deliverer: Arc<Deliverer>, event: QueueEvent) -> QueueReport {
    deliverer.process(event).await
}
