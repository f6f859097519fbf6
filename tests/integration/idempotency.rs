//! Idempotency keys: a repeated request has one effect and gets the stored response.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{Reply, Service, proxy::Fault};

async fn create(service: &Service, user: &str, key: &str, body: Value) -> Reply {
    service.as_user(user, "POST", "/api/v1/cases").header("idempotency-key", key).json(body).send().await
}

async fn cases(service: &Service, lab: i64) -> usize {
    service.items(lab).await.keys().filter(|key| key.starts_with("CASE#")).count()
}

#[tokio::test]
async fn the_same_request_with_the_same_key_gets_the_stored_response() {
    let service = Service::start().await;
    let body = json!({"procedure_type": "Crown", "patient_name": "Jane Roe", "rush_order": true});
    let first = create(&service, "admin", "key-1", body).await;
    let case = first.expect(201);
    assert_eq!(first.header("idempotency-replayed"), None);
    service
        .as_user("admin", "PUT", "/api/v1/cases/1")
        .json(json!({"notes": "changed since"}))
        .send()
        .await
        .expect(200);
    let reordered = json!({"rush_order": true, "patient_name": "Jane Roe", "procedure_type": "Crown"});
    let again = create(&service, "admin", "key-1", reordered).await;
    assert_eq!(again.expect(201), case);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    for name in ["location", "etag", "content-type", "cache-control"] {
        assert_eq!(again.header(name), first.header(name), "{name}");
    }
    assert_eq!(cases(&service, 123).await, 1);
    assert_eq!(service.statistics(123).await, [("pending".to_owned(), 1)].into());
}

#[tokio::test]
async fn the_same_key_with_another_body_is_rejected() {
    let service = Service::start().await;
    create(&service, "admin", "key-1", json!({"procedure_type": "Crown"})).await.expect(201);
    let other = create(&service, "admin", "key-1", json!({"procedure_type": "Bridge"})).await;
    other.expect_problem(409, "idempotency_key_reused");
    assert_eq!(cases(&service, 123).await, 1);
}

#[tokio::test]
async fn keys_are_per_lab_and_user() {
    let service = Service::start().await;
    let body = json!({"procedure_type": "Crown"});
    for user in ["admin", "member", "northgate"] {
        let reply = create(&service, user, "key-1", body.clone()).await;
        assert_eq!((reply.status, reply.header("idempotency-replayed")), (201, None), "{user}");
    }
    for lab in [123, 456] {
        let call =
            service.as_user("both", "POST", "/api/v1/cases").lab(lab).header("idempotency-key", "key-1");
        assert_eq!(call.json(body.clone()).send().await.header("idempotency-replayed"), None);
    }
    assert_eq!((cases(&service, 123).await, cases(&service, 456).await), (3, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_requests_with_the_same_key_create_one_case() {
    let service = Service::start_patient().await;
    let body = json!({"procedure_type": "Crown"});
    let replies = join_all((0..16).map(|_| create(&service, "admin", "key-1", body.clone()))).await;
    let ids: BTreeSet<u64> = replies.iter().map(|reply| reply.expect(201)["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), 1);
    assert_eq!(cases(&service, 123).await, 1);
    let first = replies.iter().filter(|reply| reply.header("idempotency-replayed").is_none()).count();
    assert_eq!(first, 1);
}

#[tokio::test]
async fn a_request_whose_response_was_lost_can_be_sent_again() {
    let service = Service::start().await;
    static WRITES: AtomicU32 = AtomicU32::new(0);
    // The write succeeds, but the service never sees a response: the proxy loses all of them.
    service.dynamodb.rule(|name, _| match name {
        "TransactWriteItems" if WRITES.fetch_add(1, Ordering::Relaxed) == 0 => Fault::LoseAnswer,
        "TransactWriteItems" => Fault::Answer(500, "{}".into()),
        _ => Fault::Pass,
    });
    let body = json!({"procedure_type": "Crown"});
    create(&service, "admin", "key-1", body.clone()).await.expect_problem(503, "service_unavailable");
    service.dynamodb.heal();
    let again = create(&service, "admin", "key-1", body).await;
    assert_eq!(
        (again.expect(201)["id"].clone(), again.header("idempotency-replayed")),
        (json!(1), Some("true"))
    );
    assert_eq!(cases(&service, 123).await, 1);
}

#[tokio::test]
async fn a_rejected_request_can_be_corrected_under_the_same_key() {
    let service = Service::start().await;
    create(&service, "admin", "key-1", json!({"procedure_type": "Crwn"}))
        .await
        .expect_problem(422, "validation_failed");
    create(&service, "admin", "key-1", json!({"procedure_type": "Crown"})).await.expect(201);
}

#[tokio::test]
async fn a_request_that_changed_nothing_changes_nothing_when_repeated() {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let restore = || {
        let call = service.as_user("admin", "POST", "/api/v1/cases/1/restore");
        call.header("idempotency-key", "restore").send()
    };
    let first = restore().await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    let again = restore().await;
    assert_eq!((again.expect(200), again.header("idempotency-replayed")), (first.expect(200), Some("true")));
    service.as_user("admin", "GET", "/api/v1/cases/1").send().await.expect_problem(404, "case_not_found");

    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let bulk = || {
        let call =
            service.as_user("admin", "POST", "/api/v1/cases/bulk-status").header("idempotency-key", "bulk");
        call.json(json!({"ids": [2], "status": "pending"})).send()
    };
    let first = bulk().await.expect(200);
    let patch = service.as_user("admin", "PATCH", "/api/v1/cases/2/status");
    patch.json(json!({"status": "on_hold", "reason": "waits"})).send().await.expect(200);
    assert_eq!(bulk().await.expect(200), first);
    let now = service.as_user("admin", "GET", "/api/v1/cases/2").send().await.expect(200);
    assert_eq!(now["status"], "on_hold");
}

#[tokio::test]
async fn an_invalid_key_is_rejected() {
    let service = Service::start().await;
    for key in ["", "two words", &"x".repeat(256)] {
        let reply = create(&service, "admin", key, json!({"procedure_type": "Crown"})).await;
        reply.expect_problem(400, "invalid_parameter");
        assert_eq!(reply.pointers(), ["/header/Idempotency-Key"]);
    }
    assert_eq!(service.items(123).await.len(), 0);
}
