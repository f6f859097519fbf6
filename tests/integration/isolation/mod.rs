//! The isolation matrix: every operation of the contract, in every situation in which a caller must not get access. The
//! operations are read from `openapi.yaml`, so a new operation without a row fails here.
//!
//! Each rejection has its exact status and code, reveals nothing about the other lab, and leaves the table unchanged.

mod fixtures;
pub(crate) mod requests;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use local::ums::{MembershipsRoute, token};
use serde_json::{Value, json};

use self::{
    fixtures::{
        bad_tokens, people, service, token_of_the_previous_key, token_signed_in_at, token_with_labs, user,
        user_without, valid_token,
    },
    requests::{OTHER_CASE, TestRequest, row},
};
use crate::harness::{
    Reply, Service,
    provider::{OTHER_RSA, Provider, RSA},
    proxy::Fault,
    service::SECRET,
    spec::{Operation, operations},
    webhooks::OTHER_WEBHOOK,
};

/// Texts of the other lab and its cases. No response may contain one of them.
const MARKS: [&str; 4] = ["Nora North", "M4RK", "NORTHGATE", "Northgate"];

/// A reason that a system administrator may give.
const REASON: &str = "support; the lab asked for help";

/// The expected status and problem code.
type Expected = (u16, &'static str);
const UNAUTHORIZED: Expected = (401, "unauthorized");
const LAB_FORBIDDEN: Expected = (403, "lab_forbidden");
const FORBIDDEN: Expected = (403, "forbidden");

/// A situation: its name, the request, and the expected answer.
type Situation = (String, TestRequest, Expected);

fn permission(operation: &Operation) -> &'static str {
    operation.value["x-permission"].as_str().unwrap()
}

fn has_parameter(operation: &Operation, name: &str) -> bool {
    let parameters = operation.value["parameters"].as_array().into_iter().flatten();
    parameters.into_iter().any(|parameter| parameter["$ref"] == format!("#/components/parameters/{name}"))
}

