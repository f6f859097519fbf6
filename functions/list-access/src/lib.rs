//! `GET /api/v1/audit`: who saw which cases of a lab, and who was refused them.

use shared::{
    audit_log::AuditLog,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with a page of audit records, or with CSV of them.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    if http::wants_csv(&req)? {
        return http::file(AuditLog::of(&lab).export(&req).await?);
    }
    http::ok(&AuditLog::of(&lab).page(&req, None).await?)
}
