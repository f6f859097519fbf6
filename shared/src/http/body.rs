//! Reads the request body as a validated value.

use lambda_http::http::header;
use serde_json::{Map, Value};

use super::{
    Request,
    json::{self, Malformed},
};
use crate::base::{
    error::{Error, ErrorCode},
    validate::{Fields, FromObject},
};

/// The largest accepted body: 1 MiB. The largest valid case has a few kilobytes.
pub const MAX_BODY_BYTES: usize = 1 << 20;
/// The media type of bodies that hold a complete value.
pub(super) const JSON: &str = "application/json";
/// The media type of merge patches.
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Reads a JSON body.
///
/// # Errors
/// 415 unless it is declared as JSON, 413 when it is too large, 400 unless it is a JSON object without duplicate names, 422
/// with every error when its fields break the rules.
pub fn json_body<T: FromObject>(request: &Request) -> Result<T, Error> {
    read(&object(request, JSON)?)
}

/// Reads a merge patch (RFC 7396) in the same way. It is a JSON object as well, but each member is a change.
pub fn merge_patch_body<T: FromObject>(request: &Request) -> Result<T, Error> {
    read(&object(request, MERGE_PATCH)?)
}

fn read<T: FromObject>(object: &Map<String, Value>) -> Result<T, Error> {
    let mut fields = Fields::new(object);
    let value = T::from_object(&mut fields);
    fields.finish()?;
    value.ok_or_else(|| Error::internal("a body without errors has no value"))
}

/// Reads the body as a JSON object of this media type.
pub(super) fn object(request: &Request, media_type: &str) -> Result<Map<String, Value>, Error> {
    let bytes: &[u8] = request.body();
    if bytes.len() > MAX_BODY_BYTES {
        return Err(Error::new(ErrorCode::PayloadTooLarge, "The body must not be larger than 1 MiB."));
    }
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|content_type| is(content_type, media_type)) {
        let detail = format!("Send JSON with Content-Type: {media_type}.");
        return Err(Error::new(ErrorCode::UnsupportedMediaType, detail));
    }
    parse_object(bytes)
}

/// Reads a text as a validated value.
///
/// # Errors
/// Malformed JSON unless it is a JSON object without duplicate names; validation with every error when its fields break the rules.
pub(crate) fn parse<T: FromObject>(text: &[u8]) -> Result<T, Error> {
    read(&parse_object(text)?)
}

fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, Error> {
    let detail = match json::parse(bytes) {
        Ok(Value::Object(object)) => return Ok(object),
        Ok(_) => "The body must be a JSON object.".to_owned(),
        Err(Malformed::NotJson { line, column }) => {
            format!("The body is not JSON: line {line}, column {column}.")
        }
        Err(Malformed::DuplicateName { line, column }) => {
            format!("An object in the body has the same name twice: line {line}, column {column}.")
        }
    };
    Err(Error::new(ErrorCode::MalformedJson, detail))
}

/// Whether a `Content-Type` names the media type, with any parameters.
fn is(content_type: &str, media_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case(media_type)
}

#[cfg(test)]
mod tests {
    use lambda_http::{Body, http};

    use super::*;

    fn code(content_type: &str, body: impl Into<Body>) -> Option<ErrorCode> {
        let request =
            http::Request::builder().header("content-type", content_type).body(body.into()).unwrap();
        object(&request, JSON).err().map(|error| error.code())
    }

    #[test]
    fn the_media_type_is_compared_without_case_and_parameters() {
        assert_eq!(code("Application/JSON; charset=utf-8", "{}"), None);
        assert_eq!(code("text/plain", "{}"), Some(ErrorCode::UnsupportedMediaType));
        assert_eq!(code("application/jsonp", "{}"), Some(ErrorCode::UnsupportedMediaType));
    }

    #[test]
    fn a_body_that_is_not_a_json_object_is_malformed() {
        for body in ["", "[]", "null", "{", "{\"a\":1}x", "{\"a\":1,\"a\":1}", &"[".repeat(100_000)] {
            assert_eq!(code("application/json", body), Some(ErrorCode::MalformedJson));
        }
    }

    #[test]
    fn a_body_over_one_mebibyte_is_too_large() {
        let body = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_BODY_BYTES));
        assert_eq!(code("application/json", body), Some(ErrorCode::PayloadTooLarge));
    }
}
