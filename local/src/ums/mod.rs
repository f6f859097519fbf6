//! A stand-in for the User Management Service. It answers as the real service does, with the same defects.

mod directory;
mod members;
pub mod token;

use std::sync::{Arc, RwLock, RwLockReadGuard};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::Serialize;
use serde_json::{Value, json};

pub use directory::{Directory, Lab, Membership, MembershipsRoute, User, attributes_of};
pub use token::{access_token, refresh_token};

use crate::server::for_browsers;

/// The state of a stand-in. Clones share it, so that a test can change the data of a running stand-in.
#[derive(Clone, Debug)]
pub struct Ums {
    directory: Arc<RwLock<Directory>>,
    secret: Arc<str>,
}

impl Ums {
    /// A stand-in with the data of `directory` that signs its tokens with `secret` (HS256).
    pub fn new(directory: Directory, secret: &str) -> Self {
        Self { directory: Arc::new(RwLock::new(directory)), secret: secret.into() }
    }

    /// Changes the data; the next request sees the change.
    pub fn update<T>(&self, change: impl FnOnce(&mut Directory) -> T) -> T {
        // After a panic in another change the data is still valid.
        change(&mut self.directory.write().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// The secret that signs the tokens.
    pub fn secret(&self) -> &str {
        &self.secret
    }

    /// A valid access token for this user.
    pub fn access_token(&self, user_id: i64) -> String {
        token::access_token(&self.secret, user_id)
    }

    fn read(&self) -> RwLockReadGuard<'_, Directory> {
        self.directory.read().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The routes of the stand-in. `/health` and `/api/labs/{id}/members` are additions of the stand-in; do not expect them of
/// the real service.
pub fn router(ums: Ums) -> Router {
    Router::new()
        .route("/health", get(|| async { Json(json!({"status": "healthy", "service": "ums"})) }))
        .route("/api/auth/login", post(login))
        .route("/api/auth/refresh", post(refresh))
        .route("/api/auth/me", get(me))
        .route("/api/auth/user-attributes", post(user_attributes))
        .route("/api/auth/authorize", post(authorize))
        .route("/api/users/{id}/labs", get(user_labs))
        .route("/api/labs", get(labs))
        .route("/api/labs/{id}/members", get(members::members))
        .fallback(|| async { ErrorResponse::error(StatusCode::NOT_FOUND, "Not found") })
        .layer(for_browsers())
        .with_state(ums)
}

/// An error response.
#[derive(Debug)]
struct ErrorResponse(StatusCode, Value);

impl ErrorResponse {
    fn error(status: StatusCode, error: &str) -> Self {
        Self(status, json!({"error": error}))
    }
}

impl IntoResponse for ErrorResponse {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

#[derive(Serialize)]
struct Me<'a> {
    user: &'a User,
    #[serde(skip_serializing_if = "Option::is_none")]
    labs: Option<Vec<Value>>,
}

#[derive(Serialize)]
struct MembershipBody<'a> {
    id: i64,
    user_id: i64,
    lab_id: i64,
    role: &'a str,
    is_active: bool,
    joined_at: &'a str,
    lab: Option<&'a Lab>,
    user: &'a User,
}

async fn login(State(ums): State<Ums>, body: Bytes) -> Result<Response, ErrorResponse> {
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (Some(username), Some(password)) = (body["username"].as_str(), body["password"].as_str()) else {
        return Err(ErrorResponse::error(StatusCode::BAD_REQUEST, "Username and password are required"));
    };
    let directory = ums.read();
    let found = directory.users.iter().find(|user| user.username == username && user.password == password);
    let user = found
        .ok_or_else(|| ErrorResponse::error(StatusCode::UNAUTHORIZED, "Invalid username or password"))?;
    for (rejected, error) in [
        (!user.is_active, "Account is inactive"),
        (is_locked(user), "Account is locked"),
        (user.password_expired, "Password has expired"),
    ] {
        if rejected {
            return Err(ErrorResponse::error(StatusCode::FORBIDDEN, error));
        }
    }

    #[derive(Serialize)]
    struct LoggedIn<'a> {
        message: &'a str,
        access_token: String,
        refresh_token: String,
        user: &'a User,
    }
    let answer = LoggedIn {
        message: "Login successful",
        access_token: token::access_token(&ums.secret, user.id),
        refresh_token: token::refresh_token(&ums.secret, user.id),
        user,
    };
    Ok(Json(answer).into_response())
}

async fn refresh(State(ums): State<Ums>, headers: HeaderMap) -> Result<Json<Value>, ErrorResponse> {
    let user_id = token::bearer(&headers, &ums.secret, "refresh")?;
    Ok(Json(json!({"access_token": token::access_token(&ums.secret, user_id)})))
}

async fn me(State(ums): State<Ums>, headers: HeaderMap) -> Result<Response, ErrorResponse> {
    let directory = ums.read();
    let user = caller(&directory, &ums.secret, &headers)?;
    let labs = directory.me_lists_labs.then(|| directory.lab_list(user.id));
    Ok(Json(Me { user, labs }).into_response())
}

async fn user_labs(
    State(ums): State<Ums>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ErrorResponse> {
    let directory = ums.read();
    let caller = caller(&directory, &ums.secret, &headers)?;
    let id: i64 = id.parse().map_err(|_| ErrorResponse::error(StatusCode::NOT_FOUND, "Not found"))?;
    if caller.id != id && !caller.is_admin {
        return Err(ErrorResponse::error(StatusCode::FORBIDDEN, "Access denied"));
    }
    let user = directory.user(id).ok_or_else(user_not_found)?;
    let memberships: Vec<_> = directory
        .memberships
        .iter()
        .filter(|it| it.user_id == id)
        .map(|it| MembershipBody {
            id: it.id,
            user_id: it.user_id,
            lab_id: it.lab_id,
            role: &it.role,
            is_active: it.is_active,
            joined_at: &it.joined_at,
            lab: directory.lab(it.lab_id),
            user,
        })
        .collect();
    if directory.memberships_route == MembershipsRoute::PublishedDefect && !memberships.is_empty() {
        return Err(ErrorResponse::error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Invalid fields for <UserSchema(many=False)>: {'lab_memberships'}.",
        ));
    }
    #[derive(Serialize)]
    struct Memberships<'a> {
        memberships: Vec<MembershipBody<'a>>,
    }
    Ok(Json(Memberships { memberships }).into_response())
}

