//! `POST /api/v1/cases/{id}/restore`: brings a deleted case back.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the case.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let restored =
        Cases::of(&lab).restore(http::case_id(&req)?, http::idempotency_key(&req)?.as_ref()).await?;
    http::resource(&restored)
}
