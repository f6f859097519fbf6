//! Events as Lambda hands them to the function, and what the archive keeps of them.

use serde_json::{Value, json};

use super::*;

const AUDIT_TABLE: &str = "lhcms-prod-audit";

/// A change as in the documentation of AWS Lambda.
fn record(table: &str, name: &str, sk: &str, before: Value, after: Value) -> Value {
    let mut record = json!({
        "eventID": "c4ca4238a0b923820dcc509a6f75849b", "eventName": name, "eventVersion": "1.1", "eventSource": "aws:dynamodb",
        "awsRegion": "us-east-1",
        "eventSourceARN": format!("arn:aws:dynamodb:us-east-1:111122223333:table/{table}/stream/2026-11-25T00:48:05.899"),
        "dynamodb": {
            "ApproximateCreationDateTime": 1_795_599_240, "Keys": {"lab_id": {"S": "123"}, "sk": {"S": sk}},
            "SequenceNumber": "4421584500000000017450439091", "SizeBytes": 26, "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
    });
    for (member, image) in [("OldImage", before), ("NewImage", after)] {
        if !image.is_null() {
            record["dynamodb"][member] = image;
        }
    }
    record
}

fn change(record: Value) -> Change {
    let mut event: StreamEvent = serde_json::from_value(json!({"Records": [record]})).unwrap();
    Change::of_record(event.records.remove(0))
}

fn entry(record: Value) -> Option<Value> {
    entries::of_change(&change(record), AUDIT_TABLE).map(|entry| serde_json::to_value(entry).unwrap())
}

fn by_dynamodb(mut record: Value) -> Value {
    record["userIdentity"] = json!({"type": "Service", "principalId": "dynamodb.amazonaws.com"});
    record
}

#[test]
fn an_audit_record_is_archived_with_its_members_and_its_seal() {
    let item = json!({
        "lab_id": {"S": "123"}, "sk": {"S": "2026-11-25T09:30:00.000Z#abc"}, "at": {"S": "2026-11-25T09:30:00.000Z"},
        "user_id": {"S": "7"}, "outcome": {"S": "granted"}, "case_ids": {"L": [{"N": "42"}]}, "user_agent": {"S": "curl"},
        "expires_at": {"N": "1830000000"}, "key_id": {"S": "2026"}, "mac": {"S": "m"},
    });
    let found = entry(record(AUDIT_TABLE, "INSERT", "2026-11-25T09:30:00.000Z#abc", Value::Null, item));
    let expected = json!({
        "stream_id": "c4ca4238a0b923820dcc509a6f75849b", "changed_at": "2026-11-25T09:34:00.000Z", "change": "added",
        "item": "audit_record", "lab_id": "123", "sk": "2026-11-25T09:30:00.000Z#abc", "at": "2026-11-25T09:30:00.000Z",
        "user_id": "7", "outcome": "granted", "case_ids": [42], "user_agent": "curl", "key_id": "2026", "mac": "m",
    });
    assert_eq!(found, Some(expected));
}

#[test]
fn an_expired_record_leaves_the_table_without_an_entry_and_a_removed_one_with_one() {
    let item = json!({"user_id": {"S": "7"}});
    let removed = record(AUDIT_TABLE, "REMOVE", "2026-11-25T09:30:00.000Z#abc", item, Value::Null);
    assert_eq!(entry(by_dynamodb(removed.clone())), None);
    let found = entry(removed).unwrap();
    assert_eq!((&found["change"], &found["user_id"]), (&json!("removed"), &json!("7")));
}

#[test]
fn only_a_removal_by_dynamodb_ends_a_life() {
    let removed =
        record("lhcms-prod", "REMOVE", "DELETED#0000000042", json!({"version": {"N": "3"}}), Value::Null);
    assert!(is_end_of_life(&change(by_dynamodb(removed.clone()))));
    for (pointer, value) in [
        ("/userIdentity", Value::Null),
        ("/userIdentity/type", json!("Root")),
        ("/userIdentity/principalId", json!("someone")),
        ("/eventName", json!("MODIFY")),
        ("/dynamodb/Keys/sk/S", json!("CASE#0000000042")),
    ] {
        let mut other = by_dynamodb(removed.clone());
        *other.pointer_mut(pointer).unwrap() = value;
        assert!(!is_end_of_life(&change(other)), "{pointer}");
    }
}

#[test]
fn a_tampered_event_is_archived_without_the_text_in_it() {
    let before = json!({"at": {"S": "2026-11-25T09:30:00.000Z"}, "changes": {"L": []}, "hash": {"S": "h"}});
    let after = json!({
        "at": {"S": "yesterday"}, "hash": {"S": "x"}, "reason": {"S": "Jane Roe called"},
        "changes": {"L": [{"M": {"field": {"S": "Jane Roe"}}}, {"M": {"field": {"S": "notes"}, "to": {"S": "Jane Roe"}}}, {"S": "?"}]},
    });
    let found = entry(record("lhcms-prod", "MODIFY", "EVENT#0000000042#000003", before, after)).unwrap();
    assert_eq!((&found["change"], &found["fields"]), (&json!("changed"), &json!(["notes"])));
    assert_eq!((&found["at"], &found["hash"]), (&json!("2026-11-25T09:30:00.000Z"), &json!("x")));
    assert!(!found.to_string().contains("Jane"), "{found}");
}

#[test]
fn other_items_are_not_archived() {
    for sk in ["CASE#0000000042", "STATS#00", "TOMBSTONE#0000000042"] {
        assert_eq!(
            entry(record("lhcms-prod", "INSERT", sk, Value::Null, json!({"x": {"S": "y"}}))),
            None,
            "{sk}"
        );
    }
}
