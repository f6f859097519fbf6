//! `GET /api/v1/cases/stats`: the board, how many cases of a lab stand where.

use shared::{auth::Operation, http::{Request, self}, lab::LabScope};

/// Answers 200 with the board of today.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    lab.require(Operation::CaseStats)?;
    http::no_query(&req)?;
    http::ok(&lab.cases().board().await?)
}
