//! `PUT /api/v1/cases/{id}`: changes the given fields of a case; `null` clears one.

use shared::{
    case::CaseUpdate,
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the case as it is after the change.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let change: CaseUpdate = http::json_body(&req)?;
    let case = lab.cases().update(http::case_id(&req)?, &change, http::if_match(&req)?.as_ref()).await?;
    http::ok_case(&case)
}
