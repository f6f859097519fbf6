//! `GET /api/v1/cases/stats`: statistics of a lab's cases: by status, due, overdue and more.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the statistics of today.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::ok(&Cases::of(&lab).stats().await?)
}
