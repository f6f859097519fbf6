//! Behind a CDN: only requests with its secret are served, and the client's address is the one that it names.

use crate::harness::{Reply, Service, service::ORIGIN_SECRET as SECRET};

const OLD_SECRET: &str = "integration-tests-came-from-this-cdn-0123456789";

async fn behind_cdn(secrets: &str) -> Service {
    Service::start_with(&[("ORIGIN_SECRET", secrets), ("RATE_LIMIT_PER_SOURCE", "2")]).await
}

fn expect_refusal(reply: &Reply) {
    let problem = reply.expect_problem(403, "direct_access_forbidden");
    assert_eq!(problem["title"], "Direct access forbidden");
    assert_eq!(problem["detail"], "Send the request to the public name of the API.");
}

#[tokio::test]
async fn a_request_without_the_secret_gets_403_from_every_kind_of_function_before_any_call() {
    let service = behind_cdn(SECRET).await;
    service.dynamodb.take_calls();
    service.ums_proxy.take_calls();
    for path in
        ["/api/v1/cases", "/health", "/api/v1/health", "/docs", "/api/v1/cases/types", "/api/v1/nothing"]
    {
        expect_refusal(&service.as_user("admin", "GET", path).send().await);
        for wrong in ["", "wrong", &SECRET[1..], &SECRET.to_uppercase(), &format!("{SECRET}x")] {
            let call = service.as_user("admin", "GET", path).header("x-origin-secret", wrong);
            expect_refusal(&call.send().await);
        }
    }
    assert_eq!(service.dynamodb.take_calls(), [""; 0]);
    assert_eq!(service.ums_proxy.take_calls(), [""; 0]);
    for path in ["/api/v1/cases", "/health", "/api/v1/cases/types"] {
        let call = service.as_user("admin", "GET", path).header("x-origin-secret", SECRET);
        call.send().await.expect(200);
    }
}

#[tokio::test]
async fn during_a_rotation_both_secrets_are_accepted() {
    let service = behind_cdn(&format!("{SECRET},{OLD_SECRET}")).await;
    for secret in [SECRET, OLD_SECRET] {
        let call = service.request("GET", "/health").header("x-origin-secret", secret);
        call.send().await.expect(200);
    }
    let both = service.request("GET", "/health");
    expect_refusal(&both.header("x-origin-secret", &format!("{SECRET},{OLD_SECRET}")).send().await);
}

#[tokio::test]
async fn the_clients_address_is_the_one_that_the_cdn_names() {
    let service = behind_cdn(SECRET).await;
    let from = |address: &str| {
        let call = service.request("GET", "/health").header("x-origin-secret", SECRET);
        call.header("x-viewer-address", address).send()
    };
    for _ in 0..2 {
        from("198.51.100.1").await.expect(200);
    }
    from("198.51.100.1").await.expect_problem(429, "too_many_requests");
    from("198.51.100.2").await.expect(200);
    from("2001:db8::1").await.expect(200);
    let read = service.as_user("admin", "GET", "/api/v1/cases").header("x-origin-secret", SECRET);
    read.header("x-viewer-address", "2001:db8::1").send().await.expect(200);
    let records = service.access_records(123).await;
    assert_eq!(records.last().unwrap()["source_ip"], "2001:db8::1");
}

#[tokio::test]
async fn without_a_cdn_nobody_needs_the_secret_and_nobody_can_choose_an_address() {
    let service = behind_cdn("").await;
    let from = |address: &str| {
        let call = service.request("GET", "/health").header("x-origin-secret", SECRET);
        call.header("x-viewer-address", address).send()
    };
    from("198.51.100.1").await.expect(200);
    from("198.51.100.2").await.expect(200);
    from("198.51.100.3").await.expect_problem(429, "too_many_requests");
}
