//! `GET /api/v1/cases`: the lab's cases, newest first, a page at a time.

use shared::{
    http::{self, Request},
    lab::{LabScope, Permission},
};

/// Answers 200 with the page that `limit` and `cursor` name.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    lab.require(Permission::Read)?;
    let page = lab.cases().list(&req).await?;
    http::ok(&page)
}
