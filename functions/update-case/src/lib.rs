//! `PUT /api/v1/cases/{id}`: sets fields of a case; `null` clears a field.

use shared::{
    case::{CaseUpdate, Cases},
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the updated case.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let update: CaseUpdate = http::json_body(&req)?;
    let case = Cases::of(&lab).update(http::case_id(&req)?, &update, http::if_match(&req)?.as_ref()).await?;
    http::resource(&case)
}
