//! `PUT /api/v1/webhooks/{webhook_id}`: changes the settings of a webhook.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{WebhookInput, Webhooks, webhook_id},
};

/// Returns 200 with the webhook.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let update: WebhookInput = http::json_body(&req)?;
    let if_match = http::if_match(&req)?;
    http::resource(&Webhooks::of(&lab).update(&webhook_id(&req)?, &update, if_match.as_ref()).await?)
}
