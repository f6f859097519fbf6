//! `GET /api/v1/cases/{id}/attachments/{attachment_id}/upload`: signs the requests that send a file once more.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the file and the requests, and says which parts are sent.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let (id, attachment_id) = (http::case_id(&req)?, http::attachment_id(&req)?);
    http::ok(&Cases::of(&lab).attachment_upload(id, &attachment_id).await?)
}