async fn labs(State(ums): State<Ums>, headers: HeaderMap) -> Result<Response, ErrorResponse> {
    #[derive(Serialize)]
    struct Labs<'a> {
        labs: Vec<&'a Lab>,
    }
    let directory = ums.read();
    let user = caller(&directory, &ums.secret, &headers)?;
    Ok(Json(Labs { labs: directory.open_labs(user) }).into_response())
}

async fn user_attributes(
    State(ums): State<Ums>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, ErrorResponse> {
    #[derive(Serialize)]
    struct Attributes<'a> {
        user_id: i64,
        username: &'a str,
        lab_id: i64,
        lab_code: &'a str,
        lab_name: &'a str,
        is_admin: bool,
        attributes: Vec<String>,
    }
    let directory = ums.read();
    let user = caller(&directory, &ums.secret, &headers)?;
    let lab = named_lab(&directory, user, &parsed(&body))?;
    let answer = Attributes {
        user_id: user.id,
        username: &user.username,
        lab_id: lab.id,
        lab_code: &lab.code,
        lab_name: &lab.name,
        is_admin: user.is_admin,
        attributes: directory.attributes(user, lab.id),
    };
    Ok(Json(answer).into_response())
}

async fn authorize(
    State(ums): State<Ums>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Json<Value>, ErrorResponse> {
    let directory = ums.read();
    let user = caller(&directory, &ums.secret, &headers)?;
    let body = parsed(&body);
    let lab = named_lab(&directory, user, &body)?;
    let held = directory.attributes(user, lab.id);
    let required = body["required_attributes"].as_array().cloned().unwrap_or_default();
    let missing: Vec<&Value> =
        required.iter().filter(|it| !held.iter().any(|held| *it == held.as_str())).collect();
    // Without required attributes nothing is missing: the real service, too, then answers yes for every user.
    Ok(Json(json!({
        "has_access": missing.is_empty(), "user_id": user.id, "lab_id": lab.id,
        "required_attributes": required, "missing_attributes": missing,
    })))
}

fn parsed(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_default()
}

/// The user of the request's access token. As in the real service, it may be deactivated.
fn caller<'a>(
    directory: &'a Directory,
    secret: &str,
    headers: &HeaderMap,
) -> Result<&'a User, ErrorResponse> {
    if let Some(key) = &directory.api_key
        && headers.get("x-api-key").is_none_or(|given| given != key.as_str())
    {
        return Err(ErrorResponse::error(StatusCode::UNAUTHORIZED, "Invalid API key"));
    }
    let user_id = match (token::bearer(headers, secret, "access"), &directory.previous_secret) {
        (Err(_), Some(previous)) => token::bearer(headers, previous, "access")?,
        (user_id, _) => user_id?,
    };
    if directory.failing_users.contains(&user_id) {
        return Err(ErrorResponse::error(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"));
    }
    directory.user(user_id).ok_or_else(user_not_found)
}

/// The lab that a body names. Its `user_id` must be the caller's id as an integer. As in the real service, the lab may be
/// deactivated.
fn named_lab<'a>(directory: &'a Directory, caller: &User, body: &Value) -> Result<&'a Lab, ErrorResponse> {
    if body["user_id"].as_i64() != Some(caller.id) {
        return Err(ErrorResponse::error(StatusCode::FORBIDDEN, "Access denied"));
    }
    let lab = body["lab_id"].as_i64().and_then(|id| directory.lab(id));
    lab.ok_or_else(|| ErrorResponse::error(StatusCode::NOT_FOUND, "Lab not found"))
}

fn user_not_found() -> ErrorResponse {
    ErrorResponse::error(StatusCode::NOT_FOUND, "User not found")
}

/// Whether the account is locked. For the stand-in, any `locked_until` is in the future.
fn is_locked(user: &User) -> bool {
    user.locked_until.is_some()
}

#[cfg(test)]
mod tests;
