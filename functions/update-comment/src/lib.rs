//! `PUT /api/v1/cases/{id}/comments/{comment_id}`: edits a comment.

use shared::{
    case::{Cases, CommentUpdate},
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the comment.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let update: CommentUpdate = http::json_body(&req)?;
    let (case, comment) = (http::case_id(&req)?, http::comment_id(&req)?);
    http::ok(&Cases::of(&lab).update_comment(case, comment, &update).await?)
}
