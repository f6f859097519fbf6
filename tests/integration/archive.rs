//! The archive: the function on the streams keeps each change of the audit trail, without patient data.

use serde_json::{Value, json};

use crate::harness::{Fault, Service};

/// A lab with a case that was created and updated.
async fn with_case() -> Service {
    let service = Service::start_with_streams().await;
    service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    let put = service.as_user("member", "PUT", "/api/v1/cases/1").json(json!({"notes": "Contact is open"}));
    put.send().await.expect(200);
    service
}

/// The archived lines of an item kind, in their order.
fn lines(service: &Service, item: &str) -> Vec<Value> {
    let lines = service.archive().into_values().flatten();
    let mut lines: Vec<Value> = lines.filter(|line| line["item"] == item).collect();
    lines.sort_by_key(|line| (line["sk"].to_string(), line["changed_at"].to_string()));
    lines
}

#[tokio::test]
async fn each_event_is_archived_with_its_hashes_and_the_names_of_its_fields_but_no_values() {
    let service = with_case().await;
    assert!(service.process_streams().await > 2);
    let items = service.items(123).await;
    let found = lines(&service, "event");
    assert_eq!(found.len(), 2);
    for (line, version) in found.iter().zip(1..) {
        let event = &items[&format!("EVENT#0000000001#{version:06}")];
        let mut expected = json!({
            "change": "added", "item": "event", "lab_id": "123", "stream_id": line["stream_id"],
            "changed_at": line["changed_at"],
        });
        for name in [
            "sk",
            "case_id",
            "version",
            "action",
            "at",
            "user_id",
            "request_id",
            "previous_hash",
            "hash",
            "state_hash",
            "key_id",
            "mac",
            "log_entry",
        ] {
            if !event[name].is_null() {
                expected[name] = event[name].clone();
            }
        }
        let changes = event["changes"].as_array().unwrap();
        expected["fields"] = changes.iter().map(|change| change["field"].clone()).collect();
        assert_eq!(*line, expected);
    }
    assert_eq!(found[1]["fields"], json!(["notes"]));
    let text = serde_json::to_string(&service.archive()).unwrap();
    for private in ["Jane", "Contact is open", "Crown"] {
        assert!(!text.contains(private), "{private} is in the archive");
    }
}

#[tokio::test]
async fn objects_are_by_lab_and_hour() {
    let service = with_case().await;
    service.create("northgate", json!({"procedure_type": "Crown"})).await;
    service.process_streams().await;
    let archive = service.archive();
    let labs: Vec<&str> = archive.keys().map(|key| key.split('/').next().unwrap()).collect();
    assert!(labs.contains(&"lab=123") && labs.contains(&"lab=456"), "{labs:?}");
    for (key, lines) in archive {
        let (at, lab) = (lines[0]["at"].as_str().unwrap(), lines[0]["lab_id"].as_str().unwrap());
        let prefix = format!("lab={lab}/day={}/{}-", &at[..10], &at[11..13]);
        assert!(key.starts_with(&prefix) && key.ends_with(".ndjson.gz"), "{key} for {at}");
    }
}

#[tokio::test]
async fn a_batch_that_cannot_be_archived_is_reported_and_archived_when_it_comes_again() {
    let service = with_case().await;
    service.s3.rule(|_, _| Fault::refused());
    let (changes, report) = service.process_next_batch().await.unwrap();
    assert!(changes > 2);
    assert_eq!(report.batch_item_failures.len(), 1, "the first change that must come again");
    assert_eq!(service.archive().len(), 0);
    service.s3.heal();
    service.process_streams().await;
    assert_eq!(lines(&service, "event").len(), 2);
}

#[tokio::test]
async fn a_changed_and_a_removed_event_are_archived_as_such() {
    let service = with_case().await;
    service.process_streams().await;
    service.change_event(123, 1, 2, json!({"user_id": "999"})).await;
    service.delete_event(123, 1, 1).await;
    service.process_streams().await;
    let found = lines(&service, "event");
    let found: Vec<(&str, u64, &str)> = found
        .iter()
        .map(|line| {
            let text = |name: &str| line[name].as_str().unwrap();
            (text("change"), line["version"].as_u64().unwrap(), text("user_id"))
        })
        .collect();
    let mut expected = vec![("added", 1, "1"), ("removed", 1, "1"), ("added", 2, "3"), ("changed", 2, "999")];
    expected.sort_unstable();
    let mut found = found;
    found.sort_unstable();
    assert_eq!(found, expected);
}
