//! Many clients change a few cases at the same time while DynamoDB fails in many ways: no change is lost, no change happens
//! twice, and no client sees an internal error.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use futures_util::future::join_all;
use serde_json::json;

use crate::harness::{Reply, Service, proxy::Fault};

const CASES: usize = 10;
const CLIENTS: usize = 20;
/// The number of changes that each client makes.
const CHANGES: usize = 10;

/// A random fault for a call to DynamoDB; transactions have more kinds of faults.
fn fault(rng: &mut Rng, name: &str) -> Fault {
    let exception = |name: &str, more: &str| {
        format!(r#"{{"__type": "com.amazonaws.dynamodb.v20120810#{name}", "message": "no"{more}}}"#)
    };
    let conflict =
        r#", "CancellationReasons": [{"Code": "None"}, {"Code": "TransactionConflict", "Message": "busy"}]"#;
    match (rng.u8(0..100), name) {
        (0..4, _) => Fault::Answer(400, exception("ThrottlingException", "")),
        (4..8, _) => Fault::Answer(400, exception("ProvisionedThroughputExceededException", "")),
        (8..12, _) => Fault::Answer(500, exception("InternalServerError", "")),
        (12..20, _) => Fault::LoseAnswer,
        (20..35, "TransactWriteItems") => {
            Fault::Answer(400, exception("TransactionCanceledException", conflict))
        }
        _ => Fault::Pass,
    }
}

/// Sends a change until it is done. After a 409 or 503 the client does not know whether the change happened: it reads the
/// history, and sends the change again if it is not there.
async fn send_until_done<F: Future<Output = Reply>>(
    service: &Service,
    case: usize,
    mark: &str,
    retries: &AtomicUsize,
    send: impl Fn() -> F,
) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let reply = send().await;
        match reply.status {
            200 => {
                assert_eq!(reply.json()["notes"], mark);
                return;
            }
            409 => reply.expect_problem(409, "conflict"),
            _ => reply.expect_problem(503, "service_unavailable"),
        };
        retries.fetch_add(1, Ordering::Relaxed);
        assert!(Instant::now() < deadline, "{mark} does not succeed in time");
        if marks_of(service, case).await.contains_key(mark) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Sends a create with an idempotency key again and again until it succeeds.
async fn create_once(service: &Service, client: usize) {
    let deadline = Instant::now() + Duration::from_secs(120);
    loop {
        let call = service.as_user("admin", "POST", "/api/v1/cases");
        let call = call.header("idempotency-key", &format!("client-{client}"));
        let reply = call.json(json!({"procedure_type": "Inlay"})).send().await;
        match reply.status {
            201 => return,
            409 => reply.expect_problem(409, "conflict"),
            _ => reply.expect_problem(503, "service_unavailable"),
        };
        assert!(Instant::now() < deadline, "client {client} does not succeed in time");
    }
}

/// How often each mark was written into a case, counted in its events in the table.
async fn marks_of(service: &Service, case: usize) -> BTreeMap<String, usize> {
    let mut marks = BTreeMap::new();
    let (first, behind) = (format!("EVENT#{case:010}#"), format!("EVENT#{case:010}$"));
    for (_, event) in service.items(123).await.range(first..behind) {
        let changes = event["changes"].as_array().unwrap().iter();
        for mark in changes.filter(|change| change["field"] == "notes").filter_map(|c| c["to"].as_str()) {
            *marks.entry(mark.to_owned()).or_default() += 1;
        }
    }
    marks
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_simultaneous_changes_through_a_failing_database_each_happen_once() {
    let service = Service::start().await;
    for _ in 0..CASES {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
    let (calls, failed, failures) =
        (&AtomicUsize::new(0), &AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
    let (rng, counter) = (Mutex::new(Rng::with_seed(7)), failures.clone());
    service.dynamodb.rule(move |name, _| {
        let fault = fault(&mut rng.lock().unwrap(), name);
        counter.fetch_add(usize::from(fault != Fault::Pass), Ordering::Relaxed);
        fault
    });
    let clients = (0..CLIENTS).map(|client| {
        let service = &service;
        async move {
            create_once(service, client).await;
            for change in 0..CHANGES {
                let (case, mark) =
                    (1 + (client + change) % CASES, format!("client {client} change {change}"));
                let path = format!("/api/v1/cases/{case}");
                send_until_done(service, case, &mark, failed, || {
                    calls.fetch_add(1, Ordering::Relaxed);
                    service.as_user("admin", "PUT", &path).json(json!({"notes": mark})).send()
                })
                .await;
            }
        }
    });
    join_all(clients).await;
    service.dynamodb.heal();
    let count = |counter: &AtomicUsize| counter.load(Ordering::Relaxed);
    println!(
        "{} requests, {} of them sent again, {} failures",
        count(calls),
        count(failed),
        count(&failures)
    );
    assert!(count(&failures) > 100, "too few calls failed for this test to show anything");

    let expected: BTreeMap<String, usize> = (0..CLIENTS)
        .flat_map(|client| (0..CHANGES).map(move |change| (format!("client {client} change {change}"), 1)))
        .collect();
    let mut made = BTreeMap::new();
    for case in 1..=CASES {
        let marks = marks_of(&service, case).await;
        let read = service.as_user("admin", "GET", &format!("/api/v1/cases/{case}")).send().await.expect(200);
        assert_eq!(read["version"], 1 + marks.len(), "one version for each change");
        let path = format!("/api/v1/cases/{case}/history/verify");
        let verified = service.as_user("admin", "GET", &path).send().await.expect(200);
        assert_eq!((&verified["valid"], &verified["events"]), (&json!(true), &json!(1 + marks.len())));
        made.extend(marks);
    }
    assert_eq!(made, expected);
    let cases = CASES + CLIENTS;
    assert_eq!(service.statistics(123).await, [("pending".to_owned(), cases as i64)].into());
    let items = service.items(123).await;
    assert_eq!(items.keys().filter(|sk| sk.starts_with("CASE#")).count(), cases, "one case for each key");
    follow(&service).await;
}

/// Checks that the feed has every case once, in its newest state.
async fn follow(service: &Service) {
    let (mut followed, mut since) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/cases/changes?limit=100{since}");
        let page = service.as_user("viewer", "GET", &path).send().await.expect(200);
        let changes = page["changes"].as_array().unwrap().iter();
        followed.extend(changes.map(|change| (change["id"].as_u64(), change["version"].as_u64())));
        if page["has_more"] == false {
            break;
        }
        since = format!("&since={}", page["next_cursor"].as_str().unwrap());
    }
    followed.sort_unstable();
    let items = service.items(123).await;
    let cases = items.iter().filter(|(sk, _)| sk.starts_with("CASE#"));
    let kept: Vec<_> = cases.map(|(_, case)| (case["id"].as_u64(), case["version"].as_u64())).collect();
    assert_eq!(followed, kept);
}
