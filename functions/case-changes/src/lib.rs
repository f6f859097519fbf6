//! `GET /api/v1/cases/changes`: the feed of changed and deleted cases of a lab.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the changes after the cursor.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::ok(&Cases::of(&lab).feed(&req).await?)
}
