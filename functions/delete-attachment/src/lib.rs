//! `DELETE /api/v1/cases/{id}/attachments/{attachment_id}`: removes a file.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 204, also for a file that was removed before.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let (id, attachment_id) = (http::case_id(&req)?, http::attachment_id(&req)?);
    Cases::of(&lab).remove_attachment(id, &attachment_id).await?;
    http::no_content()
}
