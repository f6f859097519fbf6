//! `DELETE /api/v1/webhooks/{webhook_id}`: deletes a webhook.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{Webhooks, webhook_id},
};

/// Returns 204.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    Webhooks::of(&lab).delete(&webhook_id(&req)?).await?;
    http::no_content()
}
