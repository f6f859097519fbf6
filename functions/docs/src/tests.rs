//! Whole answers of the handler.

use lambda_http::Request as LambdaRequest;
use lambda_http::http::HeaderMap;
use serde_json::Value;
use shared::base::error::ErrorCode;

use super::*;
use shared::http::Response;

fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> LambdaRequest {
    let mut request = lambda_http::http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::Empty).unwrap().with_raw_http_path(path)
}

async fn get(path: &str, headers: &[(&str, &str)]) -> Response {
    handler(request(Method::GET, path, headers)).await.unwrap()
}

fn header_of<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

fn text(response: &Response) -> &str {
    match response.body() {
        Body::Text(text) => text,
        other => panic!("not a text: {other:?}"),
    }
}

fn unzipped(response: &Response) -> String {
    let Body::Binary(bytes) = response.body() else { panic!("not binary") };
    let mut text = String::new();
    GzDecoder::new(bytes.as_slice()).read_to_string(&mut text).unwrap();
    text
}

const GZIP: (&str, &str) = ("accept-encoding", "gzip, deflate, br");

#[tokio::test]
async fn every_route_answers_its_file_compressed_and_plain() {
    let routes = [
        ("/docs", "text/html; charset=utf-8", "no-cache", "<!doctype html>"),
        ("/docs/page.css", "text/css; charset=utf-8", "no-cache", "/* What Swagger UI"),
        ("/docs/init.js", "text/javascript; charset=utf-8", "no-cache", "// A file of its own"),
        ("/docs/swagger-ui.css", "text/css; charset=utf-8", "public, max-age=86400", ".swagger-ui"),
        ("/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8", "public, max-age=86400", "/*!"),
        ("/api/v1/swagger.json", "application/json", "no-cache", "{\"openapi\":\"3.0.3\","),
        ("/api/v1/openapi.yaml", "application/yaml", "no-cache", "openapi: \"3.0.3\"\n"),
    ];
    for (path, content_type, cache_control, start) in routes {
        let plain = get(path, &[]).await;
        assert_eq!(plain.status(), 200, "{path}");
        assert!(text(&plain).starts_with(start), "{path}: {:?}", text(&plain).get(..40));
        assert_eq!(header_of(plain.headers(), "content-encoding"), "", "{path}");

        let compressed = get(path, &[GZIP]).await;
        assert_eq!(compressed.status(), 200, "{path}");
        assert_eq!(unzipped(&compressed), text(&plain), "{path}");
        assert_eq!(header_of(compressed.headers(), "content-encoding"), "gzip", "{path}");

        for answer in [&plain, &compressed] {
            assert_eq!(header_of(answer.headers(), "content-type"), content_type, "{path}");
            assert_eq!(header_of(answer.headers(), "cache-control"), cache_control, "{path}");
            assert_eq!(header_of(answer.headers(), "vary"), "Accept-Encoding", "{path}");
        }
        let etags = [&plain, &compressed].map(|answer| header_of(answer.headers(), "etag"));
        assert!(etags.iter().all(|etag| etag.len() > 32 && etag.starts_with('"')), "{etags:?}");
        assert_ne!(etags[0], etags[1], "{path}: one strong ETag for two encodings");
    }
}

#[tokio::test]
async fn head_has_the_headers_of_get_and_no_body() {
    for file in &FILES {
        for headers in [&[][..], &[GZIP], &[("if-none-match", "*")]] {
            let get = get(file.path, headers).await;
            let head = handler(request(Method::HEAD, file.path, headers)).await.unwrap();
            assert_eq!((head.status(), head.headers()), (get.status(), get.headers()), "{}", file.path);
            assert!(matches!(head.body(), Body::Empty), "{}", file.path);
        }
    }
    let error = handler(request(Method::HEAD, "/docs/unknown.css", &[])).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::NotFound);
}

