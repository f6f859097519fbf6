//! `GET /api/v1/cases/changes`: the feed of what was changed or deleted in a lab.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the changes after the cursor.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::ok(&Cases::of(&lab).feed(&req).await?)
}
