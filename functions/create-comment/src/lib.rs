//! `POST /api/v1/cases/{id}/comments`: adds a comment to a case.

use shared::{
    case::{Cases, CommentCreate},
    http::{self, Request},
    lab::LabScope,
};

/// Returns 201 with the comment and its `Location`.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let new: CommentCreate = http::json_body(&req)?;
    let key = http::idempotency_key(&req)?;
    http::created_at(&Cases::of(&lab).create_comment(http::case_id(&req)?, &new, key.as_ref()).await?)
}
