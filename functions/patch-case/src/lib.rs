//! `PATCH /api/v1/cases/{id}`: merges a patch (RFC 7396) into a case, nested objects too; `null` clears.

use shared::{
    case::{CasePatch, Cases},
    http::{self, Request},
    lab::LabScope,
};

/// Answers 200 with the case as it is after the patch.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let patch: CasePatch = http::merge_patch_body(&req)?;
    let case = Cases::of(&lab).patch(http::case_id(&req)?, &patch, http::if_match(&req)?.as_ref()).await?;
    http::resource(&case)
}
