//! `POST /api/v1/cases/{id}/attachments`: announces a file of a case.

use shared::{
    case::{AttachmentCreate, Cases},
    http::{self, Request},
    lab::LabScope,
};

/// Returns 201 with the file, the requests that send it, and its `Location`.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let new: AttachmentCreate = http::json_body(&req)?;
    http::created_at(&Cases::of(&lab).create_attachment(http::case_id(&req)?, &new).await?)
}
