//! `POST /api/v1/cases`: a new case in the lab.

use shared::{
    case::{CaseCreate, Cases},
    http::{self, Request},
    lab::LabScope,
};

/// Answers 201 with the case and its `Location`.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let new: CaseCreate = http::json_body(&req)?;
    let created = Cases::of(&lab).create(new, http::idempotency_key(&req)?.as_ref()).await?;
    http::created(&created)
}
