//! Limits on the requests of a user, of a lab, and of an address without a valid token.

use serde_json::json;

use crate::harness::{Reply, Service};

/// The `RateLimit` headers.
fn limits(reply: &Reply) -> [Option<&str>; 3] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(|name| reply.header(name))
}

async fn with_limits(per_user: &str, per_lab: &str) -> Service {
    Service::start_with(&[("RATE_LIMIT_PER_USER", per_user), ("RATE_LIMIT_PER_LAB", per_lab)]).await
}

#[tokio::test]
async fn requests_above_the_user_limit_get_429_before_any_call() {
    let service = with_limits("2", "0").await;
    let token = service.token_of("member");
    let create =
        || service.request("POST", "/api/v1/cases").token(&token).json(json!({"procedure_type": "Crown"}));
    for left in [("1", "30"), ("0", "60")] {
        let reply = create().send().await;
        reply.expect(201);
        assert_eq!(limits(&reply), [Some("2"), Some(left.0), Some(left.1)]);
    }
    service.dynamodb.take_calls();
    service.ums_proxy.take_calls();
    for path in ["/api/v1/cases", "/api/v1/cases?lab_id=all", "/api/v1/cases?lab_id=456"] {
        let reply = service.request("GET", path).token(&token).send().await;
        let problem = reply.expect_problem(429, "too_many_requests");
        assert_eq!(problem["detail"], "You sent more than 2 requests in a minute. Wait, then try again.");
        assert_eq!(limits(&reply), [Some("2"), Some("0"), Some("60")]);
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=30).contains(&wait), "{wait}");
    }
    assert_eq!(service.dynamodb.take_calls(), [""; 0]);
    assert_eq!(service.ums_proxy.take_calls(), [""; 0]);
    // Another token of the same user has the same limit; other users are not affected.
    service.as_user("member", "GET", "/api/v1/cases").send().await.expect_problem(429, "too_many_requests");
    service.as_user("viewer", "GET", "/api/v1/cases").send().await.expect(200);
}

#[tokio::test]
async fn a_lab_has_a_limit_that_non_members_cannot_use_up() {
    let service = with_limits("0", "2").await;
    for _ in 0..5 {
        let call = service.as_user("viewer", "GET", "/api/v1/cases").lab(456);
        let refused = call.send().await;
        refused.expect_problem(403, "lab_forbidden");
        assert_eq!(limits(&refused), [None; 3]);
    }
    for user in ["viewer", "technician"] {
        service.as_user(user, "GET", "/api/v1/cases").send().await.expect(200);
    }
    let reply = service.as_user("admin", "GET", "/api/v1/cases").send().await;
    let problem = reply.expect_problem(429, "too_many_requests");
    assert_eq!(problem["detail"], "The lab sent more than 2 requests in a minute. Wait, then try again.");
}

#[tokio::test]
async fn the_headers_show_the_tighter_limit_on_errors_too() {
    let service = with_limits("10", "5").await;
    let reply = service.as_user("viewer", "DELETE", "/api/v1/cases/1").send().await;
    reply.expect_problem(403, "forbidden");
    assert_eq!(limits(&reply), [Some("5"), Some("4"), Some("12")]);
    let reply = service.request("GET", "/health").send().await;
    assert_eq!(limits(&reply), [None; 3]);
}

#[tokio::test]
async fn reading_all_labs_counts_in_each_lab() {
    let service = with_limits("0", "2").await;
    service.as_user("both", "GET", "/api/v1/cases").lab(456).send().await.expect(200);
    let reply = service.as_user("both", "GET", "/api/v1/cases?lab_id=all").send().await;
    reply.expect(200);
    assert_eq!(limits(&reply), [Some("2"), Some("0"), Some("60")]);
    let reply = service.as_user("both", "GET", "/api/v1/cases?lab_id=all").send().await;
    reply.expect_problem(429, "too_many_requests");
}

#[tokio::test]
async fn an_address_has_a_limit_for_invalid_tokens_and_valid_tokens_do_not_count() {
    let service = Service::start_with(&[("RATE_LIMIT_PER_SOURCE", "3")]).await;
    let list = |token: &str| service.request("GET", "/api/v1/cases").token(token).send();
    for token in ["a.b.c", "", "another"] {
        list(token).await.expect_problem(401, "unauthorized");
        service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
    }
    // The functions of the tests share one count.
    for path in ["/api/v1/cases", "/api/v1/cases/1", "/api/v1/audit"] {
        let reply = service.request("GET", path).send().await;
        let problem = reply.expect_problem(429, "too_many_requests");
        assert_eq!(
            problem["detail"],
            "Your address sent more than 3 requests in a minute. Wait, then try again."
        );
        assert_eq!(limits(&reply), [None; 3]);
        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=20).contains(&wait), "{wait}");
    }
    service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
}

#[tokio::test]
async fn an_address_has_a_limit_for_each_public_function() {
    let service = Service::start_with(&[("RATE_LIMIT_PER_SOURCE", "2")]).await;
    for path in ["/health", "/api/v1/health", "/docs", "/api/v1/cases/types", "/api/v1/nothing"] {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            statuses.push(service.request("GET", path).send().await.status);
        }
        assert_eq!(
            statuses.iter().filter(|status| **status == 429).count(),
            if path == "/api/v1/health" { 4 } else { 2 },
            "{path}: {statuses:?}"
        );
    }
    let reply = service.request("GET", "/docs").send().await;
    reply.expect_problem(429, "too_many_requests");
    assert_eq!(service.request("HEAD", "/docs").send().await.status, 429);
}
