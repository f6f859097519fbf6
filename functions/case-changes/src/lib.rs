//! `GET /api/v1/cases/changes`: what was changed or deleted in a lab since a cursor.

use shared::{
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the next changes.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::ok(&lab.cases().changes(&req).await?)
}
