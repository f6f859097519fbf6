//! `GET /api/v1/cases/{id}/access`: who saw one case, and who was refused it.

use shared::{
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with a page of access records.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    let id = http::case_id(&req)?;
    http::ok(&lab.access_lists().page(&req, Some(id)).await?)
}
