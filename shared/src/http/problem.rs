//! Errors as problem details (RFC 9457).

use lambda_http::http::{HeaderValue, header};
use serde_json::{Value, json};

use super::Response;
use crate::base::error::Error;

/// The problem document of an error.
pub(crate) fn problem(error: &Error, request_id: &str) -> Value {
    let (code, report) = (error.code(), error.report());
    let mut problem = json!({
        "type": format!("urn:lhcms:problem:{}", code.as_str()),
        "title": code.title(),
        "status": code.status().as_u16(),
        "detail": report.detail,
        "code": code.as_str(),
        "request_id": request_id,
    });
    if !report.errors.is_empty() {
        problem["errors"] = json!(report.errors);
    }
    for (member, value) in report.extra {
        problem[member] = value.clone();
    }
    problem
}

/// The response with the problem document, its status and headers.
pub fn problem_response(error: &Error, request_id: &str) -> Response {
    let mut response = Response::new(problem(error, request_id).to_string().into());
    *response.status_mut() = error.code().status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    let report = error.report();
    if let Some(challenge) = report.challenge.and_then(|text| HeaderValue::try_from(text).ok()) {
        headers.insert(header::WWW_AUTHENTICATE, challenge);
    }
    if let Some(seconds) = report.retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    if let Some(allow) = report.allow.and_then(|methods| HeaderValue::try_from(methods).ok()) {
        headers.insert(header::ALLOW, allow);
    }
    response
}
