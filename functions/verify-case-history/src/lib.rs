//! `GET /api/v1/cases/{id}/history/verify`: whether all changes of a case are there and as they were written.

use shared::{
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with what the walk along the chain of events found.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::ok(&lab.cases().verify_history(http::case_id(&req)?).await?)
}
