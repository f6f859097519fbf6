//! `GET /api/v1/audit`: the audit records of a lab.

use shared::{
    audit_log::AuditLog,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with a page of audit records, as JSON or CSV.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    let log = AuditLog::of(&lab);
    if http::wants_csv(&req)? {
        let file = http::file(log.export(&req).await?)?;
        return http::with_header(file, "x-reaches-back-to", log.reaches_back_to().to_string());
    }
    http::ok(&log.page(&req, None).await?)
}
