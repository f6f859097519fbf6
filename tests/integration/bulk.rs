//! Bulk updates of the status: one result for each case; no case is left out or changed twice.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::harness::{Reply, Service, proxy::Fault};

const PATH: &str = "/api/v1/cases/bulk-status";

async fn with_cases(count: usize) -> Service {
    let service = Service::start_patient().await;
    for _ in 0..count {
        service.create("admin", json!({"procedure_type": "Crown", "status": "in_progress"})).await;
    }
    service
}

async fn send(service: &Service, key: Option<&str>, body: Value) -> Reply {
    let mut call = service.as_user("technician", "POST", PATH);
    if let Some(key) = key {
        call = call.header("idempotency-key", key);
    }
    call.json(body).send().await
}

fn results(body: &Value) -> Vec<(u64, u64)> {
    let results = body["results"].as_array().unwrap().iter();
    results.map(|result| (result["id"].as_u64().unwrap(), result["status"].as_u64().unwrap())).collect()
}

#[tokio::test]
async fn each_case_has_its_own_result_in_the_order_of_the_request() {
    let service = with_cases(3).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/2").send().await.expect(204);
    let put = json!({"status": "cancelled", "reason": "ordered twice"});
    service.as_user("admin", "PUT", "/api/v1/cases/3").json(put).send().await.expect(200);
    let reply = send(&service, None, json!({"ids": [3, 1, 2, 99], "status": "completed"})).await;
    let body = reply.expect(200);
    assert_eq!(results(&body), [(3, 409), (1, 200), (2, 404), (99, 404)]);
    assert_eq!((&body["succeeded"], &body["failed"]), (&json!(1), &json!(3)));
    assert_eq!(body["results"][0]["problem"]["code"], "illegal_transition");
    assert_eq!(body["results"][0]["problem"]["allowed_transitions"], json!([]));
    assert_eq!(body["results"][0]["case"], Value::Null);
    let moved = service.as_user("viewer", "GET", "/api/v1/cases/1").send().await.expect(200);
    assert_eq!((&body["results"][1]["case"], &body["results"][1]["problem"]), (&moved, &Value::Null));
    assert_eq!((&moved["status"], &moved["version"]), (&json!("completed"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bulk_update_of_a_hundred_cases_changes_all_of_them() {
    let service = with_cases(100).await;
    let ids: Vec<u64> = (1..=100).collect();
    let body =
        send(&service, None, json!({"ids": ids, "status": "on_hold", "reason": "Closed"})).await.expect(200);
    assert_eq!(results(&body), ids.iter().map(|id| (*id, 200)).collect::<Vec<_>>());
    assert_eq!(service.statistics(123).await, [("on_hold".to_owned(), 100)].into());
    let items = service.items(123).await;
    assert!(ids.iter().all(|id| items[&format!("EVENT#{id:010}#000002")]["reason"] == "Closed"));
}

#[tokio::test]
async fn without_an_audit_record_a_bulk_update_changes_nothing() {
    let service = with_cases(1).await;
    service.dynamodb.rule(|name, _| match name {
        "PutItem" => Fault::refused(),
        _ => Fault::Pass,
    });
    let reply = send(&service, None, json!({"ids": [1], "status": "completed"})).await;
    reply.expect_problem(503, "service_unavailable");
    service.dynamodb.heal();
    let case = service.as_user("viewer", "GET", "/api/v1/cases/1").send().await.expect(200);
    assert_eq!((&case["status"], &case["version"]), (&json!("in_progress"), &json!(1)));
}

#[tokio::test]
async fn an_invalid_bulk_update_changes_nothing() {
    let service = with_cases(1).await;
    for (body, pointers) in [
        (json!({"ids": [], "status": "completed"}), &["/ids"][..]),
        (json!({"ids": [1, 1], "status": "completed"}), &["/ids"]),
        (json!({"ids": (1..=101).collect::<Vec<u64>>(), "status": "completed"}), &["/ids"]),
        (json!({"ids": [0], "status": "completed"}), &["/ids"]),
        (json!({"ids": ["1"], "status": "done"}), &["/ids", "/status"]),
        (json!({"status": "completed", "note": "x"}), &["/ids", "/note"]),
    ] {
        let reply = send(&service, None, body).await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), pointers);
    }
    let reply = service.as_user("viewer", "POST", PATH).json(json!({"ids": [1], "status": "completed"}));
    reply.send().await.expect_problem(403, "forbidden");
    assert_eq!(service.statistics(123).await, [("in_progress".to_owned(), 1)].into());
}

#[tokio::test]
async fn a_repeated_bulk_update_finishes_the_rest_and_repeats_nothing() {
    let service = with_cases(3).await;
    let body = json!({"ids": [1, 2, 3], "status": "completed"});
    // The response is stored and one case is changed; then the database fails.
    static WRITES: AtomicU32 = AtomicU32::new(0);
    service.dynamodb.rule(|name, _| match name {
        "TransactWriteItems" if WRITES.fetch_add(1, Ordering::Relaxed) >= 2 => Fault::refused(),
        _ => Fault::Pass,
    });
    let first = send(&service, Some("key-1"), body.clone()).await.expect(200);
    assert_eq!((&first["succeeded"], &first["failed"]), (&json!(1), &json!(2)));
    service.dynamodb.heal();
    // Another user changes that case, so that a second change would be visible.
    let done = results(&first).into_iter().find(|(_, status)| *status == 200).unwrap().0;
    let patch = service.as_user("admin", "PATCH", &format!("/api/v1/cases/{done}/status"));
    patch.json(json!({"status": "in_progress"})).send().await.expect(200);
    let again = send(&service, Some("key-1"), body.clone()).await.expect(200);
    assert_eq!(results(&again), [(1, 200), (2, 200), (3, 200)]);
    let case = |body: &Value| {
        body["results"].as_array().unwrap().iter().find(|r| r["id"] == done).unwrap()["case"].clone()
    };
    assert_eq!(case(&first), case(&again), "the first answer again");
    let now = service.as_user("viewer", "GET", &format!("/api/v1/cases/{done}")).send().await.expect(200);
    assert_eq!((&now["status"], &now["version"]), (&json!("in_progress"), &json!(3)));
    let other = json!({"ids": [1, 2], "status": "completed"});
    send(&service, Some("key-1"), other).await.expect_problem(409, "idempotency_key_reused");
}
