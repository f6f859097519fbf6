//! `POST /api/v1/cases/{id}/attachments/{attachment_id}/complete`: completes a file that is in the store.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the file, also for a file that was completed before.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let (id, attachment_id) = (http::case_id(&req)?, http::attachment_id(&req)?);
    http::ok(&Cases::of(&lab).complete_attachment(id, &attachment_id).await?)
}
