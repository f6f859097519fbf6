//! Handles all requests without a route: unknown paths, known paths with another method, trailing slashes.

use lambda_http::http::{HeaderValue, StatusCode, header};
use shared::{
    base::error::Error,
    http::{self, Request, Response},
};

/// The paths of `openapi.yaml` with their methods.
const ROUTES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/routes.rs"));

/// Returns 405 with `Allow` for a known path, 308 from a known path with a trailing slash to the path without it, otherwise
/// 404. It also responds to preflight requests.
pub async fn handler(req: Request) -> http::Result {
    if http::is_preflight(&req) {
        return Ok(http::preflight());
    }
    let path = http::raw_path(&req);
    if let Some(allow) = methods_of(path) {
        return Err(Error::method_not_allowed(allow));
    }
    match path.strip_suffix('/') {
        Some(canonical) if methods_of(canonical).is_some() => moved_to(canonical, req.uri().query()),
        _ => Err(Error::not_found()),
    }
}

/// The methods of the path's route. A route without parameters has priority.
fn methods_of(path: &str) -> Option<&'static str> {
    let exact = ROUTES.iter().find(|(template, _)| *template == path);
    exact.or_else(|| ROUTES.iter().find(|(template, _)| matches(template, path))).map(|(_, methods)| *methods)
}

fn matches(template: &str, path: &str) -> bool {
    let (mut expected, mut actual) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), actual.next()) {
            (None, None) => return true,
            (Some(parameter), Some(segment)) if parameter.starts_with('{') && !segment.is_empty() => {}
            (Some(expected), Some(actual)) if expected == actual => {}
            _ => return false,
        }
    }
}

/// Redirects with 308, which keeps the method and the body. The path is always a known one, so the target is on this host.
fn moved_to(path: &str, query: Option<&str>) -> http::Result {
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    // A path parameter may have any characters. A path that cannot be a header value does not exist.
    let target = HeaderValue::try_from(target).map_err(|_| Error::not_found())?;
    let mut response = Response::new(().into());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    response.headers_mut().insert(header::LOCATION, target);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use lambda_http::{RequestExt, http::Request as HttpRequest};

    use super::*;

    async fn call(method: &str, path: &str, query: &str) -> (u16, Option<String>, Option<String>) {
        let request = HttpRequest::builder()
            .method(method)
            .uri(format!("https://api.example.com{path}{query}"))
            .body(().into())
            .unwrap()
            .with_raw_http_path(path);
        let response = handler(request).await.unwrap_or_else(|error| http::problem_response(&error, "r"));
        let header =
            |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), header("allow"), header("location"))
    }

    #[tokio::test]
    async fn an_unknown_path_is_not_found() {
        for path in [
            "/",
            "/api",
            "/api/v2/cases",
            "/api/v1/cases/1/nothing",
            "//evil.example.com/",
            "/$default",
            "/api/v1/cases//",
        ] {
            assert_eq!(call("GET", path, "").await, (404, None, None), "{path}");
        }
    }

    #[tokio::test]
    async fn a_known_path_with_another_method_gets_the_allowed_methods() {
        assert_eq!(call("DELETE", "/api/v1/cases", "").await, (405, Some("GET, POST".into()), None));
        assert_eq!(
            call("POST", "/api/v1/cases/7", "").await,
            (405, Some("GET, PUT, PATCH, DELETE".into()), None)
        );
        assert_eq!(call("POST", "/api/v1/cases/types", "").await, (405, Some("GET".into()), None));
        assert_eq!(call("PUT", "/api/v1/cases/search", "").await, (405, Some("POST".into()), None));
    }

    #[tokio::test]
    async fn a_path_with_a_trailing_slash_is_redirected_with_its_query() {
        let (status, _, location) = call("POST", "/api/v1/cases/", "?lab_id=123").await;
        assert_eq!((status, location.as_deref()), (308, Some("/api/v1/cases?lab_id=123")));
        let (status, _, location) = call("GET", "/docs/", "").await;
        assert_eq!((status, location.as_deref()), (308, Some("/docs")));
    }
}
