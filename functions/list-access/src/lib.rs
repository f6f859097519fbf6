//! `GET /api/v1/audit`: who saw which cases of a lab, and who was refused them.

use shared::{
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with a page of access records, or with CSV of them.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    if http::wants_csv(&req)? {
        return http::access_export(lab.access_lists().export(&req).await?);
    }
    http::ok(&lab.access_lists().page(&req, None).await?)
}
