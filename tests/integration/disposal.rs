//! The end of life: when DynamoDB has removed a deleted case, the patient data in its history is erased.

use serde_json::{Value, json};

use crate::harness::{Fault, Service, leaks};

/// A deleted case with `updates` + 2 events, at the end of its retention.
async fn with_deleted_case(updates: usize) -> Service {
    let service = Service::start_with_streams_tuned(|config| config.retention_days = 0).await;
    service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    for number in 0..updates {
        let notes = json!({"notes": format!("Note {number}")});
        service.as_user("admin", "PUT", "/api/v1/cases/1").json(notes).send().await.expect(200);
    }
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    service
}

/// The same after DynamoDB has removed the case.
async fn with_expired_case(updates: usize) -> Service {
    let service = with_deleted_case(updates).await;
    assert_eq!(service.expire_items().await, 1);
    service
}

fn events(items: &std::collections::BTreeMap<String, Value>) -> Vec<&Value> {
    items.iter().filter(|(sk, _)| sk.starts_with("EVENT#")).map(|(_, event)| event).collect()
}

async fn expect_disposed(service: &Service) {
    for user in ["admin", "viewer"] {
        for path in ["/api/v1/cases/1/history", "/api/v1/cases/1/history/verify"] {
            service.as_user(user, "GET", path).send().await.expect_problem(410, "case_disposed");
        }
    }
}

#[tokio::test]
async fn the_history_of_an_expired_case_loses_its_patient_data_and_a_tombstone_stays() {
    let service = with_deleted_case(1).await;
    let before = service.items(123).await;
    assert_eq!(service.expire_items().await, 1);
    service.process_streams().await;

    let after = service.items(123).await;
    for (event, before) in events(&after).into_iter().zip(events(&before)) {
        let mut expected = before.clone();
        expected.as_object_mut().unwrap().retain(|name, _| name != "changes" && name != "reason");
        expected["erased_at"] = event["erased_at"].clone();
        assert_eq!(*event, expected);
    }
    assert_eq!(events(&after).len(), 3);
    let deleted = &before["DELETED#0000000001"];
    let tombstone = &after["TOMBSTONE#0000000001"];
    let expected = json!({
        "lab_id": "123", "sk": "TOMBSTONE#0000000001", "case_id": 1, "versions": 3, "last_hash": deleted["last_event_hash"],
        "created_at": deleted["created_at"], "deleted_at": deleted["deleted_at"], "deleted_by": "1",
        "removed_at": tombstone["removed_at"],
    });
    assert_eq!(*tombstone, expected);
    for (sk, item) in &after {
        assert!(!item.to_string().contains("Jane Roe") && !item.to_string().contains("Note 0"), "{sk}");
    }
    expect_disposed(&service).await;

    // The erasures are on the streams too, and are archived as such.
    service.process_streams().await;
    let archived = service.archive().into_values().flatten();
    let changes = archived.filter(|line| line["item"] == "event").map(|line| line["change"].clone());
    let (erased, added): (Vec<Value>, Vec<Value>) = changes.partition(|change| change == "erased");
    assert_eq!((erased.len(), added), (3, vec![json!("added"); 3]));
}

#[tokio::test]
async fn the_history_answers_410_from_the_end_of_the_retention_on() {
    let service = with_deleted_case(0).await;
    // Expired, but not removed.
    expect_disposed(&service).await;
    assert_eq!(service.expire_items().await, 1);
    service.process_streams().await;
    expect_disposed(&service).await;
    // A case that never existed is not found, and other routes do not know the case any more.
    for path in ["/api/v1/cases/1", "/api/v1/cases/7/history", "/api/v1/cases/7/history/verify"] {
        service.as_user("admin", "GET", path).send().await.expect_problem(404, "case_not_found");
    }
    service
        .as_user("northgate", "GET", "/api/v1/cases/1/history")
        .send()
        .await
        .expect_problem(404, "case_not_found");
    let denied = service.access_records(123).await;
    let denied = denied.iter().filter(|record| record["code"] == "case_disposed");
    assert_eq!(denied.count(), 8, "each rejected request is recorded");
}

#[tokio::test]
async fn a_removed_case_whose_history_is_not_erased_yet_answers_410() {
    let service = with_expired_case(0).await;
    expect_disposed(&service).await;
}

