//! `PATCH /api/v1/cases/{id}/status`: moves a case to another status.

use shared::{
    case::{Cases, StatusUpdate},
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the case in its new status.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let update: StatusUpdate = http::json_body(&req)?;
    let if_match = http::if_match(&req)?;
    let case = Cases::of(&lab).update_status(http::case_id(&req)?, &update, if_match.as_ref()).await?;
    http::resource(&case)
}
