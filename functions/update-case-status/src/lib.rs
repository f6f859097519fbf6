//! `PATCH /api/v1/cases/{id}/status`: moves a case to another status.

use shared::{
    case::StatusChange,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the case in its new status.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let change: StatusChange = http::json_body(&req)?;
    let case =
        lab.cases().update_status(http::case_id(&req)?, &change, http::if_match(&req)?.as_ref()).await?;
    http::ok_case(&case)
}
