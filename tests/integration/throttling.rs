//! DynamoDB throttles the reads of cases: each answer comes within the time of the request, with the cases that were read.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Reply, Service, proxy::Fault, service::TABLE};

const CASES: u64 = 6;

async fn with_cases() -> Service {
    let service = Service::start_tuned(&[("LINKSHUB_BASE_URL", "")], |config| {
        config.retry_budget = Duration::from_millis(300);
    })
    .await;
    for _ in 0..CASES {
        service.create("admin", json!({"procedure_type": "Crown", "doctor_id": "doctor_7"})).await;
    }
    service
}

/// From now on, BatchGetItem returns at most the cases with these ids and leaves all other keys unprocessed.
async fn throttle(service: &Service, ids: &[u64]) {
    let mut items = Vec::new();
    for id in ids {
        items.push(service.typed_item(123, &format!("CASE#{id:010}")).await);
    }
    service.dynamodb.rule(move |name, body| {
        if name != "BatchGetItem" {
            return Fault::Pass;
        }
        let request: Value = serde_json::from_slice(body).unwrap();
        let keys = request["RequestItems"][TABLE]["Keys"].as_array().unwrap();
        let is_asked = |item: &&Value| keys.iter().any(|key| key["sk"] == item["sk"]);
        let found: Vec<&Value> = items.iter().filter(is_asked).collect();
        let left: Vec<&Value> =
            keys.iter().filter(|key| found.iter().all(|item| item["sk"] != key["sk"])).collect();
        let unprocessed = if left.is_empty() { json!({}) } else { json!({TABLE: {"Keys": left}}) };
        let answer = json!({"Responses": {TABLE: found}, "UnprocessedKeys": unprocessed});
        Fault::Answer(200, answer.to_string())
    });
}

fn ids(page: &Value) -> Vec<u64> {
    page["cases"].as_array().unwrap().iter().map(|case| case["id"].as_u64().unwrap()).collect()
}

async fn get(service: &Service, path: &str) -> Reply {
    let started = Instant::now();
    let reply = service.as_user("admin", "GET", path).send().await;
    assert!(started.elapsed() < Duration::from_secs(3), "{path}: {:?}", started.elapsed());
    reply
}

#[tokio::test]
async fn a_list_under_throttling_ends_in_time_with_the_cases_that_it_has_and_a_cursor() {
    let service = with_cases().await;
    for (query, order) in [
        ("doctor_id=doctor_7", [6, 5, 4, 3, 2, 1]),
        ("doctor_id=doctor_7&sort=due_date", [1, 2, 3, 4, 5, 6]),
        ("status=pending&order=asc", [1, 2, 3, 4, 5, 6]),
    ] {
        throttle(&service, &order[..2]).await;
        let page = get(&service, &format!("/api/v1/cases?{query}")).await.expect(200);
        assert_eq!((ids(&page), &page["pagination"]["has_next"]), (order[..2].to_vec(), &json!(true)));
        let cursor = page["pagination"]["next_cursor"].as_str().unwrap();
        let next = format!("/api/v1/cases?{query}&cursor={cursor}");
        // Nothing more can be read: the cursor stays valid for a later request.
        let reply = get(&service, &next).await;
        reply.expect_problem(503, "service_unavailable");
        assert!(reply.header("retry-after").is_some());
        service.dynamodb.heal();
        let page = get(&service, &next).await.expect(200);
        assert_eq!((ids(&page), &page["pagination"]["has_next"]), (order[2..].to_vec(), &json!(false)));
    }
}

#[tokio::test]
async fn an_export_under_throttling_has_the_cases_that_it_read_and_a_cursor() {
    let service = with_cases().await;
    throttle(&service, &[6, 5, 4]).await;
    let path = "/api/v1/cases/export?format=ndjson&doctor_id=doctor_7";
    let reply = get(&service, path).await;
    let exported = |reply: &Reply| -> Vec<u64> {
        let text = String::from_utf8(reply.bytes.clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|case| case["id"].as_u64().unwrap()).collect()
    };
    assert_eq!((reply.status, exported(&reply)), (200, vec![6, 5, 4]));
    let cursor = reply.header("x-next-cursor").unwrap().to_owned();
    service.dynamodb.heal();
    let reply = get(&service, &format!("{path}&cursor={cursor}")).await;
    assert_eq!((exported(&reply), reply.header("x-next-cursor")), (vec![3, 2, 1], None));
}

#[tokio::test]
async fn a_feed_under_throttling_stops_before_the_case_that_it_could_not_read() {
    let service = with_cases().await;
    throttle(&service, &[1, 2, 3]).await;
    let reply = get(&service, "/api/v1/cases/changes").await;
    let page = reply.expect(200);
    let seen = |page: &Value| -> Vec<u64> {
        page["changes"].as_array().unwrap().iter().map(|change| change["id"].as_u64().unwrap()).collect()
    };
    assert_eq!((seen(&page), &page["has_more"]), (vec![1, 2, 3], &json!(true)));
    assert_eq!(reply.header("retry-after"), Some("1"));
    service.dynamodb.heal();
    let next = page["next_cursor"].as_str().unwrap();
    let reply = get(&service, &format!("/api/v1/cases/changes?since={next}")).await;
    let page = reply.expect(200);
    assert_eq!((seen(&page), &page["has_more"]), (vec![4, 5, 6], &json!(false)));
    assert_eq!(reply.header("retry-after"), None);
}
