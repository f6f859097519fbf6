//! Authentication: only active users with a valid access token get in, and nobody gets in because UMS fails.

use std::time::Duration;

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use local::ums::{self, MembershipsRoute, token};
use serde_json::json;
use shared::{auth::Operation, base::wire_enum::WireEnum};

use crate::harness::{Reply, Service, proxy::Fault, reply::retry_until_success, service::SECRET, spec};

/// Sends a request with this token to every operation that needs one, and returns the replies.
async fn everywhere(service: &Service, token: Option<&str>) -> Vec<Reply> {
    let mut replies = Vec::new();
    for operation in spec::operations().iter().filter(|operation| !operation.is_public()) {
        let path = operation.example_path();
        let method = operation.method;
        let call = service.request(method, &path);
        let call = match token {
            Some(token) => call.token(token),
            None => call,
        };
        let call = if method == "GET" || method == "DELETE" { call } else { call.json(json!({})) };
        replies.push(call.send().await);
    }
    assert_eq!(replies.len(), Operation::ALL.len());
    replies
}

#[tokio::test]
async fn an_invalid_token_is_rejected_on_every_route_before_any_call() {
    let service = Service::start().await;
    let good = token::access_claims(1);
    let with = |name: &str, value: serde_json::Value| {
        let mut claims = good.clone();
        claims.insert(name.into(), value);
        token::sign(SECRET, &claims)
    };
    let mut parts = token::sign(SECRET, &good).split('.').map(str::to_owned).collect::<Vec<_>>();
    parts[0] = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0".into();
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let tokens = [
        ("expired", with("exp", json!(token::now() - 60))),
        ("not valid yet", with("nbf", json!(token::now() + 600))),
        ("refresh", ums::refresh_token(SECRET, 1)),
        ("wrong secret", ums::access_token("another secret that is long enough for HS256", 1)),
        ("alg none", format!("{}.{}.", parts[0], parts[1])),
        ("alg none with a signature", parts.join(".")),
        ("another algorithm", encode(&Header::new(Algorithm::HS384), &good, &key).unwrap()),
        ("no subject", with("sub", json!(null))),
        ("a path as subject", with("sub", json!("1/../2"))),
        ("encrypted", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAA.AAAA.AAAA".to_owned()),
        ("no token at all", "not-a-token".to_owned()),
    ];
    for (kind, token) in tokens {
        for reply in everywhere(&service, Some(&token)).await {
            let problem = reply.expect_problem(401, "unauthorized");
            assert!(!problem.to_string().contains(&token), "{kind}");
        }
    }
    for reply in everywhere(&service, None).await {
        reply.expect_problem(401, "unauthorized");
    }
    assert_eq!(service.ums_proxy.take_calls(), [""; 0]);
    assert_eq!(service.dynamodb.take_calls(), [""; 0]);
}

#[tokio::test]
async fn two_authorization_headers_are_rejected() {
    let service = Service::start().await;
    let token = service.token_of("admin");
    let call = service.request("GET", "/api/v1/cases").token(&token).token(&token);
    call.send().await.expect_problem(401, "unauthorized");
}

#[tokio::test]
async fn a_token_in_the_url_is_rejected_on_every_route_before_any_call() {
    let service = Service::start().await;
    let token = service.token_of("admin");
    for operation in spec::operations().iter().filter(|operation| !operation.is_public()) {
        let path = operation.example_path();
        for name in ["access_token", "token", "jwt", "access%5Ftoken"] {
            let path = format!("{path}?{name}={token}");
            for call in [
                service.request(operation.method, &path),
                service.request(operation.method, &path).token(&token),
            ] {
                let problem = call.send().await.expect_problem(401, "unauthorized");
                assert!(!problem.to_string().contains(&token));
            }
        }
    }
    assert_eq!(service.ums_proxy.take_calls(), [""; 0]);
    assert_eq!(service.dynamodb.take_calls(), [""; 0]);
}

#[tokio::test]
async fn an_inactive_or_locked_user_is_rejected_on_every_route() {
    let service = Service::start().await;
    for reply in everywhere(&service, Some(&service.token_of("inactive"))).await {
        reply.expect_problem(401, "unauthorized");
    }
    service.ums.update(|directory| {
        directory.user_mut(3).unwrap().locked_until = Some("2999-01-01T00:00:00.000000".into());
        directory.users.retain(|user| user.id != 4);
    });
    service.as_user("member", "GET", "/api/v1/cases").send().await.expect_problem(401, "unauthorized");
    service.as_user("viewer", "GET", "/api/v1/cases").send().await.expect_problem(401, "unauthorized");
    service.ums.update(|directory| {
        directory.user_mut(2).unwrap().locked_until = Some("2020-01-01T00:00:00.000000".into());
    });
    service.as_user("technician", "GET", "/api/v1/cases").send().await.expect(200);
    assert_eq!(service.dynamodb.take_calls(), ["Query", "Query", "PutItem"]);
}

#[tokio::test]
async fn ums_is_called_once_a_minute_per_token() {
    let service = Service::start().await;
    let token = service.token_of("admin");
    for _ in 0..3 {
        service.request("GET", "/api/v1/cases").token(&token).send().await.expect(200);
    }
    let mut calls = service.ums_proxy.take_calls();
    calls.sort();
    assert_eq!(calls, ["/api/auth/me", "/api/users/1/labs"]);
}

#[tokio::test]
async fn many_requests_with_a_new_token_share_one_ums_lookup() {
    let service = Service::start().await;
    let token = service.token_of("admin");
    let list = || service.request("GET", "/api/v1/cases").token(&token).send();
    for reply in join_all((0..64).map(|_| list())).await {
        reply.expect(200);
    }
    let mut calls = service.ums_proxy.take_calls();
    calls.sort();
    assert_eq!(calls, ["/api/auth/me", "/api/users/1/labs"]);

    service.ums.update(|directory| directory.memberships_route = MembershipsRoute::PublishedDefect);
    let token = service.token_of("admin");
    let list = || service.request("GET", "/api/v1/cases").token(&token).send();
    for reply in join_all((0..64).map(|_| list())).await {
        reply.expect(200);
    }
    let mut calls = service.ums_proxy.take_calls();
    calls.sort();
    assert_eq!(calls, ["/api/auth/me", "/api/auth/user-attributes", "/api/labs", "/api/users/1/labs"]);
}

#[tokio::test]
async fn a_hanging_ums_lookup_does_not_delay_the_requests_that_share_it() {
    let service = Service::start().await;
    service.ums_proxy.rule(|_, _| Fault::Hang);
    let token = service.token_of("admin");
    let list = || service.request("GET", "/api/v1/cases").token(&token).send();
    for reply in join_all((0..64).map(|_| list())).await {
        reply.expect_problem(503, "service_unavailable");
    }
    service.ums_proxy.heal();
    retry_until_success(list).await;
}

#[tokio::test]
async fn a_rejection_is_cached_for_its_token_only() {
    let service = Service::start().await;
    let token = service.token_of("inactive");
    for reply in everywhere(&service, Some(&token)).await {
        reply.expect_problem(401, "unauthorized");
    }
    let mut calls = service.ums_proxy.take_calls();
    calls.sort();
    assert_eq!(calls, ["/api/auth/me", "/api/users/7/labs"]);

    service.ums.update(|directory| directory.user_mut(7).unwrap().is_active = true);
    service.as_user("inactive", "GET", "/api/v1/cases").send().await.expect(200);
    // The rejected token works as well, a few seconds later.
    retry_until_success(|| service.request("GET", "/api/v1/cases").token(&token).send()).await;
}

#[tokio::test]
async fn the_circuit_to_ums_opens_after_failures_while_cached_callers_keep_working() {
    for fault in [Fault::Answer(500, "{}".into()), Fault::LoseAnswer, Fault::Hang] {
        let service =
            Service::start_tuned(&[], |config| config.outage_pause = Duration::from_secs(3600)).await;
        let known = service.token_of("admin");
        service.request("GET", "/api/v1/cases").token(&known).send().await.expect(200);
        service.ums_proxy.rule(move |_, _| fault.clone());
        // Each request has a user of its own, so the failures count.
        let list = |user| service.as_user(user, "GET", "/api/v1/cases").send();
        let first = join_all(["technician", "member", "viewer"].map(list)).await;
        service.ums_proxy.take_calls();
        let then = join_all(["technician", "northgate", "both", "sysadmin", "admin"].map(list)).await;
        for reply in first.into_iter().chain(then) {
            reply.expect_problem(503, "service_unavailable");
        }
        service.request("GET", "/api/v1/cases").token(&known).send().await.expect(200);
        assert_eq!(service.ums_proxy.take_calls(), [""; 0]);
    }
}

#[tokio::test]
async fn the_service_recovers_by_itself_after_a_ums_failure() {
    let service = Service::start().await;
    service.ums_proxy.rule(|_, _| Fault::Answer(500, "{}".into()));
    for _ in 0..10 {
        let reply = service.as_user("admin", "GET", "/api/v1/cases").send().await;
        reply.expect_problem(503, "service_unavailable");
    }
    service.ums_proxy.heal();
    retry_until_success(|| service.as_user("admin", "GET", "/api/v1/cases").send()).await;
}

#[tokio::test]
async fn rejections_and_invalid_answers_for_some_users_do_not_block_others() {
    let service = Service::start_tuned(&[], |config| config.outage_pause = Duration::from_secs(3600)).await;
    for fault in
        [Fault::Answer(403, "{}".into()), Fault::Answer(429, "{}".into()), Fault::Answer(200, "{}".into())]
    {
        service.ums_proxy.rule(move |_, _| fault.clone());
        for _ in 0..5 {
            let reply = service.as_user("member", "GET", "/api/v1/cases").send().await;
            reply.expect_problem(503, "service_unavailable");
        }
    }
    service.ums_proxy.heal();
    service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
}

#[tokio::test]
async fn with_the_published_ums_attributes_replace_roles() {
    let service = Service::start().await;
    service.ums.update(|directory| directory.memberships_route = MembershipsRoute::PublishedDefect);
    let body = json!({"procedure_type": "Crown"});
    for (user, read, create, delete) in [
        ("admin", 200, 201, 204),
        ("member", 200, 201, 403),
        ("technician", 200, 403, 403),
        ("viewer", 200, 403, 403),
    ] {
        service.create("admin", body.clone()).await;
        let newest = service.as_user("admin", "GET", "/api/v1/cases?limit=1").send().await.expect(200)["cases"][0]["id"].clone();
        let path = format!("/api/v1/cases/{newest}");
        assert_eq!(service.as_user(user, "GET", &path).send().await.status, read, "{user}");
        assert_eq!(
            service.as_user(user, "POST", "/api/v1/cases").json(body.clone()).send().await.status,
            create,
            "{user}"
        );
        assert_eq!(service.as_user(user, "DELETE", &path).send().await.status, delete, "{user}");
    }
    service.as_user("both", "GET", "/api/v1/cases").send().await.expect_problem(400, "lab_required");
    service.as_user("both", "GET", "/api/v1/cases").lab(456).send().await.expect(200);
    service
        .as_user("admin", "GET", "/api/v1/cases")
        .lab(456)
        .send()
        .await
        .expect_problem(403, "lab_forbidden");
}

#[tokio::test]
async fn memberships_in_me_are_used() {
    let service = Service::start().await;
    service.ums.update(|directory| {
        directory.me_lists_labs = true;
        directory.memberships_route = MembershipsRoute::PublishedDefect;
    });
    service.as_user("technician", "GET", "/api/v1/cases").send().await.expect(200);
}

/// A token of the user with the claim `labs`: lab, role and status.
fn token_with_labs(user: i64, labs: &[(i64, &str, &str)]) -> String {
    let mut claims = token::access_claims(user);
    let lab = |(id, role, status): &(i64, &str, &str)| json!({"lab_id": id, "role": role, "membership_status": status});
    claims.insert("labs".into(), labs.iter().map(lab).collect());
    token::sign(SECRET, &claims)
}

#[tokio::test]
async fn memberships_in_the_token_narrow_those_of_ums() {
    // User 6 is a member of both labs, user 4 a viewer of one.
    for route in [MembershipsRoute::Repaired, MembershipsRoute::PublishedDefect] {
        for me_lists_labs in [false, true] {
            let service = Service::start().await;
            service.ums.update(|directory| {
                (directory.memberships_route, directory.me_lists_labs) = (route, me_lists_labs);
            });
            let list = |token: String, lab: i64| {
                service.request("GET", "/api/v1/cases").token(&token).lab(lab).send()
            };
            let one = || token_with_labs(6, &[(123, "member", "active"), (456, "member", "inactive")]);
            list(one(), 123).await.expect(200);
            list(one(), 456).await.expect_problem(403, "lab_forbidden");
            list(token_with_labs(6, &[]), 123).await.expect_problem(403, "lab_forbidden");
            // The caller's only lab does not have to be named.
            service.request("GET", "/api/v1/cases").token(&one()).send().await.expect(200);
            let beyond = || token_with_labs(4, &[(123, "admin", "active"), (456, "admin", "active")]);
            list(beyond(), 456).await.expect_problem(403, "lab_forbidden");
            list(beyond(), 123).await.expect(200);
            // UMS decides about the role.
            let create = service.request("POST", "/api/v1/cases").token(&beyond());
            let reply = create.json(json!({"procedure_type": "Crown"})).send().await;
            reply.expect_problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn nobody_gets_in_while_ums_fails_or_answers_nonsense() {
    let html = "<html>Bad gateway</html>".to_owned();
    let another_user = json!({"user": {"id": 2, "is_active": true, "locked_until": null}}).to_string();
    for (what, fault) in [
        ("error", Fault::Answer(500, html.clone())),
        ("gateway error", Fault::Answer(502, html.clone())),
        ("html", Fault::Answer(200, html)),
        ("ten megabytes", Fault::Answer(200, format!("{{\"user\":\"{}\"}}", "x".repeat(10_000_000)))),
        ("wrong json", Fault::Answer(200, "{\"user\":{\"id\":1}}".into())),
        ("another user", Fault::Answer(200, another_user)),
        ("a redirect", Fault::Redirect),
        ("a broken connection", Fault::LoseAnswer),
        ("silence", Fault::Hang),
    ] {
        let service = Service::start().await;
        service.ums_proxy.rule(move |_, _| fault.clone());
        let reply = service.as_user("admin", "GET", "/api/v1/cases").send().await;
        reply.expect_problem(503, "service_unavailable");
        assert_eq!(service.dynamodb.take_calls(), [""; 0], "{what}");
        service.ums_proxy.heal();
        service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
    }
}

#[tokio::test]
async fn all_ums_calls_of_a_request_take_two_seconds_at_most() {
    let service = Service::start().await;
    service.ums.update(|directory| directory.memberships_route = MembershipsRoute::PublishedDefect);
    // Three calls in sequence, of 0.9 s each.
    service.ums_proxy.rule(|_, _| Fault::Slow(Duration::from_millis(900)));
    let reply = service.as_user("admin", "GET", "/api/v1/cases").send().await;
    reply.expect_problem(503, "service_unavailable");
    service.ums_proxy.heal();
    service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
}

#[tokio::test]
async fn an_unreachable_ums_means_503() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let service = Service::start_with(&[("UMS_BASE_URL", &format!("http://{nobody}"))]).await;
    for reply in everywhere(&service, Some(&service.token_of("admin"))).await {
        reply.expect_problem(503, "service_unavailable");
    }
}

#[tokio::test]
async fn the_api_key_is_sent_to_ums() {
    let service = Service::start_with(&[("UMS_API_KEY", "key-of-lhcms")]).await;
    service.ums.update(|directory| directory.api_key = Some("key-of-lhcms".into()));
    service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
    let service = Service::start().await;
    service.ums.update(|directory| directory.api_key = Some("key-of-lhcms".into()));
    assert!(service.as_user("admin", "GET", "/api/v1/cases").send().await.status >= 400);
}
