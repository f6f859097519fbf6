//! `POST /api/v1/cases/{id}/remakes`: a new case that makes this one again.

use shared::{
    case::{Cases, RemakeCreate},
    http::{self, Request},
    lab::LabScope,
};

/// Answers 201 with the new case and its `Location`.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    let remake: RemakeCreate = http::json_body(&req)?;
    let key = http::idempotency_key(&req)?;
    let created = Cases::of(&lab).remake(http::case_id(&req)?, &remake, key.as_ref()).await?;
    http::created(&created)
}
