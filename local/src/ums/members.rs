//! Who belongs to a lab. The stand-in's own, for whoever builds a page in which work is given to somebody.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use serde_json::{Value, json};

use super::{Refusal, Ums, caller};

/// The active members of a lab, for an active member of it or a system administrator.
pub(super) async fn members(
    State(ums): State<Ums>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Refusal> {
    let directory = ums.read();
    let caller = caller(&directory, &ums.secret, &headers)?;
    let labs = directory.open_labs(caller);
    let lab = labs.iter().find(|lab| lab.id.to_string() == id);
    let lab = lab.ok_or_else(|| Refusal::error(StatusCode::NOT_FOUND, "Lab not found"))?;
    let members: Vec<Value> = directory
        .memberships
        .iter()
        .filter(|membership| membership.lab_id == lab.id && membership.is_active)
        .filter_map(|membership| Some((membership, directory.user(membership.user_id)?)))
        .filter(|(_, user)| user.is_active)
        .map(|(membership, user)| {
            json!({
                "user_id": user.id, "username": user.username, "first_name": user.first_name,
                "last_name": user.last_name, "email": user.email, "role": membership.role,
            })
        })
        .collect();
    Ok(Json(json!({"lab_id": lab.id, "members": members})))
}