#[tokio::test]
async fn a_forged_expiry_does_not_end_the_life_of_a_case() {
    let service = Service::start_with_streams().await;
    service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    service.change_number(123, "DELETED#0000000001", "expires_at", 1_000_000_000).await;
    let path = "/api/v1/cases/1/history/verify";
    let verification = service.as_user("admin", "GET", path).send().await.expect(200);
    assert_eq!(verification["fault_code"], "case_changed", "{verification}");
    let before = service.items(123).await;
    assert_eq!(service.expire_items().await, 1);
    let alarms = leaks::lines_with("verification_failed").len();
    service.process_streams().await;
    let after = service.items(123).await;
    assert_eq!(events(&after), events(&before));
    assert!(!after.contains_key("TOMBSTONE#0000000001"));
    assert!(leaks::lines_with("verification_failed").len() > alarms, "an alarm is raised");
}

#[tokio::test]
async fn a_forged_event_does_not_end_the_life_of_a_case() {
    let service = Service::start_with_streams().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect(204);
    service.change_event(123, 1, 2, json!({"at": "2001-09-09T01:46:40.000Z"})).await;
    service.delete_item(123, "DELETED#0000000001").await;
    service.as_user("admin", "GET", "/api/v1/cases/1/history").send().await.expect(200);
    let verification =
        service.as_user("admin", "GET", "/api/v1/cases/1/history/verify").send().await.expect(200);
    assert_eq!(verification["valid"], false, "{verification}");
}

#[tokio::test]
async fn a_case_that_somebody_removed_keeps_its_history() {
    let service = with_deleted_case(1).await;
    let before = service.items(123).await;
    service.delete_item(123, "DELETED#0000000001").await;
    service.process_streams().await;
    let after = service.items(123).await;
    assert_eq!(events(&after), events(&before));
    assert!(!after.contains_key("TOMBSTONE#0000000001"));
}

#[tokio::test]
async fn a_case_that_came_back_from_a_backup_keeps_its_history() {
    let service = with_deleted_case(1).await;
    service.process_streams().await;
    let backup = service.typed_item(123, "DELETED#0000000001").await;
    let before = service.items(123).await;
    assert_eq!(service.expire_items().await, 1);
    service.put_typed_items(&[backup]).await;
    service.process_streams().await;
    assert_eq!(service.items(123).await, before);
}

#[tokio::test]
async fn a_disposal_that_fails_halfway_is_completed_when_the_change_comes_again() {
    let service = with_expired_case(30).await;
    // The first twenty events are erased, then the database fails for a while.
    let updates = std::sync::atomic::AtomicUsize::new(0);
    service.dynamodb.rule(move |name, _| {
        let is_late = name == "UpdateItem" && updates.fetch_add(1, std::sync::atomic::Ordering::SeqCst) >= 20;
        if is_late { Fault::refused() } else { Fault::Pass }
    });
    loop {
        let (_, report) = service.process_next_batch().await.unwrap();
        if !report.batch_item_failures.is_empty() {
            break;
        }
    }
    let halfway = service.items(123).await;
    let erased = events(&halfway).iter().filter(|event| !event["erased_at"].is_null()).count();
    assert!((1..32).contains(&erased), "{erased}");
    assert!(!halfway.contains_key("TOMBSTONE#0000000001"));
    service.dynamodb.heal();
    service.process_streams().await;
    let done = service.items(123).await;
    assert!(events(&done).iter().all(|event| event["changes"].is_null() && !event["erased_at"].is_null()));
    assert!(done.contains_key("TOMBSTONE#0000000001"));
    // What was erased before keeps its time.
    let time_of =
        |items: &std::collections::BTreeMap<String, Value>, sk: &str| items[sk]["erased_at"].clone();
    assert_eq!(time_of(&done, "EVENT#0000000001#000001"), time_of(&halfway, "EVENT#0000000001#000001"));
}

#[tokio::test]
async fn the_feed_works_after_a_disposal() {
    let service = with_expired_case(1).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.process_streams().await;
    let mut path = "/api/v1/cases/changes".to_owned();
    let mut changes = Vec::new();
    for _ in 0..10 {
        let page = service.as_user("admin", "GET", &path).send().await.expect(200);
        changes.extend(page["changes"].as_array().unwrap().clone());
        path = format!("/api/v1/cases/changes?since={}", page["next_cursor"].as_str().unwrap());
    }
    let mut found: Vec<_> =
        changes.iter().map(|change| (change["id"].as_u64(), &change["deleted"])).collect();
    found.sort_by_key(|(id, _)| *id);
    assert_eq!(found, [(Some(1), &json!(true)), (Some(2), &json!(false))]);
}
