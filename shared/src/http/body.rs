//! The request body as a validated value.

use lambda_http::http::header;
use serde_json::{Map, Value, json};

use super::Request;
use crate::{
    error::{Code, Error},
    idempotency::IdempotencyKey,
    validate::Fields,
};

/// The largest body that is read: 1 MiB; the largest legal case is a few kilobytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// A value that is read from a JSON object field by field, so that all faults are reported at once.
pub trait FromObject: Sized {
    /// Reads the fields; `None` when a fault was recorded that leaves no value.
    fn from_object(fields: &mut Fields) -> Option<Self>;
}

/// Reads the body: 415 unless it is declared as JSON, 413 when too large, 400 unless it is a JSON object, 422 with
/// every fault when its fields break the rules.
pub fn json_body<T: FromObject>(request: &Request) -> Result<T, Error> {
    let object = json_object(request)?;
    let mut fields = Fields::new(&object);
    let value = T::from_object(&mut fields);
    fields.finish()?;
    value.ok_or_else(|| Error::internal("a body without faults has no value"))
}

/// The request's `Idempotency-Key`, if it has one, bound to its method, path and body.
///
/// # Errors
/// Invalid parameter, when the header is no key.
pub fn idempotency_key(request: &Request) -> Result<Option<IdempotencyKey>, Error> {
    let body = if request.body().is_empty() { Value::Null } else { Value::Object(json_object(request)?) };
    let asked = json!([request.method().as_str(), super::raw_path(request).trim_end_matches('/'), body]);
    IdempotencyKey::of(request.headers(), &asked)
}

fn json_object(request: &Request) -> Result<Map<String, Value>, Error> {
    let bytes: &[u8] = request.body();
    if bytes.len() > MAX_BODY_BYTES {
        return Err(Error::new(Code::PayloadTooLarge, "The body may have 1 MiB at most."));
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(is_json) {
        return Err(Error::new(Code::UnsupportedMediaType, "Send JSON with Content-Type: application/json."));
    }
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Error::new(Code::MalformedJson, "The body must be a JSON object.")),
        // The parser's message names a position, never content.
        Err(error) => Err(Error::new(
            Code::MalformedJson,
            format!("The body is not JSON: line {}, column {}.", error.line(), error.column()),
        )),
    }
}

fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use lambda_http::{Body, http};

    use super::*;

    fn code(content_type: &str, body: impl Into<Body>) -> Option<Code> {
        let request =
            http::Request::builder().header("content-type", content_type).body(body.into()).unwrap();
        json_object(&request).err().map(|error| error.code())
    }

    #[test]
    fn json_is_recognised_in_any_case_and_with_a_charset() {
        assert_eq!(code("Application/JSON; charset=utf-8", "{}"), None);
        assert_eq!(code("text/plain", "{}"), Some(Code::UnsupportedMediaType));
        assert_eq!(code("application/jsonp", "{}"), Some(Code::UnsupportedMediaType));
    }

    #[test]
    fn what_is_not_a_json_object_is_malformed() {
        for body in ["", "[]", "null", "{", "{\"a\":1}x", &"[".repeat(100_000)] {
            assert_eq!(code("application/json", body), Some(Code::MalformedJson));
        }
    }

    #[test]
    fn a_body_over_one_mebibyte_is_too_large() {
        let body = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY_BYTES));
        assert_eq!(code("application/json", body), Some(Code::PayloadTooLarge));
    }
}
