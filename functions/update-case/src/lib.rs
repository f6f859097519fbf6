//! `PUT /api/v1/cases/{id}`: sets the given fields of a case; `null` clears one.

use shared::{
    case::{CaseUpdate, Cases},
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the case as it is after the update.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let update: CaseUpdate = http::json_body(&req)?;
    let case = Cases::of(&lab).update(http::case_id(&req)?, &update, http::if_match(&req)?.as_ref()).await?;
    http::resource(&case)
}
