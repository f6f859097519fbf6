//! `POST /api/v1/webhooks/{webhook_id}/test`: sends a test message to a webhook.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{Webhooks, webhook_id},
};

/// Returns 202 with the id of the delivery.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::accepted(&Webhooks::of(&lab).test(&webhook_id(&req)?).await?)
}
