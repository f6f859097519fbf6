//! `GET /api/v1/cases/{id}/history`: every change of a case, in order; `…/history/verify`: whether all of them are there
//! and as they were written.

use shared::{
    http::{self, Request},
    lab::{LabScope, Permission},
};

/// Answers 200 with a page of events, or with what the walk along the chain of events found.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    lab.require(Permission::Read)?;
    let id = http::case_id(&req)?;
    if http::raw_path(&req).trim_end_matches('/').ends_with("/verify") {
        http::no_query(&req)?;
        return http::ok(&lab.cases().verify_history(id).await?);
    }
    http::ok(&lab.cases().history(id, &req).await?)
}
