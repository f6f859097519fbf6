//! `GET /api/v1/cases/{id}/comments`: the comments of a case, in order.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with a page of comments.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::ok(&Cases::of(&lab).comments(http::case_id(&req)?, &req).await?)
}
