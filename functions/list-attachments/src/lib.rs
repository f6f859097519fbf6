//! `GET /api/v1/cases/{id}/attachments`: lists the files of a case.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the files.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::ok(&Cases::of(&lab).attachments(http::case_id(&req)?).await?)
}
