//! The life of a case, one operation at a time, with the items that each operation writes.

use serde_json::{Value, json};

use crate::harness::{Service, spec};

/// The first request of the README.
fn first_case() -> Value {
    json!({
        "patient_name": "John Smith", "procedure_type": "Crown", "status": "in_progress",
        "notes": "Upper right molar",
    })
}

#[tokio::test]
async fn a_case_is_created_with_the_labs_next_id_and_every_field() {
    let service = Service::start().await;
    let reply = service.as_user("admin", "POST", "/api/v1/cases").json(first_case()).send().await;
    let case = reply.expect(201);
    assert_eq!(reply.header("location"), Some("/api/v1/cases/1"));
    assert_eq!(reply.header("etag"), Some("\"1\""));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let (created_at, updated_at) = (case["created_at"].clone(), case["updated_at"].clone());
    assert_eq!(created_at, updated_at);
    let today = created_at.as_str().unwrap();
    let (number, due) = (format!("RIVERSIDE-{}{}-1", &today[..4], &today[5..7]), case["due_date"].clone());
    assert!(due.as_str() > Some(&today[..10]), "{due}");
    assert_eq!(
        case,
        json!({
            "id": 1, "lab_id": 123, "version": 1, "status": "in_progress", "case_number": number,
            "patient_name": "John Smith", "procedure_type": "Crown", "case_type": "fixed_prosthetic", "case_name": null, "description": null,
            "notes": "Upper right molar", "special_instructions": null, "priority": "medium", "rush_order": false,
            "due_date": due, "earliest_due_date": due, "warnings": [], "remake_of": null, "remake_reason_code": null,
            "remakes": [], "comment_count": 0, "waiting_for_answer": false, "doctor_id": null, "product_id": null, "assigned_to": null, "patient_info": null,
            "fixed_prosthetic": null, "denture": null, "night_guard": null, "implant": null, "created_by": "1",
            "created_at": created_at, "updated_at": updated_at, "status_changed_at": created_at, "completed_at": null,
            "shipped_at": null, "delivered_at": null, "deleted_at": null, "deleted_by": null,
            "allowed_transitions": ["quality_check", "completed", "on_hold", "returned", "cancelled"],
        })
    );
    assert_eq!(service.create("admin", first_case()).await["id"], 2);
    assert_eq!(service.create("northgate", first_case()).await["id"], 1, "each lab counts for itself");
}

#[tokio::test]
async fn creating_writes_the_case_its_event_and_the_statistics() {
    let service = Service::start().await;
    let case = service.create("admin", first_case()).await;
    let items = service.items(123).await;
    let shard = items.keys().find_map(|key| key.strip_prefix("STATS#")).unwrap();
    let today = &case["created_at"].as_str().unwrap()[..10];
    let expected = [
        "CASE#0000000001".to_owned(),
        format!("CHANGE#{shard}#000000000001"),
        "COUNTER".to_owned(),
        format!("DAYS#{}#{shard}", &today[..7]),
        "EVENT#0000000001#000001".to_owned(),
        format!("STATS#{shard}"),
    ];
    assert_eq!(items.keys().cloned().collect::<Vec<_>>(), expected);
    let stored = &items["CASE#0000000001"];
    assert_eq!(stored["live_id"], 1);
    assert_eq!(stored["status_key"], "123#in_progress");
    assert_eq!(stored["due_key"], format!("{}#0000000001", case["due_date"].as_str().unwrap()));
    assert!(stored.get("denture").is_none(), "an unset field is not stored");
    let event = &items["EVENT#0000000001#000001"];
    assert_eq!(event["action"], "created");
    assert_eq!(event["user_id"], "1");
    assert_eq!(event["request_id"], "request-id-1");
    assert_eq!(event["at"], case["created_at"]);
    let changed: Vec<&str> =
        event["changes"].as_array().unwrap().iter().map(|change| change["field"].as_str().unwrap()).collect();
    assert_eq!(
        changed,
        [
            "case_number",
            "case_type",
            "due_date",
            "earliest_due_date",
            "notes",
            "patient_name",
            "priority",
            "procedure_type",
            "remakes",
            "rush_order",
            "status",
            "waiting_for_answer"
        ]
    );
    assert_eq!(items[&format!("STATS#{shard}")]["in_progress"], 1);
}

/// The four creation examples of the contract, as the predecessor's clients send them.
const EXAMPLES: [&str; 4] = ["crown", "denture", "night_guard", "implant"];