/// All situations of an operation that needs a token.
fn situations(operation: &Operation, cursors: &BTreeMap<&str, String>) -> Vec<Situation> {
    let valid = |token: &str| TestRequest::valid(operation, token);
    let admin = valid_token(people::ADMIN);
    let mut all: Vec<Situation> = Vec::new();
    let mut add = |name: &str, request, expected| all.push((name.to_owned(), request, expected));
    for (name, token) in bad_tokens() {
        add(name, TestRequest { token, ..valid("") }, UNAUTHORIZED);
    }
    add("a deactivated user", valid(&valid_token(people::DEACTIVATED)), UNAUTHORIZED);
    add("an inactive membership", valid(&valid_token(people::FORMER_MEMBER)), LAB_FORBIDDEN);
    add("a deactivated lab", valid(&valid_token(people::OF_AN_INACTIVE_LAB)), LAB_FORBIDDEN);
    let closed = vec![("x-lab-id", "789".to_owned())];
    add(
        "a deactivated lab by name",
        TestRequest { headers: closed, ..valid(&valid_token(people::OF_AN_INACTIVE_LAB)) },
        LAB_FORBIDDEN,
    );
    add("no lab", valid(&valid_token(people::WITHOUT_LAB)), LAB_FORBIDDEN);
    let short = valid_token(user_without(permission(operation)));
    add("a role without the permission", valid(&short), FORBIDDEN);
    let promoted = token_with_labs(user_without(permission(operation)), &[123]);
    add("a role without the permission, and a better one in the token", valid(&promoted), FORBIDDEN);
    add("a lab only in the token", valid(&token_with_labs(people::WITHOUT_LAB, &[123])), LAB_FORBIDDEN);
    add(
        "an inactive membership, active in the token",
        valid(&token_with_labs(people::FORMER_MEMBER, &[123])),
        LAB_FORBIDDEN,
    );
    if operation.id() == "exportCases" {
        add("a viewer who exports", valid(&valid_token(user("viewer"))), FORBIDDEN);
    }
    let other = vec![("x-lab-id", "456".to_owned())];
    let beyond =
        TestRequest { headers: other.clone(), ..valid(&token_with_labs(people::ADMIN, &[123, 456])) };
    add("another lab in the token", beyond, LAB_FORBIDDEN);
    add("a token for another lab", valid(&token_with_labs(people::ADMIN, &[456])), LAB_FORBIDDEN);
    add("another lab in the header", TestRequest { headers: other, ..valid(&admin) }, LAB_FORBIDDEN);
    add(
        "another lab in the query",
        TestRequest { query: "?lab_id=456".into(), ..valid(&admin) },
        LAB_FORBIDDEN,
    );
    if !has_parameter(operation, "LabIdsQuery") {
        let all_labs = TestRequest { query: "?lab_id=all".into(), ..valid(&admin) };
        add("all labs, for an operation that works in one lab", all_labs, (400, "invalid_parameter"));
    }
    if let Some(body) = row(operation).body {
        let mut forged = body;
        forged["lab_id"] = json!(456);
        add(
            "another lab in the body",
            TestRequest { body: Some(forged), ..valid(&admin) },
            (422, "validation_failed"),
        );
    }
    if operation.path.contains("{id}") {
        let not_found = if operation.id() == "getCaseAccess" { (200, "") } else { (404, "case_not_found") };
        add("a case of another lab", TestRequest { case: OTHER_CASE, ..valid(&admin) }, not_found);
    }
    if operation.path.contains("{doctor_id}") {
        let doctor = TestRequest { doctor: "doctor_north", ..valid(&admin) };
        add("a doctor of another lab", doctor, (404, "doctor_not_found"));
    }
    if operation.path.contains("{webhook_id}") {
        let webhook = TestRequest { webhook: OTHER_WEBHOOK, ..valid(&admin) };
        add("a webhook of another lab", webhook, (404, "webhook_not_found"));
    }
    if operation.id() == "replayWebhook" {
        let mut body = row(operation).body.unwrap_or_default();
        body["cursor"] = json!(cursors["listCases"]);
        let request = TestRequest { body: Some(body), ..valid(&admin) };
        add("a cursor of another lab", request, (400, "invalid_cursor"));
    }
    for (parameter, name) in [("Cursor", "cursor"), ("Since", "since")] {
        if has_parameter(operation, parameter) {
            let query = format!("?{name}={}", cursors[operation.id()]);
            let request = TestRequest { query, ..valid(&admin) };
            add("a cursor of another lab", request, (400, "invalid_cursor"));
        }
    }
    if operation.id() == "searchCases" {
        let body = Some(json!({"limit": 1, "cursor": cursors["listCases"]}));
        add("a cursor of another lab", TestRequest { body, ..valid(&admin) }, (400, "invalid_cursor"));
    }
    let system = valid_token(people::SYSTEM_ADMINISTRATOR);
    let named = vec![("x-lab-id", "123".to_owned())];
    let without_reason = TestRequest { headers: named.clone(), ..valid(&system) };
    add("a system administrator without a reason", without_reason, (403, "break_glass_required"));
    let break_glass = |token: &str, reason: &str| {
        let mut headers = named.clone();
        headers.push(("x-break-glass", reason.to_owned()));
        TestRequest { headers, ..valid(token) }
    };
    let invalid = (400, "invalid_parameter");
    add("a system administrator without a code", break_glass(&system, "because I can see it"), invalid);
    add("a system administrator with a short reason", break_glass(&system, "support; see"), invalid);
    let old = token_signed_in_at(token::now() - 3600);
    let reauthenticate = (403, "reauthentication_required");
    add("a system administrator who signed in long ago", break_glass(&old, REASON), reauthenticate);
    if permission(operation) != "read" {
        add("a system administrator who does more than read", break_glass(&system, REASON), FORBIDDEN);
    }
    all
}

