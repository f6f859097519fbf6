//! `POST /api/v1/webhooks`: creates a webhook.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{WebhookInput, Webhooks},
};

/// Returns 201 with the webhook, its secret and its `Location`.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let new: WebhookInput = http::json_body(&req)?;
    http::created(&Webhooks::of(&lab).create(&new, http::idempotency_key(&req)?.as_ref()).await?)
}
