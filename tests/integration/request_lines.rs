//! The line of a request: its log line and its metrics in one. The harness checks the format of each line of the run.

use std::collections::BTreeMap;

use local::ums::{Membership, User};
use serde_json::{Value, json};
use shared::{
    config::{Common, Env},
    http,
    runtime::{Function, PublicFunction},
};

use crate::harness::{Call, Fault, Reply, Service, emf, leaks};

/// A service with one case in lab 123, and the token of an admin there whom no other test has.
async fn service_with(user: i64) -> (Service, String) {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.ums.update(|directory| {
        directory.users.push(User::new(user, "someone", "password"));
        directory.memberships.push(Membership::new(user, 123, "admin"));
    });
    let token = service.ums.access_token(user);
    (service, token)
}

fn call<'s>(service: &'s Service, token: &str, method: &str, path: &str) -> Call<'s> {
    service.request(method, &format!("/api/v1{path}")).token(token)
}

/// The lines of a user's requests, in their order.
fn lines_of(user: i64) -> Vec<Value> {
    let lines = leaks::lines_with(&format!("\"user.id\":\"{user}\""));
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.filter(|line| line["message"] == "request").collect()
}

fn last_line(user: i64) -> Value {
    lines_of(user).pop().expect("a line")
}

/// The metrics of a line for the whole stage.
fn of_stage(line: &Value) -> BTreeMap<String, f64> {
    let metrics = emf::metrics(line).into_iter();
    let of_stage =
        metrics.filter(|(_, dimensions, _)| dimensions.as_array().unwrap().contains(&json!(["stage"])));
    of_stage.map(|(name, _, value)| (name, value.as_f64().unwrap())).collect()
}

/// The same without times, which differ from run to run.
fn counts(line: &Value) -> BTreeMap<String, f64> {
    let mut all = of_stage(line);
    all.retain(|name, _| !name.ends_with("Time") && name != "Latency");
    all
}

