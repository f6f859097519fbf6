//! Writers that meet: few attempts are wasted, nobody waits long, and a request that cannot win says so.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Call, Fault, Service, webhooks::OWN_WEBHOOK};

/// As long as DynamoDB takes for a transaction of this size.
const TRANSACTION: Duration = Duration::from_millis(15);

fn transactions(service: &Service) -> usize {
    service.dynamodb.take_calls().iter().filter(|call| *call == "TransactWriteItems").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_creates_a_second_in_one_lab_need_few_attempts() {
    const CREATES: usize = 400;
    let service = Service::start_patient().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.dynamodb.lock_items_for(TRANSACTION);
    service.dynamodb.take_calls();
    let start = Instant::now();
    let creations = (0..CREATES).map(|_| {
        // They come at random, as from many clients: forty a second in the mean.
        let at = Duration::from_secs_f64(fastrand::f64() * CREATES as f64 / 40.0);
        let service = &service;
        async move {
            tokio::time::sleep_until((start + at).into()).await;
            service.create("admin", json!({"procedure_type": "Crown"})).await
        }
    });
    join_all(creations).await;
    let attempts = transactions(&service) as f64 / CREATES as f64;
    println!("{attempts:.3} attempts per commit at forty creates a second");
    // A slow machine makes each attempt longer, and so meetings more likely; on an idle one it is below 1.1.
    assert!(attempts <= 1.3, "{attempts} attempts per commit");
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_writers_of_one_case_all_succeed() {
    const WRITERS: usize = 20;
    let service = Service::start_patient().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.dynamodb.lock_items_for(TRANSACTION);
    service.dynamodb.take_calls();
    let longest = AtomicUsize::new(0);
    let writers = (0..WRITERS).map(|writer| {
        let (service, longest) = (&service, &longest);
        async move {
            let start = Instant::now();
            let body = json!({"notes": format!("writer {writer}")});
            service.as_user("admin", "PUT", "/api/v1/cases/1").json(body).send().await.expect(200);
            longest.fetch_max(start.elapsed().as_millis() as usize, Ordering::Relaxed);
        }
    });
    join_all(writers).await;
    println!(
        "the longest of {WRITERS} writers waited {longest:?} ms for {} transactions",
        transactions(&service)
    );
    let history =
        service.as_user("admin", "GET", "/api/v1/cases/1/history?limit=100").send().await.expect(200);
    let mut notes: Vec<&str> = history["events"].as_array().unwrap()[1..]
        .iter()
        .map(|event| event["changes"][0]["to"].as_str().unwrap())
        .collect();
    notes.sort_unstable();
    let mut expected: Vec<String> = (0..WRITERS).map(|writer| format!("writer {writer}")).collect();
    expected.sort_unstable();
    assert_eq!(notes, expected, "each update is an event of its own");
}

#[tokio::test]
async fn a_write_that_never_wins_gets_409_with_retry_after_on_every_route() {
    let tune = |config: &mut shared::config::Config| config.retry_budget = Duration::from_millis(50);
    let service = Service::start_tuned(&[], tune).await;
    for _ in 0..3 {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
    service.as_user("admin", "DELETE", "/api/v1/cases/3").send().await.expect(204);
    service.put_webhooks_of_both_labs().await;
    let webhook = format!("/api/v1/webhooks/{OWN_WEBHOOK}");
    let before = service.items(123).await;
    for reason in ["TransactionConflict", "ConditionalCheckFailed"] {
        service.dynamodb.rule(move |name, _| match name {
            "TransactWriteItems" => cancelled(reason),
            _ => Fault::Pass,
        });
        let call = |method: &str, path: &str, body: Value| -> Call<'_> {
            let call = service.as_user("admin", method, path).header("idempotency-key", "key");
            if body.is_null() { call } else { call.json(body) }
        };
        for call in [
            call("POST", "/api/v1/cases", json!({"procedure_type": "Crown"})),
            call("PUT", "/api/v1/cases/1", json!({"notes": "new"})),
            service
                .as_user("admin", "PATCH", "/api/v1/cases/1")
                .header("content-type", "application/merge-patch+json")
                .bytes(r#"{"notes": "new"}"#),
            call("PATCH", "/api/v1/cases/1/status", json!({"status": "in_progress"})),
            call("POST", "/api/v1/cases/1/remakes", json!({"reason_code": "fit", "reason": "too tight"})),
            call("POST", "/api/v1/cases/1/comments", json!({"text": "too tight"})),
            call("POST", "/api/v1/cases/3/restore", Value::Null),
            call("POST", "/api/v1/cases/bulk-status", json!({"ids": [1, 2], "status": "in_progress"})),
            call("DELETE", "/api/v1/cases/1", Value::Null),
            call("POST", "/api/v1/webhooks", json!({"url": "https://example.com/hook"})),
            call("PUT", &webhook, json!({"description": "new"})),
            call("POST", &format!("{webhook}/rotate-secret"), Value::Null),
            call("DELETE", &webhook, Value::Null),
        ] {
            let reply = call.send().await;
            reply.expect_problem(409, "conflict");
            assert_eq!(reply.header("retry-after"), Some("2"));
        }
    }
    service.dynamodb.heal();
    let mut after = service.items(123).await;
    // Ids that were handed out stay unused.
    after.insert("COUNTER".to_owned(), before["COUNTER"].clone());
    assert_eq!(after, before, "nothing was written");
}

fn cancelled(reason: &str) -> Fault {
    let exception = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
    let body = json!({"__type": exception, "CancellationReasons": [{"Code": reason}]});
    Fault::Answer(400, body.to_string())
}
