//! `GET /api/v1/cases/{id}/access`: who saw one case, and who was refused it.

use shared::{
    audit_log::AuditLog,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with a page of audit records.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    let id = http::case_id(&req)?;
    http::ok(&AuditLog::of(&lab).page(&req, Some(id)).await?)
}