#[tokio::test]
async fn the_creation_examples_of_the_contract_are_returned_complete() {
    let service = Service::start().await;
    let create = &spec::SPEC["paths"]["/api/v1/cases"]["post"];
    let examples = create["requestBody"]["content"]["application/json"]["examples"].as_object().unwrap();
    for kind in EXAMPLES {
        let example = &examples[kind];
        let example = match example.get("$ref").and_then(Value::as_str) {
            Some(reference) => spec::SPEC.pointer(&reference[1..]).unwrap(),
            None => example,
        };
        let sent = &example["value"];
        let created = service.create("admin", sent.clone()).await;
        let path = format!("/api/v1/cases/{}", created["id"]);
        let read = service.as_user("viewer", "GET", &path).send().await.expect(200);
        assert_eq!(read, created, "{kind}");
        // Details that the case cannot have are there as null: the contract says so, though its schema cannot.
        let promised = spec::SPEC["components"]["schemas"]["CaseBase"]["properties"].as_object().unwrap();
        for name in promised.keys() {
            assert!(read.get(name).is_some(), "{kind} has no {name}");
        }
        assert_contains(&read, sent, kind);
    }
}

/// Checks that the response contains everything in the request.
#[track_caller]
fn assert_contains(whole: &Value, part: &Value, at: &str) {
    match part {
        Value::Object(members) => {
            for (name, value) in members {
                assert_contains(&whole[name], value, &format!("{at}/{name}"));
            }
        }
        other => assert_eq!(whole, other, "{at}"),
    }
}

#[tokio::test]
async fn an_update_changes_the_given_fields_and_null_clears_one() {
    let service = Service::start().await;
    let before = service.create("admin", first_case()).await;
    let update = json!({"notes": null, "priority": "high", "due_date": "2999-12-24", "case_name": "Molar"});
    let reply = service.as_user("member", "PUT", "/api/v1/cases/1").json(update).send().await;
    let after = reply.expect(200);
    assert_eq!(reply.header("etag"), Some("\"2\""));
    let mut expected = before.clone();
    expected["notes"] = Value::Null;
    expected["priority"] = json!("high");
    expected["due_date"] = json!("2999-12-24");
    expected["case_name"] = json!("Molar");
    expected["version"] = json!(2);
    expected["updated_at"] = after["updated_at"].clone();
    assert_eq!(after, expected);
    assert!(after["updated_at"].as_str() >= before["updated_at"].as_str());

    let items = service.items(123).await;
    assert_eq!(items["CASE#0000000001"]["due_key"], "2999-12-24#0000000001");
    let event = &items["EVENT#0000000001#000002"];
    assert_eq!(event["action"], "updated");
    assert_eq!(event["user_id"], "3");
    assert_eq!(
        event["changes"],
        json!([
            {"field": "case_name", "from": null, "to": "Molar"},
            {"field": "due_date", "from": before["due_date"], "to": "2999-12-24"},
            {"field": "notes", "from": "Upper right molar", "to": null},
            {"field": "priority", "from": "medium", "to": "high"},
        ])
    );
}

#[tokio::test]
async fn a_case_can_be_sent_back_as_it_was_read() {
    let service = Service::start().await;
    let case = service.create("admin", first_case()).await;
    let reply = service.as_user("admin", "PUT", "/api/v1/cases/1").json(case.clone()).send().await;
    assert_eq!(reply.expect(200), case, "nothing changed, so there is no new version");
    assert_eq!(service.items(123).await.len(), 6, "and nothing was written");
}

#[tokio::test]
async fn a_status_change_updates_the_case_and_the_statistics() {
    let service = Service::start().await;
    service.create("admin", first_case()).await;
    let change = json!({"status": "on_hold", "reason": "Waiting for the impression"});
    let path = "/api/v1/cases/1/status";
    let reply = service.as_user("technician", "PATCH", path).json(change).send().await;
    let case = reply.expect(200);
    assert_eq!((&case["status"], &case["version"]), (&json!("on_hold"), &json!(2)));
    assert_eq!(reply.header("etag"), Some("\"2\""));
    assert_eq!(service.statistics(123).await, [("on_hold".to_owned(), 1)].into());
    let items = service.items(123).await;
    assert_eq!(items["CASE#0000000001"]["status_key"], "123#on_hold");
    let event = &items["EVENT#0000000001#000002"];
    assert_eq!(event["action"], "status_changed");
    assert_eq!(event["reason"], "Waiting for the impression");
    assert_eq!(event["changes"], json!([{"field": "status", "from": "in_progress", "to": "on_hold"}]));
}

#[tokio::test]
async fn a_deleted_case_is_not_found_and_stays_in_the_table() {
    let service = Service::start().await;
    service.create("admin", first_case()).await;
    let reply = service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await;
    reply.expect(204);
    assert_eq!((reply.bytes.len(), reply.header("content-type")), (0, None));
    service.as_user("admin", "GET", "/api/v1/cases/1").send().await.expect_problem(404, "case_not_found");
    service.as_user("admin", "DELETE", "/api/v1/cases/1").send().await.expect_problem(404, "case_not_found");
    let list = service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
    assert_eq!(list["cases"], json!([]));

    let items = service.items(123).await;
    assert!(!items.contains_key("CASE#0000000001"));
    let deleted = &items["DELETED#0000000001"];
    assert_eq!((&deleted["patient_name"], &deleted["version"]), (&json!("John Smith"), &json!(2)));
    assert_eq!(deleted["deleted_by"], "1");
    let seven_years = 2557 * 24 * 3600;
    let kept = deleted["expires_at"].as_i64().unwrap() - local::ums::token::now();
    assert!((seven_years - 60..=seven_years).contains(&kept), "{kept}");
    for attribute in ["live_id", "status_key", "due_key"] {
        assert!(deleted.get(attribute).is_none(), "{attribute} would keep it in an index");
    }
    assert_eq!(items["EVENT#0000000001#000002"]["action"], "deleted");
    assert_eq!(service.statistics(123).await, [].into());
    assert_eq!(service.create("admin", first_case()).await["id"], 2, "an id is never used again");
}