#[tokio::test]
async fn a_known_etag_is_answered_304_with_the_caching_headers_only() {
    for file in &FILES {
        for encoding in ["identity", "gzip"] {
            let path = file.path;
            let full = get(path, &[("accept-encoding", encoding)]).await;
            let etag = header_of(full.headers(), "etag");
            let weak_in_list = format!("\"other\", W/{etag}");
            for known in [etag, &weak_in_list, "*"] {
                let answer = get(path, &[("accept-encoding", encoding), ("if-none-match", known)]).await;
                assert_eq!(answer.status(), 304, "{path} {known}");
                assert!(matches!(answer.body(), Body::Empty));
                let mut names: Vec<_> = answer.headers().keys().map(|name| name.as_str()).collect();
                names.sort_unstable();
                assert_eq!(names, ["cache-control", "etag", "vary"], "{path}");
                assert_eq!(header_of(answer.headers(), "etag"), etag, "{path}");
            }
            let stale = get(path, &[("accept-encoding", encoding), ("if-none-match", "\"other\"")]).await;
            assert_eq!(stale.status(), 200, "{path}");
        }
    }
}

#[tokio::test]
async fn only_the_page_has_a_content_security_policy_and_it_allows_nothing_inline() {
    for file in &FILES {
        let answer = get(file.path, &[GZIP]).await;
        let policy = header_of(answer.headers(), "content-security-policy");
        assert_eq!(!policy.is_empty(), file.path == "/docs", "{}", file.path);
        assert!(!policy.contains("unsafe"), "{policy}");
    }
    let page = get("/docs", &[]).await;
    assert_eq!(
        header_of(page.headers(), "content-security-policy"),
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
}

#[tokio::test]
async fn the_page_loads_only_files_that_exist_also_with_a_trailing_slash() {
    let page = get("/docs/", &[]).await;
    let html = text(&page);
    assert_eq!(html, text(&get("/docs", &[]).await));
    let linked: Vec<_> = html.split('"').filter(|part| part.starts_with('/')).collect();
    assert_eq!(linked.len(), 8, "{linked:?}");
    for path in linked {
        assert_eq!(get(path, &[]).await.status(), 200, "{path}");
    }
    assert!(
        !html.contains("style=") && !html.contains("<style") && !html.contains("<script>"),
        "nothing inline"
    );
    let script = get("/docs/init.js", &[]).await;
    assert!(text(&script).contains("url: \"/api/v1/swagger.json\""));
}

#[tokio::test]
async fn other_paths_are_not_found_and_other_methods_not_allowed() {
    for path in ["/docs/unknown.css", "/docs/init.js.map", "/docs/../docs", "/api/v1", "/"] {
        let error = handler(request(Method::GET, path, &[])).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::NotFound, "{path}");
    }
    let error = handler(request(Method::POST, "/docs", &[])).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::MethodNotAllowed);
    assert_eq!(header_of(shared::http::problem_response(&error, "r").headers(), "allow"), "GET, HEAD");
}

#[tokio::test]
async fn the_published_contract_is_the_authored_one_without_the_gateway_in_both_formats() {
    let authored = contract::parse_yaml(include_str!("../../../openapi.yaml")).unwrap();
    let json = get("/api/v1/swagger.json", &[]).await;
    let yaml = get("/api/v1/openapi.yaml", &[]).await;
    let from_json: Value = serde_json::from_str(text(&json)).unwrap();
    assert_eq!(from_json, publish::publish(authored));
    assert_eq!(from_json, contract::parse_yaml(text(&yaml)).unwrap());
    for published in [text(&json), text(&yaml)] {
        assert!(!published.contains("x-amazon-"));
        assert!(!published.contains("x-function"));
        assert!(!published.contains("$default"));
    }
}

#[tokio::test]
async fn the_published_contract_keeps_the_authored_order() {
    let authored = include_str!("../../../openapi.yaml");
    let published = get("/api/v1/openapi.yaml", &[]).await;
    let sections = |yaml: &str| -> Vec<String> {
        let lines = yaml.lines().map(|line| line.replace('"', ""));
        let lines = lines.filter(|line| line.starts_with(char::is_alphabetic) || line.starts_with("  /"));
        let keys = lines.map(|line| line.split(':').next().unwrap_or_default().to_owned());
        keys.filter(|key| !key.starts_with("x-amazon-") && !key.contains("$default")).collect()
    };
    let sections_published = sections(text(&published));
    assert!(sections_published.len() > 5, "{sections_published:?}");
    assert_eq!(sections_published, sections(authored));
}
