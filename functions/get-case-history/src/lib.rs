//! `GET /api/v1/cases/{id}/history`: every change of a case, in order.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with a page of events.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::ok(&Cases::of(&lab).history(http::case_id(&req)?, &req).await?)
}
