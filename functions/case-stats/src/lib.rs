//! `GET /api/v1/cases/stats`: the board, how many cases of a lab stand where.

use shared::{
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the board of today.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::ok(&lab.cases().board().await?)
}
