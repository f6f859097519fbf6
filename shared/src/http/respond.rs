//! The responses that handlers give, and the headers that all of them carry.

use std::io;

use lambda_http::http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use super::{Response, Result};
use crate::{
    access::AccessExport,
    case::{Case, Done, Export},
    error::{Error, RETRY_AFTER_SECONDS},
    health::Health,
    spreadsheet::Format,
};

/// `Cache-Control` of everything that may hold patient data.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// An answer with this many bytes as a JSON string gets no more cases: that is how Lambda hands it over, 6 MB at most.
pub(crate) const ENOUGH: usize = 3 << 20;
const CSV: &str = "text/csv; charset=utf-8";

/// Bytes, with the backslashes that go in front of some in a JSON string.
pub(crate) fn length_in_json(text: &[u8]) -> usize {
    text.len() + text.iter().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n' | b'\r' | b'\t')).count()
}

/// The bytes that a value takes in an answer, as a JSON string.
pub(crate) fn size_in_answer(value: &impl Serialize) -> usize {
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
    // Counting does not fail, and what does not serialize has no size.
    let _ = serde_json::to_writer(&mut counter, value);
    counter.0
}

/// 200 with a JSON body.
pub fn ok(body: &impl Serialize) -> Result {
    json(StatusCode::OK, body)
}

/// 200 with a part of the catalogue, which changes only with a release: caches may keep it for an hour.
pub fn catalogue(body: &impl Serialize) -> Result {
    let mut response = json(StatusCode::OK, body)?;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

/// 200 when everything that the service needs is up, else 503.
pub fn health(health: &Health) -> Result {
    if health.is_healthy() {
        return ok(health);
    }
    let mut response = json(StatusCode::SERVICE_UNAVAILABLE, health)?;
    response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
    Ok(response)
}

fn json(status: StatusCode, body: &impl Serialize) -> Result {
    let text = serde_json::to_string(body).map_err(|_| Error::internal("a response does not serialize"))?;
    let mut response = Response::new(text.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}

/// 200 with one case and its version as `ETag`.
pub fn ok_case(case: &Case) -> Result {
    single_case(StatusCode::OK, case)
}

/// 201 with the new case, its version as `ETag` and its `Location`; `Idempotency-Replayed` says if it is the answer to
/// an earlier request with the same key.
pub fn created(done: &Done) -> Result {
    let mut response = answer_once(StatusCode::CREATED, done)?;
    let location = HeaderValue::try_from(format!("/api/v1/cases/{}", done.case.id))
        .map_err(|error| Error::internal(format!("a location is no header: {error}")))?;
    response.headers_mut().insert(header::LOCATION, location);
    Ok(response)
}

/// 200 with a case that the request changed, now or when it was sent before.
pub fn done(done: &Done) -> Result {
    answer_once(StatusCode::OK, done)
}

fn answer_once(status: StatusCode, done: &Done) -> Result {
    let mut response = single_case(status, &done.case)?;
    if done.replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// 200 with a part of an export, to be saved as a file; `X-Next-Cursor` leads to the next part.
pub fn export(export: Export) -> Result {
    match export.format {
        Format::Csv => file(CSV, "attachment; filename=\"cases.csv\"", export.body, export.next_cursor),
        Format::Ndjson => {
            let disposition = "attachment; filename=\"cases.ndjson\"";
            file("application/x-ndjson", disposition, export.body, export.next_cursor)
        }
    }
}

/// The same with access records.
pub fn access_export(export: AccessExport) -> Result {
    file(CSV, "attachment; filename=\"access.csv\"", export.body, export.next_cursor)
}

fn file(
    content_type: &'static str,
    disposition: &'static str,
    body: String,
    next_cursor: Option<String>,
) -> Result {
    let mut response = Response::new(body.into());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(disposition));
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    if let Some(cursor) = next_cursor {
        let cursor = HeaderValue::try_from(cursor)
            .map_err(|error| Error::internal(format!("a cursor is no header: {error}")))?;
        headers.insert("x-next-cursor", cursor);
    }
    Ok(response)
}

/// 204 without a body.
pub fn no_content() -> Result {
    let mut response = Response::new(().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    Ok(response)
}

/// The case's entity tag (RFC 9110, 8.8.3): its version in quotes.
pub(super) fn entity_tag(case: &Case) -> String {
    format!("\"{}\"", case.version)
}

fn single_case(status: StatusCode, case: &Case) -> Result {
    let mut response = json(status, &case.view())?;
    let etag = HeaderValue::try_from(entity_tag(case))
        .map_err(|error| Error::internal(format!("a version is no header: {error}")))?;
    response.headers_mut().insert(header::ETAG, etag);
    Ok(response)
}

/// Adds the request id and the security headers; a handler's own value of a header stays.
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
