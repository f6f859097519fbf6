//! `GET /api/v1/cases/{id}/history/verify`: verifies that each event of a case exists and is unchanged.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the result of the verification.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::ok(&Cases::of(&lab).verify_history(http::case_id(&req)?).await?)
}
