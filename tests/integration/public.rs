//! Routes without a token: health, the catalogue, the docs, and unknown paths.

use shared::{
    config::{Common, Env},
    http,
    runtime::{Function, PublicFunction},
};

use crate::harness::Service;

#[tokio::test]
async fn the_catalogue_matches_the_examples_of_the_contract() {
    let service = Service::start().await;
    for (path, example) in [("types", "AllCaseTypes"), ("shades", "AllShades"), ("materials", "AllMaterials")]
    {
        let reply = service.request("GET", &format!("/api/v1/cases/{path}")).send().await;
        let body = reply.expect(200);
        assert_eq!(reply.header("cache-control"), Some("public, max-age=3600"));
        assert_eq!(body, crate::harness::spec::SPEC["components"]["examples"][example]["value"], "{path}");
    }
}

#[tokio::test]
async fn a_panicking_handler_returns_a_problem_without_details() {
    let common = Common::read(&mut Env::new(&|_: &str| None));
    let function = PublicFunction::new(common, async |_| -> http::Result { panic!("Jane Roe") });
    let response = function.call(http::Request::default()).await;
    assert_eq!(response.status(), 500);
    let body = String::from_utf8_lossy(response.body()).into_owned();
    assert!(body.contains("\"code\":\"internal_error\"") && !body.contains("Jane"), "{body}");
}

#[tokio::test]
async fn unknown_paths_and_methods_get_404_and_405() {
    let service = Service::start().await;
    service.request("GET", "/api/v1/nothing").send().await.expect_problem(404, "not_found");
    let reply = service.request("POST", "/api/v1/cases/1").send().await;
    reply.expect_problem(405, "method_not_allowed");
    assert_eq!(reply.header("allow"), Some("GET, PUT, PATCH, DELETE"));
    let reply = service.request("POST", "/api/v1/cases/").send().await;
    assert_eq!((reply.status, reply.header("location")), (308, Some("/api/v1/cases")));
}

#[tokio::test]
async fn only_the_configured_origins_may_read_responses() {
    let service = Service::start().await;
    let reply = service.request("GET", "/health").header("origin", "https://app.example.com").send().await;
    assert_eq!(reply.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(reply.header("vary"), Some("Origin"));
    assert_eq!(
        reply.header("access-control-expose-headers"),
        Some(
            "content-disposition, etag, location, x-request-id, retry-after, idempotency-replayed, x-next-cursor, \
             x-reaches-back-to, ratelimit-limit, ratelimit-remaining, ratelimit-reset, www-authenticate"
        )
    );
    for origin in
        ["https://evil.example.com", "https://app.example.com.evil.example", "null", "http://app.example.com"]
    {
        let reply = service.request("GET", "/health").header("origin", origin).send().await;
        assert_eq!(reply.header("access-control-allow-origin"), None, "{origin}");
    }
    let preflight = service
        .request("OPTIONS", "/api/v1/cases")
        .header("origin", "https://app.example.com")
        .header("access-control-request-method", "POST")
        .send()
        .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("https://app.example.com"));
    assert_eq!(
        preflight.header("access-control-allow-methods"),
        Some("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS")
    );
}
