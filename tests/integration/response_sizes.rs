//! Responses stay below Lambda's limit, however large the cases are: a response has fewer cases and a cursor.

use std::collections::BTreeSet;

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::harness::{Reply, Service};

const CASES: usize = 70;
/// Lambda's limit for a response, which contains the body as a JSON string.
const MOST: usize = 6 << 20;

/// Cases so large that a hundred of them exceed the limit.
async fn with_large_cases() -> Service {
    let service = Service::start_patient().await;
    // A quote takes four bytes in the end, because it is escaped twice: as JSON, and as a JSON string in Lambda's response.
    let quotes = |count| "\"".repeat(count);
    let case = json!({"procedure_type": "Crown", "notes": quotes(4000), "special_instructions": quotes(4000),
        "description": quotes(2000), "patient_info": {"medical_history": quotes(4000)}});
    let create = |_| service.create("admin", case.clone());
    stream::iter(0..CASES).map(create).buffer_unordered(8).for_each(|_| async {}).await;
    service
}

/// The body of a success, which must fit into Lambda's limit.
fn body(reply: &Reply) -> Value {
    let handed_over = serde_json::to_string(std::str::from_utf8(&reply.bytes).unwrap()).unwrap();
    assert!(handed_over.len() < MOST, "{} bytes", handed_over.len());
    reply.expect(200)
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_feeds_and_bulk_updates_of_large_cases_fit_into_responses_and_lose_no_case() {
    let service = with_large_cases().await;
    for list in ["", "&sort=due_date", "&priority=medium"] {
        let (mut seen, mut pages, mut cursor) = (BTreeSet::new(), 0, String::new());
        loop {
            let path = format!("/api/v1/cases?limit=100{list}{cursor}");
            let page = body(&service.as_user("viewer", "GET", &path).send().await);
            for case in page["cases"].as_array().unwrap() {
                assert!(seen.insert(case["id"].as_u64().unwrap()));
            }
            pages += 1;
            match page["pagination"]["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        assert_eq!(seen, (1..=CASES as u64).collect(), "{list}");
        assert!(pages > 1, "{list}");
    }
    // Pages by number have a fixed size, so a page that is too large is rejected.
    let reply = service.as_user("viewer", "GET", "/api/v1/cases?page=1&per_page=100").send().await;
    reply.expect_problem(400, "invalid_parameter");
    assert_eq!(reply.pointers(), ["/query/per_page"]);
    body(&service.as_user("viewer", "GET", "/api/v1/cases?page=2&per_page=20").send().await);

    let (mut seen, mut since) = (BTreeSet::new(), String::new());
    loop {
        let path = format!("/api/v1/cases/changes?limit=100{since}");
        let page = body(&service.as_user("viewer", "GET", &path).send().await);
        seen.extend(page["changes"].as_array().unwrap().iter().map(|change| change["id"].as_u64().unwrap()));
        if page["has_more"] == false {
            break;
        }
        since = format!("&since={}", page["next_cursor"].as_str().unwrap());
    }
    assert_eq!(seen, (1..=CASES as u64).collect());

    let ids: Vec<usize> = (1..=CASES).collect();
    let bulk = json!({"ids": ids, "status": "in_progress"});
    let reply = service.as_user("admin", "POST", "/api/v1/cases/bulk-status").json(bulk).send().await;
    let results = body(&reply)["results"].take();
    let results = results.as_array().unwrap();
    assert!(results.iter().all(|result| result["status"] == 200));
    let shown = results.iter().filter(|result| !result["case"].is_null()).count();
    assert!(0 < shown && shown < CASES, "{shown}");
}
