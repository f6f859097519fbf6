//! `PATCH /api/v1/cases/{id}`: merges a patch (RFC 7396) into a case, including nested objects; `null` clears a field.

use shared::{
    case::{CasePatch, Cases},
    http::{self, Request},
    lab::LabScope,
};

/// Returns 200 with the patched case.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let patch: CasePatch = http::merge_patch_body(&req)?;
    let case = Cases::of(&lab).patch(http::case_id(&req)?, &patch, http::if_match(&req)?.as_ref()).await?;
    http::resource(&case)
}
