//! `GET /api/v1/cases/changes`: what was changed or deleted in a lab since a cursor.

use shared::{auth::Operation, http::{Request, self}, lab::LabScope};

/// Answers 200 with the next changes.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    lab.require(Operation::CaseChanges)?;
    http::ok(&lab.cases().changes(&req).await?)
}
