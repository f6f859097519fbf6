//! Security events: each is one line of the log, from which CloudWatch counts it.

use local::ums::{Membership, User, token};
use serde_json::{Value, json};

use crate::harness::{Reply, Service, leaks, service::SECRET};

/// The security events of a user, as event, lab and code. Each must be a line of its own with one metric, whose dimensions
/// are only the stage and the event.
fn events_of(user: i64) -> Vec<(String, Value, Value)> {
    let lines = leaks::lines_with("\"SecurityEvents\":1").into_iter().map(|line| {
        assert_eq!(line.matches('\n').count(), 1, "{line}");
        serde_json::from_str::<Value>(&line).unwrap()
    });
    let user = user.to_string();
    let lines = lines.filter(|line| line["user.id"].as_str() == Some(&user));
    lines
        .map(|line| {
            let directive = &line["_aws"]["CloudWatchMetrics"];
            assert_eq!(directive.as_array().unwrap().len(), 1);
            assert_eq!(directive[0]["Dimensions"], json!([["stage", "event"]]));
            assert_eq!((&line["stage"], &line["message"]), (&json!("dev"), &json!("security event")));
            assert_eq!(line["request.id"], "request-id-1");
            let text = |name: &str| line.get(name).cloned().unwrap_or_default();
            (line["event"].as_str().unwrap().to_owned(), text("lab.id"), text("error.code"))
        })
        .collect()
}

/// A service with one case in lab 123, and a user whom no other test has.
async fn service_with(id: i64, role: Option<&str>) -> Service {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.ums.update(|directory| {
        directory.users.push(User { is_admin: role.is_none(), ..User::new(id, "someone", "password") });
        directory.memberships.extend(role.map(|role| Membership::new(id, 123, role)));
    });
    service
}

async fn get(service: &Service, id: i64, path: &str) -> Reply {
    service.request("GET", &format!("/api/v1{path}")).token(&service.ums.access_token(id)).send().await
}

fn event(name: &str, lab: impl Into<Value>, code: impl Into<Value>) -> (String, Value, Value) {
    (name.to_owned(), lab.into(), code.into())
}

#[tokio::test]
async fn a_rejected_request_is_a_security_event_of_its_kind() {
    let id = 881_001;
    let mut service = service_with(id, Some("viewer")).await;
    get(&service, id, "/cases/1").await.expect(200);
    get(&service, id, "/cases/7").await.expect_problem(404, "case_not_found");
    get(&service, id, "/cases?limit=x").await.expect_problem(400, "invalid_parameter");
    assert_eq!(events_of(id), []);
    let problem = get(&service, id, "/audit").await.expect_problem(403, "forbidden");
    let of_user = format!("\"user.id\":\"{id}\"");
    let lines = leaks::lines_with("\"event\":\"forbidden\"");
    let line = lines.iter().find(|line| line.contains(&of_user)).unwrap();
    assert_eq!(serde_json::from_str::<Value>(line).unwrap()["error.detail"], problem["detail"]);
    get(&service, id, "/cases/1?lab_id=456").await.expect_problem(403, "lab_forbidden");
    service.ums.update(|directory| directory.user_mut(id).unwrap().is_active = false);
    service.restart_functions();
    get(&service, id, "/cases/1").await.expect_problem(401, "unauthorized");
    assert_eq!(
        events_of(id),
        [
            event("forbidden", 123, "forbidden"),
            event("lab_forbidden", 456, "lab_forbidden"),
            event("unauthorized", Value::Null, "unauthorized"),
        ]
    );
}

#[tokio::test]
async fn a_request_without_a_token_is_a_security_event_without_a_user() {
    let service = Service::start().await;
    let is_anonymous =
        |line: &&String| line.contains("\"event\":\"unauthorized\"") && !line.contains("user.id");
    let count = || leaks::lines_with("\"SecurityEvents\":1").iter().filter(is_anonymous).count();
    let before = count();
    service.request("GET", "/api/v1/cases").send().await.expect_problem(401, "unauthorized");
    let call = service.request("GET", "/api/v1/cases").token(&token::access_token("another secret", 1));
    call.send().await.expect_problem(401, "unauthorized");
    // Other tests run at the same time.
    assert!(count() >= before + 2);
}

