//! `GET /api/v1/audit`: the audit records of a lab.

use shared::{
    audit_log::AuditLog,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with a page of audit records, as JSON or CSV.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    if http::wants_csv(&req)? {
        return http::file(AuditLog::of(&lab).export(&req).await?);
    }
    http::ok(&AuditLog::of(&lab).page(&req, None).await?)
}