/// A next-page cursor of the other lab for each operation that has pages.
async fn cursors(service: &Service) -> BTreeMap<&'static str, String> {
    service
        .ums
        .update(|directory| directory.membership_mut(user("northgate"), 456).unwrap().role = "admin".into());
    let mut cursors = BTreeMap::new();
    for (id, path) in [
        ("listCases", "/api/v1/cases?limit=1"),
        ("exportCases", "/api/v1/cases/export?limit=1"),
        ("caseChanges", "/api/v1/cases/changes?limit=1"),
        ("getCaseHistory", "/api/v1/cases/1/history?limit=1"),
        ("listComments", "/api/v1/cases/1/comments?limit=1"),
        ("listAccess", "/api/v1/audit?limit=1"),
        ("getCaseAccess", "/api/v1/cases/1/access?limit=1"),
        ("listWebhookDeliveries", &format!("/api/v1/webhooks/{OTHER_WEBHOOK}/deliveries?limit=1")),
    ] {
        if id == "getCaseHistory" {
            for notes in ["one", "two"] {
                let call = service.request("PUT", "/api/v1/cases/1").token(&valid_token(user("northgate")));
                call.json(json!({"notes": format!("M4RK {notes}")})).send().await.expect(200);
                service
                    .request("GET", "/api/v1/cases/1")
                    .token(&valid_token(user("northgate")))
                    .send()
                    .await
                    .expect(200);
            }
        }
        let reply = service.request("GET", path).token(&valid_token(user("northgate"))).send().await;
        reply.expect_success();
        let of_header = reply.header("x-next-cursor").map(str::to_owned);
        let cursor = of_header.unwrap_or_else(|| {
            let body = reply.json();
            let cursor = [&body["next_cursor"], &body["pagination"]["next_cursor"]]
                .into_iter()
                .find_map(Value::as_str);
            cursor.unwrap_or_else(|| panic!("{id} has no next page: {body}")).to_owned()
        });
        cursors.insert(id, cursor);
    }
    // It has a cursor only when its time is over. One of another list is no better.
    cursors.insert("verifyAudit", cursors["listAccess"].clone());
    cursors
}

/// Everything in the table, except the audit records of rejections in the caller's lab.
async fn snapshot(service: &Service) -> [BTreeMap<String, Value>; 2] {
    let other = service.access_records(456).await.into_iter().enumerate();
    let mut of_other = service.items(456).await;
    of_other.extend(other.map(|(number, record)| (format!("ACCESS {number}"), record)));
    of_other.extend(service.connections(456).await);
    let mut of_own = service.items(123).await;
    of_own.extend(service.connections(123).await);
    [of_own, of_other]
}

#[track_caller]
fn assert_reveals_nothing(reply: &Reply, what: &str) {
    let text = format!("{:?} {}", reply.headers, String::from_utf8_lossy(&reply.bytes));
    for mark in MARKS {
        assert!(!text.contains(mark), "{what} reveals {mark}: {text}");
    }
}

#[tokio::test]
async fn every_operation_rejects_callers_without_access() {
    let service = service().await;
    let cursors = cursors(&service).await;
    let before = snapshot(&service).await;
    let (mut rows, mut cells) = (0, 0);
    for operation in operations().iter().filter(|operation| !operation.is_public()) {
        for (name, request, (status, code)) in situations(operation, &cursors) {
            let what = format!("{} in the situation '{name}'", operation.id());
            service.dynamodb.take_calls();
            let reply = request.send(&service, operation).await;
            assert_eq!(reply.status, status, "{what}: {}", String::from_utf8_lossy(&reply.bytes));
            if status >= 400 {
                reply.expect_problem(status, code);
            }
            assert_reveals_nothing(&reply, &what);
            if status == 401 || code == "lab_forbidden" {
                assert_eq!(service.dynamodb.take_calls(), [""; 0], "{what} reaches the table");
            }
            assert_eq!(snapshot(&service).await, before, "{what} changes something");
            cells += 1;
        }
        rows += 1;
    }
    println!("{rows} operations, {cells} situations");
    assert!(cells > 20 * rows);
}

