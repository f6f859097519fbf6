//! The `Idempotency-Key` header. A client that did not get the response repeats the request with the same key. It then gets
//! the first response, and the request has no second effect.

use serde_json::{Value, json};

use super::{Request, body, raw_path};
use crate::base::{CaseId, canonical, error::Error, field_error::Invalid};

const POINTER: &str = "/header/Idempotency-Key";

/// The idempotency key of a request, and a fingerprint of the request.
pub struct IdempotencyKey {
    key: String,
    fingerprint: String,
}

/// Reads the request's `Idempotency-Key`, if it has one, and computes the fingerprint.
///
/// # Errors
/// Invalid parameter, unless there is one header of 1 to 255 visible ASCII characters.
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
    let requested = json!([request.method().as_str(), raw_path(request).trim_end_matches('/'), body]);
    Ok(Some(IdempotencyKey { key: key.to_owned(), fingerprint: canonical::hash(&requested) }))
}

impl IdempotencyKey {
    /// The key itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.key
    }

    /// The SHA-256, in hexadecimal, of method, path and body. Equal requests have equal fingerprints.
    pub(crate) fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The key for one case of a bulk request. It contains a space, so no client can send the same key.
    pub(crate) fn part(&self, id: CaseId) -> Self {
        Self { key: format!("{} {id}", self.key), fingerprint: self.fingerprint.clone() }
    }
}
