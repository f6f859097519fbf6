//! Cross-origin requests. On AWS the gateway responds to preflight requests and sets these headers for the same origins.
//! Locally the functions do it.

use lambda_http::http::{HeaderValue, Method, StatusCode, header};

use super::{Request, Response};
use crate::config::Common;

/// Whether this is a preflight request of a browser.
pub fn is_preflight(request: &Request) -> bool {
    request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ORIGIN)
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The response to a preflight request. [`allow_origin`] adds the headers for allowed origins.
pub fn preflight() -> Response {
    let mut response = Response::new(().into());
    *response.status_mut() = StatusCode::NO_CONTENT;
    let headers = response.headers_mut();
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_METHODS,
        HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
    );
    headers.insert(
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        HeaderValue::from_static(
            "authorization, content-type, x-lab-id, if-match, if-none-match, idempotency-key, x-break-glass, x-request-id, \
             traceparent",
        ),
    );
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, HeaderValue::from_static("3600"));
    response
}

/// Allows the request's origin to read the response, if the configuration names the origin.
pub(crate) fn allow_origin(common: &Common, origin: Option<HeaderValue>, response: &mut Response) {
    let any = common.cors_origins.iter().any(|allowed| allowed == "*");
    let headers = response.headers_mut();
    if !any {
        headers.append(header::VARY, HeaderValue::from_static("Origin"));
    }
    let allowed = match origin {
        Some(_) if any => HeaderValue::from_static("*"),
        Some(origin) if common.cors_origins.iter().any(|allowed| allowed.as_bytes() == origin.as_bytes()) => {
            origin
        }
        _ => return,
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "content-disposition, etag, location, x-request-id, retry-after, idempotency-replayed, x-next-cursor, \
             x-reaches-back-to, ratelimit-limit, ratelimit-remaining, ratelimit-reset, www-authenticate",
        ),
    );
}
