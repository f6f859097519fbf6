//! `GET /api/v1/webhooks/{webhook_id}`: a webhook.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{Webhooks, webhook_id},
};

/// Returns 200 with the webhook, without its secret.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::resource(&Webhooks::of(&lab).get(&webhook_id(&req)?).await?)
}