#[tokio::test]
async fn a_role_allows_its_own_operations_and_no_others() {
    let service = Service::start().await;
    service.create("admin", first_case()).await;
    let change = json!({"status": "completed"});
    for (user, method, path, body, status) in [
        ("viewer", "GET", "/api/v1/cases/1", None, 200),
        ("viewer", "GET", "/api/v1/cases", None, 200),
        ("viewer", "POST", "/api/v1/cases", Some(first_case()), 403),
        ("viewer", "PUT", "/api/v1/cases/1", Some(json!({"notes": "x"})), 403),
        ("viewer", "PATCH", "/api/v1/cases/1/status", Some(change.clone()), 403),
        ("viewer", "DELETE", "/api/v1/cases/1", None, 403),
        ("technician", "GET", "/api/v1/cases/1", None, 200),
        ("technician", "POST", "/api/v1/cases", Some(first_case()), 403),
        ("technician", "PUT", "/api/v1/cases/1", Some(json!({"notes": "x"})), 403),
        ("technician", "PATCH", "/api/v1/cases/1/status", Some(change.clone()), 200),
        ("technician", "DELETE", "/api/v1/cases/1", None, 403),
        ("member", "POST", "/api/v1/cases", Some(first_case()), 201),
        ("member", "PUT", "/api/v1/cases/1", Some(json!({"notes": "x"})), 200),
        ("member", "DELETE", "/api/v1/cases/1", None, 403),
        ("admin", "DELETE", "/api/v1/cases/1", None, 204),
    ] {
        let call = service.as_user(user, method, path);
        let call = match body {
            Some(body) => call.json(body),
            None => call,
        };
        let reply = call.send().await;
        assert_eq!(reply.status, status, "{user} {method} {path}");
        if status == 403 {
            reply.expect_problem(403, "forbidden");
        }
    }
}

#[tokio::test]
async fn each_operation_makes_the_documented_round_trips() {
    let service = Service::start().await;
    service.create("admin", first_case()).await;
    for (method, path, body, calls) in [
        (
            "POST",
            "/api/v1/cases",
            Some(first_case()),
            &["BatchGetItem", "UpdateItem", "TransactWriteItems"][..],
        ),
        ("GET", "/api/v1/cases/1", None, &["GetItem", "PutItem"]),
        // The second Query is for the total. Both run at the same time.
        ("GET", "/api/v1/cases", None, &["PutItem", "Query", "Query"]),
        ("PUT", "/api/v1/cases/1", Some(json!({"notes": "x"})), &["BatchGetItem", "TransactWriteItems"]),
        (
            "PATCH",
            "/api/v1/cases/1/status",
            Some(json!({"status": "completed"})),
            &["BatchGetItem", "TransactWriteItems"],
        ),
        (
            "POST",
            "/api/v1/cases/1/comments",
            Some(json!({"text": "x", "asks": true})),
            &["BatchGetItem", "TransactWriteItems"],
        ),
        ("GET", "/api/v1/cases/1/comments", None, &["GetItem", "PutItem", "Query"]),
        (
            "PUT",
            "/api/v1/cases/1/comments/1",
            Some(json!({"text": "y"})),
            &["BatchGetItem", "TransactWriteItems"],
        ),
        ("DELETE", "/api/v1/cases/1/comments/1", None, &["BatchGetItem", "TransactWriteItems"]),
        (
            "POST",
            "/api/v1/cases/1/attachments",
            Some(spec::SPEC["components"]["examples"]["NewAttachment"]["value"].clone()),
            &["BatchGetItem", "Query", "TransactWriteItems"],
        ),
        ("GET", "/api/v1/cases/1/attachments", None, &["GetItem", "PutItem", "Query"]),
        ("DELETE", "/api/v1/cases/1", None, &["BatchGetItem", "TransactWriteItems"]),
    ] {
        service.dynamodb.take_calls();
        let call = service.as_user("admin", method, path);
        let call = match body {
            Some(body) => call.json(body),
            None => call,
        };
        assert!(call.send().await.status < 300);
        let mut made = service.dynamodb.take_calls();
        // The first two calls of a create run at the same time.
        made.sort_by_key(|call| (call == "TransactWriteItems", call.clone()));
        assert_eq!(made, calls, "{method} {path}");
    }
}
