//! `POST /api/v1/webhooks/{webhook_id}/rotate-secret`: gives a webhook new secrets.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{Webhooks, webhook_id},
};

/// Returns 200 with the webhook and its new secret.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let key = http::idempotency_key(&req)?;
    http::resource(&Webhooks::of(&lab).rotate_secret(&webhook_id(&req)?, key.as_ref()).await?)
}
