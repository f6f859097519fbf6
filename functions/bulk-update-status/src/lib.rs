//! `POST /api/v1/cases/bulk-status`: moves several cases to another status.

use shared::{
    case::{BulkStatusUpdate, Cases},
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the result of each case.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let bulk: BulkStatusUpdate = http::json_body(&req)?;
    let result = Cases::of(&lab).update_statuses(&bulk, http::idempotency_key(&req)?.as_ref()).await?;
    http::ok(&result)
}
