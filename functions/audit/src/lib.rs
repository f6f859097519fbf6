//! `GET /api/v1/audit`: who saw which cases of a lab, and who was refused them; `GET /api/v1/cases/{id}/access`: the same
//! of one case.

use shared::{auth::Operation, http::{Request, self}, lab::LabScope};

/// Answers 200 with a page of access records, or with CSV of them.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    if http::raw_path(&req).starts_with("/api/v1/cases/") {
        lab.require(Operation::GetCaseAccess)?;
        let id = http::case_id(&req)?;
        return http::ok(&lab.access_lists().page(&req, Some(id)).await?);
    }
    lab.require(Operation::ListAccess)?;
    if http::wants_csv(&req)? {
        return http::access_export(lab.access_lists().export(&req).await?);
    }
    http::ok(&lab.access_lists().page(&req, None).await?)
}
