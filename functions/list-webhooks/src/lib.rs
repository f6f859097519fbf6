//! `GET /api/v1/webhooks`: the webhooks of a lab.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{WebhookList, Webhooks},
};

/// Returns 200 with all webhooks, oldest first.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::ok(&WebhookList::of(&Webhooks::of(&lab).list().await?))
}
