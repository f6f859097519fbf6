//! The responses that handlers return, and the headers that all of them carry.

use std::io;

use lambda_http::http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{Response, Result};
use crate::base::{csv::Format, error::Error};

/// `Cache-Control` of everything that may hold patient data.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// A response of this size, as a JSON string, gets no more cases. Lambda passes bodies on as JSON strings and allows 6 MB.
pub(crate) const MAX_RESPONSE_BYTES: usize = 3 << 20;

/// The length of a text in a JSON string, in bytes, including the backslashes of escaped characters.
pub(crate) fn length_in_json(text: &[u8]) -> usize {
    let is_escaped = |byte: &u8| u8::from(matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t'));
    // Counts that fit into a byte let the compiler compare sixteen bytes at once.
    let escaped = text.chunks(255).map(|part| usize::from(part.iter().map(is_escaped).sum::<u8>()));
    text.len() + escaped.sum::<usize>()
}

/// The bytes of a value in a response: its JSON, written once more as a JSON string.
pub(crate) fn size_in_response(value: &impl Serialize) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += length_in_json(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    // Counting does not fail. A value that does not serialize counts as far as it was written.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// 200 with a JSON body.
pub fn ok(body: &impl Serialize) -> Result {
    with_status(StatusCode::OK, body)
}

/// 202 with a JSON body: what the service will do after the response.
pub fn accepted(body: &impl Serialize) -> Result {
    with_status(StatusCode::ACCEPTED, body)
}

/// 201 with a JSON body: something new that has no path of its own.
pub fn created_once(body: &impl Serialize) -> Result {
    with_status(StatusCode::CREATED, body)
}

/// A JSON body with this status.
pub fn with_status(status: StatusCode, body: &impl Serialize) -> Result {
    let text = serde_json::to_string(body).map_err(|_| Error::internal("a response does not serialize"))?;
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}

/// 200 with a part of the catalogue. It changes only with a release, so caches may keep it for an hour.
pub fn catalogue(body: &impl Serialize) -> Result {
    let mut response = ok(body)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

/// A resource with its own URL and version.
pub trait Resource {
    /// The JSON of its representation.
    fn view(&self) -> impl Serialize;

    /// Its version, from 1, which is also its entity tag.
    fn version(&self) -> u32;

    /// Its path.
    fn path(&self) -> String;

    /// Whether this is the stored response of an earlier request with the same idempotency key.
    fn is_replay(&self) -> bool {
        false
    }
}

/// 200 with a resource and its version as `ETag`. `Idempotency-Replayed` marks a stored response.
pub fn resource(resource: &impl Resource) -> Result {
    of_resource(StatusCode::OK, resource)
}

/// 201 with a new resource and its `Location`; otherwise as [`resource`].
pub fn created(resource: &impl Resource) -> Result {
    let mut response = of_resource(StatusCode::CREATED, resource)?;
    response.headers_mut().insert(header::LOCATION, header_value(resource.path())?);
    Ok(response)
}

/// A new thing with a path of its own and without a version.
pub trait Located {
    /// The JSON of its representation.
    fn view(&self) -> impl Serialize;

    /// Its path.
    fn path(&self) -> String;

    /// Whether this is the stored response of an earlier request with the same idempotency key.
    fn is_replay(&self) -> bool;
}

/// 201 with something new and its `Location`. `Idempotency-Replayed` marks a stored response.
pub fn created_at(new: &impl Located) -> Result {
    let mut response = with_status(StatusCode::CREATED, &new.view())?;
    response.headers_mut().insert(header::LOCATION, header_value(new.path())?);
    mark_replay(&mut response, new.is_replay());
    Ok(response)
}

fn mark_replay(response: &mut Response, is_replay: bool) {
    if is_replay {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
}

fn of_resource(status: StatusCode, resource: &impl Resource) -> Result {
    let mut response = with_status(status, &resource.view())?;
    response.headers_mut().insert(header::ETAG, header_value(entity_tag(resource.version()))?);
    mark_replay(&mut response, resource.is_replay());
    Ok(response)
}

/// The entity tag of a version (RFC 9110, 8.8.3): the number in quotes.
pub(super) fn entity_tag(version: u32) -> String {
    format!("\"{version}\"")
}

/// A part of a list for download.
pub struct File {
    /// The file format.
    pub format: Format,
    /// The file name for browsers, without the extension.
    pub name: &'static str,
    /// The text.
    pub body: String,
    /// The cursor of the next part.
    pub next_cursor: Option<String>,
}

/// 200 with a file. `X-Next-Cursor` holds the cursor of the next part.
pub fn file(file: File) -> Result {
    let (content_type, extension) = match file.format {
        Format::Csv => ("text/csv; charset=utf-8", "csv"),
        Format::Ndjson => ("application/x-ndjson", "ndjson"),
    };
    let disposition = format!("attachment; filename=\"{}.{extension}\"", file.name);
    let mut response = Response::new(file.body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_DISPOSITION, header_value(disposition)?);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if let Some(cursor) = file.next_cursor {
        headers.insert("x-next-cursor", header_value(cursor)?);
    }
    Ok(response)
}

/// The response with another header.
///
/// # Errors
/// Internal, when the text is not a header value.
pub fn with_header(mut response: Response, name: &'static str, value: String) -> Result {
    response.headers_mut().insert(name, header_value(value)?);
    Ok(response)
}

fn header_value(text: String) -> std::result::Result<HeaderValue, Error> {
    HeaderValue::try_from(text).map_err(|_| Error::internal("the text is not a header value"))
}

/// 204 without a body.
pub fn no_content() -> Result {
    let mut response = Response::new(().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}

/// Adds the request id and the security headers. A security header that the handler set stays unchanged.
pub(crate) fn add_standard_headers(response: &mut Response, request_id: &str) {
    const STANDARD: [(header::HeaderName, HeaderValue); 3] = [
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=63072000; includeSubDomains")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    for (name, value) in STANDARD {
        response.headers_mut().entry(name).or_insert(value);
    }
    if let Ok(value) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("x-request-id", value);
    }
}
