//! `DELETE /api/v1/cases/{id}`: takes a case out of every list.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 204.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    Cases::of(&lab).delete(http::case_id(&req)?, http::if_match(&req)?.as_ref()).await?;
    http::no_content()
}