#[tokio::test]
async fn each_export_is_a_security_event() {
    let id = 881_002;
    let service = service_with(id, Some("admin")).await;
    service.ums.update(|directory| directory.memberships.push(Membership::new(id, 456, "admin")));
    for path in [
        "/cases/export?lab_id=123",
        "/cases/export?lab_id=123&format=ndjson",
        "/audit?lab_id=456&format=csv",
        "/cases/export?lab_id=all",
    ] {
        get(&service, id, path).await.expect_success();
    }
    get(&service, id, "/cases?lab_id=123").await.expect(200);
    get(&service, id, "/audit?lab_id=123").await.expect(200);
    let export = |lab: i64| event("export", lab, Value::Null);
    assert_eq!(events_of(id), [export(123), export(123), export(456), export(123), export(456)]);
}

#[tokio::test]
async fn an_export_without_its_audit_record_is_no_export() {
    let id = 881_003;
    let service = service_with(id, Some("admin")).await;
    service.dynamodb.rule(|name, _| match name {
        "PutItem" => crate::harness::proxy::Fault::refused(),
        _ => crate::harness::proxy::Fault::Pass,
    });
    get(&service, id, "/cases/export").await.expect_problem(503, "service_unavailable");
    assert_eq!(events_of(id), []);
}

#[tokio::test]
async fn break_glass_and_its_rejections_are_security_events() {
    let id = 881_004;
    let service = service_with(id, None).await;
    let read = async |auth_time: Option<i64>, reason: Option<&str>| {
        let mut claims = token::access_claims(id);
        claims.extend(auth_time.map(|at| ("auth_time".to_owned(), json!(at))));
        let call = service.request("GET", "/api/v1/cases/1").token(&token::sign(SECRET, &claims)).lab(123);
        match reason {
            Some(reason) => call.header("x-break-glass", reason).send().await,
            None => call.send().await,
        }
    };
    let reason = Some("treatment_emergency; the patient is in the chair");
    read(None, None).await.expect_problem(403, "break_glass_required");
    // A provider that does not say when the user signed in.
    read(None, reason).await.expect(200);
    read(Some(token::now() - 14 * 60), reason).await.expect(200);
    let problem = read(Some(token::now() - 16 * 60), reason).await;
    problem.expect_problem(403, "reauthentication_required");
    let granted = || event("break_glass", 123, Value::Null);
    assert_eq!(
        events_of(id),
        [
            event("forbidden", 123, "break_glass_required"),
            granted(),
            granted(),
            event("forbidden", 123, "reauthentication_required"),
        ]
    );
    // A member needs no recent sign-in.
    let mut claims = token::access_claims(4);
    claims.insert("auth_time".to_owned(), json!(0));
    let call = service.request("GET", "/api/v1/cases/1").token(&token::sign(SECRET, &claims));
    call.send().await.expect(200);
}

#[tokio::test]
async fn a_history_that_does_not_verify_is_a_security_event() {
    let id = 881_005;
    let service = service_with(id, Some("viewer")).await;
    assert_eq!(get(&service, id, "/cases/1/history/verify").await.expect(200)["valid"], true);
    assert_eq!(events_of(id), []);
    service.change_event(123, 1, 1, json!({"user_id": "666"})).await;
    assert_eq!(get(&service, id, "/cases/1/history/verify").await.expect(200)["valid"], false);
    assert_eq!(events_of(id), [event("verification_failed", 123, Value::Null)]);
    let lines = leaks::lines_with("\"event\":\"verification_failed\"");
    let line = lines.iter().find(|line| line.contains("\"user.id\":\"881005\"")).unwrap();
    assert!(line.contains("\"case.id\":1,"), "{line}");
}
