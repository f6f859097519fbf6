//! The `Idempotency-Key` header: a client that did not get the response sends the request again with the same key, and gets
//! the first response instead of a second effect.

use serde_json::{Value, json};

use super::{Request, body, raw_path};
use crate::base::{CaseId, canonical, error::Error, field_error::Invalid};

const POINTER: &str = "/header/Idempotency-Key";

/// The key of a request, and a fingerprint of what the request asks for.
pub struct IdempotencyKey {
    key: String,
    fingerprint: String,
}

/// The request's `Idempotency-Key`, if it has one, bound to its method, path and body.
///
/// # Errors
/// Invalid parameter, unless it is 1 to 255 visible ASCII characters, once.
pub fn idempotency_key(request: &Request) -> Result<Option<IdempotencyKey>, Error> {
    let mut values = request.headers().get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::parameter(POINTER, Invalid::given_more_than_once()));
    }
    let key = value.to_str().unwrap_or_default();
    if !(1..=255).contains(&key.len()) || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        let detail = "must be 1 to 255 visible ASCII characters";
        return Err(Error::parameter(POINTER, Invalid::format("idempotency_key", detail)));
    }
    let body = if request.body().is_empty() {
        Value::Null
    } else {
        Value::Object(body::object(request, body::JSON)?)
    };
    let asked = json!([request.method().as_str(), raw_path(request).trim_end_matches('/'), body]);
    Ok(Some(IdempotencyKey { key: key.to_owned(), fingerprint: canonical::hash(&asked) }))
}

impl IdempotencyKey {
    /// The key itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.key
    }

    /// SHA-256, in hexadecimal, of method, path and body: equal for the same request.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The key of one case's part of the request. No client can send such a key: there is a space in it.
    pub(crate) fn part(&self, id: CaseId) -> Self {
        Self { key: format!("{} {id}", self.key), fingerprint: self.fingerprint.clone() }
    }
}
