//! `GET /api/v1/audit/verify`: the verification of the audit trail of a day.

use shared::{
    http::{self, Request},
    lab::LabScope,
    trail::AuditTrail,
};

/// Returns 200 with the disagreements between the tables and the archive.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::ok(&AuditTrail::of(&lab).verify(&req).await?)
}
