//! The tokens of UMS: HS256 with a shared secret, issued and read as the real service does.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::ErrorResponse;

/// The lifetime of an access token in seconds.
pub const ACCESS_SECONDS: i64 = 3600;
/// The lifetime of a refresh token in seconds.
pub const REFRESH_SECONDS: i64 = 30 * 24 * 3600;

/// The claims of a token: a JSON object, so that tests can add, change and remove any claim before [`sign`].
pub type Claims = Map<String, Value>;

/// The claims of a fresh access token for this user. `sub` is an integer, as the real service writes it.
pub fn access_claims(user_id: i64) -> Claims {
    claims(user_id, "access", ACCESS_SECONDS)
}

/// The claims of a fresh refresh token for this user.
pub fn refresh_claims(user_id: i64) -> Claims {
    claims(user_id, "refresh", REFRESH_SECONDS)
}

/// A valid access token for this user, signed with `secret`.
pub fn access_token(secret: &str, user_id: i64) -> String {
    sign(secret, &access_claims(user_id))
}

/// A valid refresh token for this user, signed with `secret`.
pub fn refresh_token(secret: &str, user_id: i64) -> String {
    sign(secret, &refresh_claims(user_id))
}

/// A token with exactly these claims: HS256 with `secret`.
///
/// # Panics
/// The claims cannot be written as JSON.
pub fn sign(secret: &str, claims: &impl Serialize) -> String {
    encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(secret.as_bytes()))
        .expect("HS256 signs any JSON")
}

/// Seconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn claims(user_id: i64, kind: &str, seconds: i64) -> Claims {
    let (now, jti, csrf) = (now(), Uuid::new_v4().to_string(), Uuid::new_v4().to_string());
    let claims = json!({
        "fresh": false, "iat": now, "jti": jti, "type": kind, "sub": user_id, "nbf": now, "csrf": csrf,
        "exp": now + seconds,
    });
    match claims {
        Value::Object(claims) => claims,
        _ => Claims::new(),
    }
}

/// The user of a request's bearer token. `kind` is `access` or `refresh`.
///
/// Unlike LHCMS, the real service accepts a token without `exp` or `type`.
pub(super) fn bearer(headers: &HeaderMap, secret: &str, kind: &str) -> Result<i64, ErrorResponse> {
    let unauthorized = |msg: &str| ErrorResponse(StatusCode::UNAUTHORIZED, json!({"msg": msg}));
    let unprocessable = |msg: &str| ErrorResponse(StatusCode::UNPROCESSABLE_ENTITY, json!({"msg": msg}));

    let value = headers.get(AUTHORIZATION).ok_or_else(|| unauthorized("Missing Authorization Header"))?;
    let words: Vec<&str> = value.to_str().unwrap_or_default().split_whitespace().collect();
    // The scheme is case-sensitive here, unlike in RFC 9110.
    if words.first() != Some(&"Bearer") {
        return Err(unauthorized(
            "Missing 'Bearer' type in 'Authorization' header. Expected 'Authorization: Bearer <JWT>'",
        ));
    }
    let [_, token] = words[..] else {
        return Err(unprocessable("Bad Authorization header. Expected 'Authorization: Bearer <JWT>'"));
    };

    let mut validation = Validation::new(Algorithm::HS256);
    validation.required_spec_claims.clear();
    validation.leeway = 0;
    validation.validate_nbf = true;
    validation.validate_aud = false;
    let key = DecodingKey::from_secret(secret.as_bytes());
    let claims = decode::<Claims>(token, &key, &validation).map_err(|error| match error.kind() {
        ErrorKind::ExpiredSignature => unauthorized("Token has expired"),
        ErrorKind::InvalidSignature => unprocessable("Signature verification failed"),
        ErrorKind::ImmatureSignature => unprocessable("The token is not yet valid (nbf)"),
        ErrorKind::InvalidAlgorithm | ErrorKind::UnsupportedAlgorithm => {
            unprocessable("The specified alg value is not allowed")
        }
        ErrorKind::InvalidToken => unprocessable("Not enough segments"),
        _ => unprocessable("Invalid token"),
    })?;
    let claims = claims.claims;

    match (kind, claims.get("type").and_then(Value::as_str).unwrap_or("access")) {
        ("access", "refresh") => return Err(unprocessable("Only non-refresh tokens are allowed")),
        ("refresh", is) if is != "refresh" => {
            return Err(unprocessable("Only refresh tokens are allowed"));
        }
        _ => {}
    }
    let subject = claims.get("sub");
    let user_id = subject.and_then(|sub| sub.as_i64().or_else(|| sub.as_str()?.parse().ok()));
    user_id.ok_or_else(|| unprocessable("Missing claim: sub"))
}
