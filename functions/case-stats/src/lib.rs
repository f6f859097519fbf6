//! `GET /api/v1/cases/stats`: how many cases of a lab have which status, are due, are overdue.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the statistics of today.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::ok(&Cases::of(&lab).stats().await?)
}
