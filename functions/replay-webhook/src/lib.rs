//! `POST /api/v1/webhooks/{webhook_id}/replay`: sends messages about the cases that have changed since a time.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{Replay, Webhooks, webhook_id},
};

/// Returns 202 with the number of messages, and the cursor of the rest.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let replay: Replay = http::json_body(&req)?;
    http::accepted(&Webhooks::of(&lab).replay(&webhook_id(&req)?, &replay).await?)
}
