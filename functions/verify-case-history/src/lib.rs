//! `GET /api/v1/cases/{id}/history/verify`: whether each event of a case is there and as it was written.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with what the verification found.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::ok(&Cases::of(&lab).verify_history(http::case_id(&req)?).await?)
}
