//! `DELETE /api/v1/cases/{id}/comments/{comment_id}`: removes a comment and leaves its mark.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 204.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    Cases::of(&lab).remove_comment(http::case_id(&req)?, http::comment_id(&req)?).await?;
    http::no_content()
}
