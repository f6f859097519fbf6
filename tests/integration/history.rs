//! The history of a case: every change in order, in a chain of hashes that shows tampering.

use serde_json::{Value, json};

use crate::harness::Service;

/// A case with six versions: created, three updates, a status change, and deleted if `deleted` is set.
async fn with_history(deleted: bool) -> Service {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    for notes in ["first", "second", "third"] {
        let put = service.as_user("member", "PUT", "/api/v1/cases/1").json(json!({"notes": notes}));
        put.send().await.expect(200);
    }
    let patch = json!({"status": "on_hold", "reason": "No impression"});
    service.as_user("technician", "PATCH", "/api/v1/cases/1/status").json(patch).send().await.expect(200);
    if deleted {
        service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    }
    service
}

async fn history(service: &Service, query: &str) -> Value {
    let path = format!("/api/v1/cases/1/history{query}");
    let reply = service.as_user("admin", "GET", &path).send().await;
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    reply.expect(200)
}

#[tokio::test]
async fn the_history_lists_every_change_in_order_with_user_time_and_reason() {
    let service = with_history(false).await;
    let page = history(&service, "").await;
    assert_eq!((&page["case_id"], &page["pagination"]["has_next"]), (&json!(1), &json!(false)));
    let events = page["events"].as_array().unwrap();
    let found: Vec<(u64, &str, &str)> = events
        .iter()
        .map(|event| {
            (
                event["version"].as_u64().unwrap(),
                event["action"].as_str().unwrap(),
                event["user_id"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (1, "created", "1"),
            (2, "updated", "3"),
            (3, "updated", "3"),
            (4, "updated", "3"),
            (5, "status_changed", "2")
        ]
    );
    assert_eq!(events[2]["changes"], json!([{"field": "notes", "from": "first", "to": "second"}]));
    assert_eq!(events[4]["changes"], json!([{"field": "status", "from": "pending", "to": "on_hold"}]));
    assert_eq!((&events[4]["reason"], &events[3]["reason"]), (&json!("No impression"), &Value::Null));
    assert_eq!(events[0]["previous_hash"], Value::Null);
    for pair in events.windows(2) {
        assert_eq!(pair[1]["previous_hash"], pair[0]["hash"]);
        assert!(pair[0]["at"].as_str() <= pair[1]["at"].as_str());
    }
}

#[tokio::test]
async fn a_long_history_is_read_page_by_page() {
    let service = with_history(false).await;
    let mut versions = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let page = history(&service, &query).await;
        versions.extend(
            page["events"].as_array().unwrap().iter().map(|event| event["version"].as_u64().unwrap()),
        );
        match page["pagination"]["next_cursor"].as_str() {
            Some(cursor) => query = format!("?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(versions, [1, 2, 3, 4, 5]);
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let cursor = query.split_once("cursor=").unwrap().1;
    for path in [format!("/api/v1/cases/2/history?cursor={cursor}"), format!("/api/v1/cases?cursor={cursor}")]
    {
        service.as_user("viewer", "GET", &path).send().await.expect_problem(400, "invalid_cursor");
    }
}

async fn verification(service: &Service) -> Value {
    service.as_user("admin", "GET", "/api/v1/cases/1/history/verify").send().await.expect(200)
}

#[tokio::test]
async fn an_unchanged_history_is_valid_even_after_the_case_was_deleted() {
    for (deleted, events) in [(false, 5), (true, 6)] {
        let service = with_history(deleted).await;
        let expected = json!({
            "case_id": 1, "valid": true, "events": events, "unsealed_to": null, "broken_at": null, "fault_code": null,
            "fault": null,
        });
        assert_eq!(verification(&service).await, expected);
        let page = history(&service, "").await;
        assert_eq!(page["events"].as_array().unwrap().len(), events);
    }
}

#[tokio::test]
async fn the_history_of_a_deleted_case_needs_the_restore_permission() {
    let service = with_history(true).await;
    for user in ["viewer", "member"] {
        for path in ["/api/v1/cases/1/history", "/api/v1/cases/1/history/verify"] {
            let reply = service.as_user(user, "GET", path).send().await;
            reply.expect_problem(404, "case_not_found");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_valid_while_the_case_changes() {
    let service = with_history(false).await;
    let change = async {
        for number in 0..40 {
            let notes = json!({"notes": format!("note {number}")});
            service.as_user("admin", "PUT", "/api/v1/cases/1").json(notes).send().await.expect(200);
        }
    };
    let verify = async {
        for _ in 0..40 {
            let found = verification(&service).await;
            assert_eq!(found["valid"], true, "{found}");
        }
    };
    tokio::join!(change, verify);
}

#[tokio::test]
async fn verification_finds_the_place_of_a_changed_or_missing_event() {
    let service = with_history(false).await;
    service.change_event(123, 1, 3, json!({"user_id": "999"})).await;
    let found = verification(&service).await;
    assert_eq!((&found["valid"], &found["broken_at"]), (&json!(false), &json!(3)));
    let service = with_history(false).await;
    service.delete_event(123, 1, 5).await;
    let found = verification(&service).await;
    assert_eq!((&found["valid"], &found["broken_at"]), (&json!(false), &json!(5)));
    let service = with_history(false).await;
    service.delete_event(123, 1, 2).await;
    assert_eq!(verification(&service).await["broken_at"], 2);
}

#[tokio::test]
async fn the_history_of_another_labs_case_is_not_found() {
    let service = with_history(false).await;
    for path in ["/api/v1/cases/1/history", "/api/v1/cases/1/history/verify"] {
        service.as_user("northgate", "GET", path).send().await.expect_problem(404, "case_not_found");
        service.as_user("northgate", "GET", path).lab(123).send().await.expect_problem(403, "lab_forbidden");
    }
}
