//! `GET /api/v1/webhooks/{webhook_id}/deliveries`: the deliveries of a webhook.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{Webhooks, webhook_id},
};

/// Returns 200 with a page of deliveries, newest first.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::ok(&Webhooks::of(&lab).deliveries(&webhook_id(&req)?, &req).await?)
}