#[tokio::test]
async fn every_operation_returns_data_of_the_callers_lab_only() {
    for operation in operations() {
        let service = service().await;
        let other = snapshot(&service).await[1].clone();
        let mut requests = vec![("own lab", TestRequest::valid(&operation, &valid_token(people::ADMIN)))];
        if has_parameter(&operation, "LabIdsQuery") {
            let all = TestRequest {
                query: "?lab_id=all".into(),
                ..TestRequest::valid(&operation, &valid_token(people::ADMIN))
            };
            requests.push(("all own labs", all));
        }
        if has_parameter(&operation, "IdempotencyKey") {
            // The other lab has used the key before, for a request that succeeded.
            let headers = vec![("idempotency-key", "key-1".to_owned())];
            requests[0].1.headers = headers;
        }
        for (name, request) in requests {
            let what = format!("{} in the situation '{name}'", operation.id());
            let reply = request.send(&service, &operation).await;
            assert_eq!(
                reply.status,
                row(&operation).status,
                "{what}: {}",
                String::from_utf8_lossy(&reply.bytes)
            );
            assert_eq!(reply.header("idempotency-replayed"), None, "{what}");
            if !operation.is_public() {
                assert_reveals_nothing(&reply, &what);
            }
        }
        assert_eq!(snapshot(&service).await[1], other, "{} changes the other lab", operation.id());
    }
}

#[tokio::test]
async fn every_operation_accepts_tokens_of_the_previous_key() {
    let service = service().await;
    let token = token_of_the_previous_key(people::ADMIN);
    let mut accepted = 0;
    for operation in operations().iter().filter(|operation| !operation.is_public()) {
        let reply = TestRequest::valid(operation, &token).send(&service, operation).await;
        // Some operations change the case so that later ones find another state.
        let expected = [row(operation).status, 404, 409];
        assert!(expected.contains(&reply.status), "{} {}", operation.id(), reply.status);
        accepted += usize::from(reply.status < 300);
    }
    assert!(accepted > 10, "{accepted}");
}

#[tokio::test]
async fn a_bulk_update_finds_no_case_of_another_lab() {
    let service = service().await;
    let before = snapshot(&service).await;
    let body = json!({"ids": [OTHER_CASE, 3], "status": "in_progress"});
    let call = service.request("POST", "/api/v1/cases/bulk-status").token(&valid_token(people::ADMIN));
    let reply = call.json(body).send().await;
    let results = reply.expect(200)["results"].clone();
    for result in results.as_array().unwrap() {
        assert_eq!((&result["status"], &result["problem"]["code"]), (&json!(404), &json!("case_not_found")));
    }
    assert_reveals_nothing(&reply, "bulkUpdateStatus of another lab's cases");
    assert_eq!(snapshot(&service).await, before);
}

#[tokio::test]
async fn public_operations_answer_every_caller_the_same() {
    let service = service().await;
    let before = snapshot(&service).await;
    // The latencies of a health check differ.
    let text = |reply: &Reply, is_health: bool| {
        let text = String::from_utf8_lossy(&reply.bytes).into_owned();
        if is_health { text.split("latency_ms").next().map(str::to_owned) } else { Some(text) }
    };
    for operation in operations().iter().filter(|operation| operation.is_public()) {
        let is_health = operation.function() == "health";
        let without =
            TestRequest { token: None, ..TestRequest::valid(operation, "") }.send(&service, operation).await;
        assert_eq!(without.status, row(operation).status);
        service.dynamodb.take_calls();
        for (name, token) in bad_tokens() {
            let headers = vec![("x-lab-id", "456".to_owned())];
            let request = TestRequest { token, headers, ..TestRequest::valid(operation, "") };
            let reply = request.send(&service, operation).await;
            assert_eq!(
                (reply.status, text(&reply, is_health)),
                (without.status, text(&without, is_health)),
                "{} {name}",
                operation.id()
            );
        }
        assert!(is_health || service.dynamodb.take_calls().is_empty(), "{}", operation.id());
    }
    assert_eq!(snapshot(&service).await, before);
}

