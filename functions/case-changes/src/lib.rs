//! `GET /api/v1/cases/changes`: the feed of changed and deleted cases of a lab.

use shared::{
    case::Cases,
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the changes after the cursor. `Retry-After` says when to ask again if the next change is not visible yet.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    let page = Cases::of(&lab).feed(&req).await?;
    let response = http::ok(&page)?;
    match page.retry_after() {
        Some(seconds) => http::with_header(response, "retry-after", seconds.to_string()),
        None => Ok(response),
    }
}