fn expected(counts: &[(&str, f64)]) -> BTreeMap<String, f64> {
    counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

#[tokio::test]
async fn the_lines_of_a_cold_and_a_warm_request_have_these_members() {
    let user = 882_001;
    let (service, token) = service_with(user).await;
    for _ in 0..2 {
        call(&service, &token, "GET", "/cases/1").send().await.expect(200);
    }
    let [cold, mut warm] = lines_of(user).try_into().unwrap();
    assert_eq!((&cold["cold_start"], &cold["ColdStarts"]), (&json!(true), &json!(1)));
    assert_eq!((&cold["UmsCalls"], &cold["DynamoDbCalls"]), (&json!(2), &json!(2)));
    let now = shared::base::time::Timestamp::now().to_string();
    assert_eq!(warm["timestamp"].take().as_str().unwrap()[..10], now[..10]);
    assert_eq!(warm["trace.id"].take().as_str().unwrap().len(), 32);
    for time in ["took_ms", "Latency", "DynamoDbTime"] {
        let taken = warm[time].take().as_f64().unwrap();
        assert!(taken > 0.0 && taken < 10_000.0, "{time} {taken}");
    }
    assert!(warm["_aws"]["Timestamp"].take().is_i64());
    let metric = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
    let directives = json!([
        {"Namespace": "LHCMS", "Dimensions": [["stage", "operation"], ["stage"]], "Metrics": [
            metric("Requests", "Count"), metric("Latency", "Milliseconds"), metric("ServerErrors", "Count"),
            metric("ClientErrors", "Count"),
        ]},
        {"Namespace": "LHCMS", "Dimensions": [["stage"]], "Metrics": [
            metric("DynamoDbCalls", "Count"), metric("DynamoDbTime", "Milliseconds"), metric("ReadUnits", "Count"),
            metric("WriteUnits", "Count"),
        ]},
    ]);
    assert_eq!(
        warm,
        json!({
            "timestamp": null, "level": "INFO", "message": "request", "stage": "dev", "operation": "getCase",
            "function": "", "commit": "unknown", "request.id": "request-id-1", "trace.id": null,
            "request.method": "GET", "request.route": "GET /api/v1/cases/{id}", "response.status": 200,
            "lab.id": 123, "user.id": "882001", "took_ms": null, "cold_start": false, "Requests": 1,
            "Latency": null, "ServerErrors": 0, "ClientErrors": 0, "DynamoDbCalls": 2, "DynamoDbTime": null,
            "ReadUnits": 1, "WriteUnits": 1, "_aws": {"Timestamp": null, "CloudWatchMetrics": directives},
        })
    );
}

#[tokio::test]
async fn a_line_counts_the_calls_and_units_that_the_proxies_count() {
    let user = 882_002;
    let (service, token) = service_with(user).await;
    let doctor = json!({"procedure_type": "Crown", "doctor_id": "DOC001", "product_id": "PROD001"});
    for (method, path, body) in [
        ("POST", "/cases", Some(doctor)),
        ("GET", "/cases?q=jane", None),
        ("GET", "/cases/1", None),
        ("GET", "/cases/1/history", None),
        ("GET", "/cases/stats", None),
        ("PUT", "/cases/1", Some(json!({"notes": "Soft."}))),
        ("POST", "/cases/bulk-status", Some(json!({"ids": [1, 2], "status": "in_progress"}))),
        ("DELETE", "/cases/2", None),
    ] {
        for proxy in [&service.dynamodb, &service.ums_proxy, &service.linkshub_proxy] {
            proxy.take_calls();
        }
        service.dynamodb.record_calls();
        let request = call(&service, &token, method, path);
        match body {
            Some(body) => request.json(body).send().await.expect_success(),
            None => request.send().await.expect_success(),
        }
        let recorded = service.dynamodb.take_recorded_calls();
        let is_read = |name: &str| ["GetItem", "BatchGetItem", "Query"].contains(&name);
        let units = |reads: bool| -> f64 {
            recorded.iter().filter(|call| is_read(&call.name) == reads).map(|call| call.units).sum()
        };
        let line = last_line(user);
        let count = |name: &str| line.get(name).and_then(Value::as_f64).unwrap_or(0.0);
        assert_eq!(
            [count("DynamoDbCalls"), count("UmsCalls"), count("LinksHubCalls")],
            [
                service.dynamodb.take_calls().len() as f64,
                service.ums_proxy.take_calls().len() as f64,
                service.linkshub_proxy.take_calls().len() as f64,
            ],
            "{method} {path}"
        );
        assert_eq!([count("ReadUnits"), count("WriteUnits")], [units(true), units(false)], "{method} {path}");
        assert!(count("ReadUnits") + count("WriteUnits") > 0.0);
    }
}

#[tokio::test]
async fn a_failure_of_a_dependency_is_counted_in_the_line_of_its_request() {
    let user = 882_003;
    let (service, token) = service_with(user).await;
    let with_doctor = || {
        let body = json!({"procedure_type": "Crown", "doctor_id": "DOC001"});
        call(&service, &token, "POST", "/cases").json(body).send()
    };
    service.ums_proxy.rule(|_, _| Fault::Answer(500, "{}".into()));
    with_doctor().await.expect_problem(503, "service_unavailable");
    let line = last_line(user);
    let of_request = [("Requests", 1.0), ("ServerErrors", 1.0), ("ClientErrors", 0.0)];
    let failed = |more: &[(&str, f64)]| expected(&[&of_request[..], more].concat());
    // /me and the memberships, and the labs because the real UMS fails for memberships.
    assert_eq!(counts(&line), failed(&[("UmsCalls", 3.0), ("UmsFailures", 3.0)]));
    let errors: Vec<_> = emf::metrics(&line).into_iter().filter(|(name, ..)| name == "Errors").collect();
    assert_eq!(errors, [("Errors".to_owned(), json!([["stage", "code"]]), json!(1))]);
    assert_eq!((&line["code"], &line["level"]), (&json!("service_unavailable"), &json!("ERROR")));

    service.ums_proxy.heal();
    service.linkshub_proxy.rule(|_, _| Fault::Hang);
    with_doctor().await.expect_problem(503, "service_unavailable");
    let line = last_line(user);
    assert_eq!(
        counts(&line),
        failed(&[("UmsCalls", 2.0), ("LinksHubCalls", 2.0), ("LinksHubFailures", 2.0)])
    );
    assert!(line["LinksHubTime"].as_f64().unwrap() >= 3900.0, "two calls of 2 s each: {line}");

    with_doctor().await.expect_problem(503, "service_unavailable");
    with_doctor().await.expect_problem(503, "service_unavailable");
    assert_eq!(counts(&last_line(user)), failed(&[("CircuitOpen", 1.0)]));

    service.linkshub_proxy.heal();
    service.dynamodb.rule(|name, _| if name == "PutItem" { Fault::refused() } else { Fault::Pass });
    call(&service, &token, "GET", "/cases/1").send().await.expect_problem(503, "service_unavailable");
    let counted = counts(&last_line(user));
    assert_eq!((counted["AuditFailures"], counted["DynamoDbCalls"]), (1.0, 2.0));

    let throttled =
        r#"{"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException", "message": "slow down"}"#;
    service.dynamodb.rule(move |name, _| match name {
        "GetItem" => Fault::Answer(400, throttled.to_owned()),
        _ => Fault::Pass,
    });
    call(&service, &token, "GET", "/cases/1").send().await.expect_problem(503, "service_unavailable");
    let counted = counts(&last_line(user));
    assert!(counted["DynamoDbRetries"] >= 1.0, "{counted:?}");
    assert_eq!(counted["DynamoDbCalls"], counted["DynamoDbRetries"] + 2.0, "{counted:?}");
}

#[tokio::test]
async fn a_lost_race_is_counted_as_a_conflict() {
    let user = 882_004;
    let (service, token) = service_with(user).await;
    let lost = std::sync::atomic::AtomicBool::new(false);
    service.dynamodb.rule(move |name, _| {
        if name != "TransactWriteItems" || lost.swap(true, std::sync::atomic::Ordering::Relaxed) {
            return Fault::Pass;
        }
        let exception = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        let reasons = json!([{"Code": "ConditionalCheckFailed"}]);
        Fault::Answer(400, json!({"__type": exception, "CancellationReasons": reasons}).to_string())
    });
    call(&service, &token, "PUT", "/cases/1").json(json!({"notes": "Soft."})).send().await.expect(200);
    let counted = counts(&last_line(user));
    assert_eq!((counted["DynamoDbConflicts"], counted["DynamoDbCalls"]), (1.0, 4.0), "{counted:?}");
    assert!(!counted.contains_key("DynamoDbRetries"));
}

#[tokio::test]
async fn a_rejected_request_is_counted_by_its_code() {
    let user = 882_005;
    let (mut service, token) = service_with(user).await;
    call(&service, &token, "GET", "/cases/9").send().await.expect_problem(404, "case_not_found");
    let line = last_line(user);
    assert_eq!(
        (&line["code"], &line["ClientErrors"], &line["ServerErrors"]),
        (&json!("case_not_found"), &json!(1), &json!(0))
    );
    service.set("RATE_LIMIT_PER_USER", "1");
    call(&service, &token, "GET", "/cases/1").send().await.expect(200);
    call(&service, &token, "GET", "/cases/1").send().await.expect_problem(429, "too_many_requests");
    let line = last_line(user);
    assert_eq!((&line["code"], &line["RateLimited"]), (&json!("too_many_requests"), &json!(1)));
}

#[tokio::test]
async fn a_panic_is_counted_in_the_line_of_its_request() {
    leaks::watch();
    let common = Common::read(&mut Env::new(&|_: &str| None));
    let function = PublicFunction::new(common, async |_| -> http::Result { panic!("Jane Roe") });
    let mut request = http::Request::default();
    request.headers_mut().insert("x-request-id", "882006".parse().unwrap());
    Reply::of(function.call(request).await).expect_problem(500, "internal_error");
    let lines = leaks::lines_with("\"request.id\":\"882006\"");
    let [panic, line] = &lines[..] else { panic!("{lines:?}") };
    let (panic, line): (Value, Value) =
        (serde_json::from_str(panic).unwrap(), serde_json::from_str(line).unwrap());
    assert_eq!((&panic["message"], &panic["level"]), (&json!("panic"), &json!("ERROR")));
    assert!(panic["panic.at"].as_str().unwrap().starts_with(file!()) && panic.get("_aws").is_none());
    assert_eq!((&line["Panics"], &line["error.cause"]), (&json!(1), &json!("panic")));
    assert_eq!((&line["stage"], &line["operation"]), (&json!("prod"), &json!("fallback")));
}

#[tokio::test]
async fn a_panic_outside_of_a_request_is_counted_in_its_own_line() {
    leaks::watch();
    tokio::spawn(async { panic!("Jane Roe") }).await.unwrap_err();
    let lines = leaks::lines_with("\"Panics\":1");
    let lines = lines.iter().map(|line| serde_json::from_str::<Value>(line).unwrap());
    // Another test that fails may have such a line as well.
    let line =
        lines.into_iter().find(|line| line["panic.at"].as_str().is_some_and(|at| at.starts_with(file!())));
    let metrics = emf::metrics(&line.expect("a line of the panic"));
    assert_eq!(metrics, [("Panics".to_owned(), json!([["stage"]]), json!(1))]);
}

#[tokio::test]
async fn a_failure_of_the_archive_is_counted() {
    let service = Service::start_with_streams().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let count = || leaks::lines_with("\"ArchiveFailures\":1").len();
    let before = count();
    service.s3.rule(|_, _| Fault::Answer(403, "<Error><Code>AccessDenied</Code></Error>".into()));
    let (_, report) = service.process_next_batch().await.unwrap();
    assert_eq!(report.batch_item_failures.len(), 1);
    assert!(count() > before);
    let line: Value =
        serde_json::from_str(leaks::lines_with("\"ArchiveFailures\":1").last().unwrap()).unwrap();
    assert_eq!(
        emf::metrics(&line),
        [("ArchiveFailures".to_owned(), json!([["stage", "operation"]]), json!(1))]
    );
    assert_eq!(line["operation"], "processStreams");
}

#[tokio::test]
async fn the_clients_request_id_and_trace_reach_the_log_and_the_services_that_are_called() {
    let user = 882_007;
    let (service, token) = service_with(user).await;
    service.ums_proxy.take_headers();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let body = json!({"procedure_type": "Crown", "doctor_id": "DOC001"});
    let request = call(&service, &token, "POST", "/cases").json(body);
    let request = request.header("x-request-id", "client-id.1");
    let reply = request.header("traceparent", &format!("00-{trace}-00f067aa0ba902b7-01")).send().await;
    reply.expect(201);
    assert_eq!(reply.header("x-request-id"), Some("client-id.1"));
    let line = last_line(user);
    assert_eq!(
        (&line["request.id"], &line["request.gateway_id"], &line["trace.id"]),
        (&json!("client-id.1"), &json!("request-id-1"), &json!(trace))
    );
    let mut spans = Vec::new();
    for proxy in [&service.ums_proxy, &service.linkshub_proxy] {
        let headers = proxy.take_headers();
        assert_eq!(headers.len(), 2);
        for headers in headers {
            assert_eq!(headers["x-request-id"], "client-id.1");
            let traceparent = headers["traceparent"].to_str().unwrap().to_owned();
            assert!(
                traceparent.starts_with(&format!("00-{trace}-")) && traceparent.ends_with("-01"),
                "{traceparent}"
            );
            spans.push(traceparent);
        }
    }
    spans.sort();
    spans.dedup();
    assert_eq!(spans.len(), 4, "each call is a span of its own");
    for invalid in ["two words", "a=b", &"x".repeat(65)] {
        let reply = call(&service, &token, "GET", "/cases/1").header("x-request-id", invalid).send().await;
        assert_eq!(reply.header("x-request-id"), Some("request-id-1"), "{invalid}");
        assert!(last_line(user).get("request.gateway_id").is_none());
    }
}
