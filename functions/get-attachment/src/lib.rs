//! `GET /api/v1/cases/{id}/attachments/{attachment_id}`: returns a file and the URL that downloads it.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the file, and a URL if it is clean.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let (id, attachment_id) = (http::case_id(&req)?, http::attachment_id(&req)?);
    http::ok(&Cases::of(&lab).attachment(id, &attachment_id).await?)
}