#[tokio::test]
async fn a_missing_attribute_is_rejected_like_a_missing_role() {
    for operation in operations().iter().filter(|operation| !operation.is_public()) {
        let service = service().await;
        let attributes: &[&str] = match permission(operation) {
            "read" | "comment" => {
                &["lab.samples.read", "lab.samples.track", "lab.patient.export", "lab.audit.export"]
            }
            "update_status" => &["lab.patient.read", "lab.patient.write", "lab.samples.write"],
            "create" | "update" => &["lab.patient.read", "lab.samples.track", "lab.samples.write"],
            "attach" => &["lab.patient.read", "lab.samples.write", "lab.patient.delete", "lab.audit.view"],
            "delete" | "restore" => &["lab.patient.read", "lab.patient.write", "lab.audit.view"],
            "export" => &["lab.patient.read", "lab.patient.delete", "lab.audit.view", "lab.audit.export"],
            _ => &["lab.patient.read", "lab.patient.delete", "lab.patient.export", "lab.audit.export"],
        };
        service.ums.update(|directory| {
            directory.memberships_route = MembershipsRoute::PublishedDefect;
            let membership = directory.membership_mut(user("member"), 123).unwrap();
            membership.attributes = Some(attributes.iter().map(|name| (*name).to_owned()).collect());
        });
        let before = snapshot(&service).await;
        let reply =
            TestRequest::valid(operation, &valid_token(user("member"))).send(&service, operation).await;
        reply.expect_problem(403, "forbidden");
        assert_reveals_nothing(&reply, operation.id());
        assert_eq!(snapshot(&service).await, before, "{}", operation.id());
    }
}

#[tokio::test]
async fn with_a_jwks_url_every_operation_rejects_tokens_of_other_signers() {
    let provider = Provider::start(json!([RSA.jwk()])).await;
    let url = provider.url();
    let service = Service::start_with(&[("JWT_SECRET_KEY", ""), ("UMS_JWKS_URL", &url)]).await;
    let me = json!({"user": {"id": 1, "is_active": true, "locked_until": null},
        "labs": [{"lab_id": 123, "lab_name": "Riverside Dental Lab", "role": "admin", "membership_status": "active"}]});
    service.ums_proxy.rule(move |_, _| Fault::Answer(200, me.to_string()));
    let claims = json!({"sub": "1", "iat": token::now(), "exp": token::now() + 600});
    let good = RSA.sign(&claims);
    service.request("GET", "/api/v1/cases").token(&good).send().await.expect(200);
    let by_public_key = |secret: &[u8]| {
        let header = Header { kid: Some(RSA.id.into()), ..Header::new(Algorithm::HS256) };
        encode(&header, &claims, &EncodingKey::from_secret(secret)).unwrap()
    };
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwia2lkIjoicnNhLTEifQ";
    let expired = json!({"sub": "1", "iat": token::now() - 600, "exp": token::now() - 60});
    let tokens = [
        ("HS256 with the public key", by_public_key(&RSA.public_der())),
        ("HS256 with the published key", by_public_key(RSA.jwk().to_string().as_bytes())),
        ("HS256 with the secret of another deployment", token::sign(SECRET, &claims)),
        ("an unknown key", OTHER_RSA.sign(&claims)),
        ("an unknown key under a known name", OTHER_RSA.sign_with_header(&json!({"kid": RSA.id}), &claims)),
        ("alg none", format!("{none}.{}.", signed.split_once('.').unwrap().1)),
        (
            "a signature of something else",
            format!("{}.{signature}", OTHER_RSA.sign(&claims).rsplit_once('.').unwrap().0),
        ),
        ("a key that comes along", OTHER_RSA.sign_with_header(&json!({"jwk": OTHER_RSA.jwk()}), &claims)),
        ("an expired token", RSA.sign(&expired)),
    ];
    let before = snapshot(&service).await;
    service.dynamodb.take_calls();
    for operation in operations().iter().filter(|operation| !operation.is_public()) {
        let requests =
            tokens.iter().map(|(_, token)| TestRequest::valid(operation, token).send(&service, operation));
        for ((name, _), reply) in tokens.iter().zip(join_all(requests).await) {
            assert_eq!(reply.status, 401, "{} {name}", operation.id());
            reply.expect_problem(401, "unauthorized");
        }
    }
    assert_eq!(service.dynamodb.take_calls(), [""; 0]);
    assert_eq!(snapshot(&service).await, before);
}
