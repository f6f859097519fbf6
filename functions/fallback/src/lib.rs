//! Everything that no other route answers: unknown paths, known paths with another method, trailing slashes.

use lambda_http::http::{HeaderValue, StatusCode, header};
use shared::{
    base::error::Error,
    http::{self, Request, Response},
};

/// The paths of `openapi.yaml` with their methods.
const ROUTES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/routes.rs"));

/// Answers 404; 405 with `Allow` on a path that exists; 308 from a path with a trailing slash to the one without.
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

/// The methods of the route that the path belongs to; one without parameters is the better match.
fn methods_of(path: &str) -> Option<&'static str> {
    let exact = ROUTES.iter().find(|(template, _)| *template == path);
    exact.or_else(|| ROUTES.iter().find(|(template, _)| matches(template, path))).map(|(_, methods)| *methods)
}

fn matches(template: &str, path: &str) -> bool {
    let (mut expected, mut given) = (template.split('/'), path.split('/'));
    loop {
        match (expected.next(), given.next()) {
            (None, None) => return true,
            (Some(parameter), Some(segment)) if parameter.starts_with('{') && !segment.is_empty() => {}
            (Some(expected), Some(given)) if expected == given => {}
            _ => return false,
        }
    }
}

/// 308 keeps the method and the body. Only paths that exist get here, so the target is always on this host.
fn moved_to(path: &str, query: Option<&str>) -> http::Result {
    let target = query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    // A path parameter may hold anything; what is no header value is no path of ours either.
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

    async fn answer(method: &str, path: &str, query: &str) -> (u16, Option<String>, Option<String>) {
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
            assert_eq!(answer("GET", path, "").await, (404, None, None), "{path}");
        }
    }

    #[tokio::test]
    async fn a_known_path_with_another_method_names_the_ones_it_has() {
        assert_eq!(answer("DELETE", "/api/v1/cases", "").await, (405, Some("GET, POST".into()), None));
        assert_eq!(
            answer("POST", "/api/v1/cases/7", "").await,
            (405, Some("GET, PUT, PATCH, DELETE".into()), None)
        );
        assert_eq!(answer("POST", "/api/v1/cases/types", "").await, (405, Some("GET".into()), None));
    }

    #[tokio::test]
    async fn a_trailing_slash_leads_to_the_path_without_and_keeps_the_query() {
        let (status, _, location) = answer("POST", "/api/v1/cases/", "?lab_id=123").await;
        assert_eq!((status, location.as_deref()), (308, Some("/api/v1/cases?lab_id=123")));
        let (status, _, location) = answer("GET", "/docs/", "").await;
        assert_eq!((status, location.as_deref()), (308, Some("/docs")));
    }
}
