//! `GET /api/v1/cases/{id}/history`: every change of a case, in order; `…/history/verify`: whether all of them are there
//! and as they were written.

use shared::{auth::Operation, http::{Request, self}, lab::LabScope};

/// Answers 200 with a page of events, or with what the walk along the chain of events found.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    if http::raw_path(&req).trim_end_matches('/').ends_with("/verify") {
        lab.require(Operation::VerifyCaseHistory)?;
        http::no_query(&req)?;
        return http::ok(&lab.cases().verify_history(http::case_id(&req)?).await?);
    }
    lab.require(Operation::GetCaseHistory)?;
    http::ok(&lab.cases().history(http::case_id(&req)?, &req).await?)
}
