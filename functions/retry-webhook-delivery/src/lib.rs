//! `POST /api/v1/webhooks/{webhook_id}/deliveries/{delivery_id}/retry`: sends a failed delivery again.

use shared::{
    http::{self, Request},
    lab::LabScope,
    webhook::{Webhooks, delivery_id, webhook_id},
};

/// Returns 202 with the id of the delivery.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::accepted(&Webhooks::of(&lab).retry(&webhook_id(&req)?, &delivery_id(&req)?).await?)
}
