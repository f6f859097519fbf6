//! `GET /api/v1/cases/{id}`: one case.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the case and its version as `ETag`, or 304 to a client that has that version.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let case = Cases::of(&lab).get(http::case_id(&req)?).await?;
    http::ok_or_not_modified(&req, &case)
}
