//! The routes of webhooks: the life of a webhook, its secrets, and the messages that people have sent.

use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::STANDARD};
use jiff::{Timestamp, ToSpan};
use lab_data::{export, import::folder};
use serde_json::{Value, json};
use shared::{base::LabId, case::repair::Mode};

use crate::harness::{
    Reply, Service,
    deliveries::{Receiver, fast},
    spec,
    webhooks::{DELIVERY, OWN_WEBHOOK},
};

const PATH: &str = "/api/v1/webhooks";
const URL: &str = "https://example.com/hook";

async fn send(service: &Service, method: &str, path: &str, body: Value) -> Reply {
    let call = service.as_user("admin", method, &format!("{PATH}{path}"));
    if body.is_null() { call.send().await } else { call.json(body).send().await }
}

async fn create(service: &Service, body: Value) -> Value {
    send(service, "POST", "", body).await.expect(201)
}

async fn get(service: &Service, path: &str) -> Value {
    send(service, "GET", path, Value::Null).await.expect(200)
}

/// A service whose lab has the webhook of the harness, with a failed and a delivered delivery.
async fn with_webhook() -> Service {
    let service = Service::start().await;
    service.put_webhooks_of_both_labs().await;
    service
}

fn path_of(webhook: &Value) -> String {
    format!("/{}", webhook["id"].as_str().unwrap())
}

fn of_harness(path: &str) -> String {
    format!("/{OWN_WEBHOOK}{path}")
}

/// What the webhook has besides its settings, as it was read.
fn with_settings(webhook: &Value, settings: Value) -> Value {
    let mut expected = webhook.clone();
    expected.as_object_mut().unwrap().remove("secret");
    expected.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    expected
}

/// Sends the request with an idempotency key.
async fn send_with_key(service: &Service, path: &str, key: &str, body: Value) -> Reply {
    let call = service.as_user("admin", "POST", &format!("{PATH}{path}")).header("idempotency-key", key);
    if body.is_null() { call.send().await } else { call.json(body).send().await }
}

#[tokio::test]
async fn a_webhook_is_created_read_changed_and_deleted() {
    let service = Service::start().await;
    let body =
        json!({"url": URL, "description": "Orders of the ERP", "types": ["case.created", "case.deleted"]});
    let reply = send(&service, "POST", "", body).await;
    let created = reply.expect(201);
    let path = path_of(&created);
    assert_eq!(reply.header("location"), Some(format!("{PATH}{path}").as_str()));
    assert_eq!(reply.header("etag"), Some("\"1\""));
    let expected = json!({
        "id": created["id"], "lab_id": 123, "url": URL, "description": "Orders of the ERP",
        "types": ["case.created", "case.deleted"], "enabled": true, "disabled_reason": null, "failing_since": null,
        "public_key": created["public_key"], "previous_secret_until": null, "version": 1,
        "created_at": created["created_at"], "updated_at": created["created_at"], "created_by": "1",
        "secret": created["secret"],
    });
    assert_eq!(created, expected);
    let key = |name: &str, prefix: &str| {
        STANDARD.decode(created[name].as_str().unwrap().strip_prefix(prefix).unwrap()).unwrap().len()
    };
    assert_eq!((key("secret", "whsec_"), key("public_key", "whpk_")), (32, 32));

    let webhook = with_settings(&created, json!({}));
    let reply = send(&service, "GET", &path, Value::Null).await;
    assert_eq!((reply.expect(200), reply.header("etag")), (webhook.clone(), Some("\"1\"")));
    assert_eq!(get(&service, "").await, json!({"webhooks": [webhook]}));

    // It can be sent back as it was read, which changes nothing.
    assert_eq!(send(&service, "PUT", &path, webhook.clone()).await.expect(200), webhook);
    let change = json!({"url": "https://example.org/", "description": null, "types": null, "enabled": false});
    let reply = send(&service, "PUT", &path, change).await;
    let changed = reply.expect(200);
    let settings = json!({
        "url": "https://example.org/", "description": null, "types": [], "enabled": false, "version": 2,
        "updated_at": changed["updated_at"],
    });
    assert_eq!((&changed, reply.header("etag")), (&with_settings(&webhook, settings), Some("\"2\"")));
    assert!(changed["updated_at"].as_str() > webhook["updated_at"].as_str());
    assert_eq!(get(&service, &path).await, changed);

    send(&service, "DELETE", &path, Value::Null).await.expect(204);
    for method in ["GET", "DELETE"] {
        send(&service, method, &path, Value::Null).await.expect_problem(404, "webhook_not_found");
    }
    assert_eq!(get(&service, "").await, json!({"webhooks": []}));
}

#[tokio::test]
async fn everything_wrong_with_a_webhook_is_reported_at_once() {
    let service = with_webhook().await;
    for (body, pointers) in [
        (json!({}), vec!["/url"]),
        (json!({"url": null, "enabled": "yes"}), vec!["/url", "/enabled"]),
        (
            json!({"url": "ftp://x", "description": " ", "types": ["case.moved"], "secret": "whsec_"}),
            vec!["/url", "/description", "/types", "/secret"],
        ),
        (json!({"url": URL, "types": ["webhook.test"]}), vec!["/types"]),
        (json!({"url": URL, "types": ["case.created", "case.created"]}), vec!["/types"]),
        (json!({"url": "https://user:password@example.com/"}), vec!["/url"]),
        (json!({"url": "https://example.com/#part"}), vec!["/url"]),
    ] {
        let reply = send(&service, "POST", "", body.clone()).await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), pointers, "{body}");
    }
    let reply =
        send(&service, "PUT", &of_harness(""), json!({"version": 7, "url": null, "created_by": "2"})).await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/url", "/version", "/created_by"]);
    // What deliveries change can have any value.
    let state = json!({"failing_since": "2026-11-24T09:30:00.000Z"});
    assert_eq!(send(&service, "PUT", &of_harness(""), state).await.expect(200)["version"], 1);
}

#[tokio::test]
async fn an_update_of_an_older_version_is_rejected() {
    let service = with_webhook().await;
    let put = async |tag: &str| {
        let call = service.as_user("admin", "PUT", &format!("{PATH}/{OWN_WEBHOOK}")).header("if-match", tag);
        call.json(json!({"description": tag})).send().await
    };
    put("\"1\"").await.expect(200);
    put("\"1\"").await.expect_problem(412, "precondition_failed");
    assert_eq!(put("\"2\"").await.expect(200)["version"], 3);
}

#[tokio::test]
async fn a_lab_can_have_ten_webhooks() {
    let service = Service::start().await;
    let mut last = Value::Null;
    for _ in 0..10 {
        last = create(&service, json!({"url": URL})).await;
    }
    let problem =
        send(&service, "POST", "", json!({"url": URL})).await.expect_problem(409, "too_many_webhooks");
    assert_eq!(problem["detail"], "A lab can have 10 webhooks. Delete one first.");
    assert_eq!(get(&service, "").await["webhooks"][9]["id"], last["id"], "oldest first");
    send(&service, "DELETE", &path_of(&last), Value::Null).await.expect(204);
    create(&service, json!({"url": URL})).await;
}

#[tokio::test]
async fn a_secret_is_shown_once_and_stored_encrypted_only() {
    let service = Service::start().await;
    let created = send_with_key(&service, "", "key-1", json!({"url": URL})).await.expect(201);
    let path = path_of(&created);
    let rotated =
        send_with_key(&service, &format!("{path}/rotate-secret"), "key-2", Value::Null).await.expect(200);
    let secrets =
        [&created, &rotated].map(|webhook| webhook["secret"].as_str().unwrap()["whsec_".len()..].to_owned());
    assert_ne!(secrets[0], secrets[1]);
    let stored = [json!(service.items(123).await), json!(service.access_records(123).await)];
    let shown = [get(&service, "").await, get(&service, &path).await];
    for secret in &secrets {
        for place in stored.iter().chain(&shown) {
            assert!(!place.to_string().contains(secret), "{place}");
        }
    }
    assert!(shown.iter().all(|place| !place.to_string().contains("\"secret\"")));
    // Two webhooks with the same secret would look the same; the text is another one each time.
    let item = &service.items(123).await[&format!("WEBHOOK#{}", created["id"].as_str().unwrap())];
    assert!(item["secrets"].as_str().unwrap().starts_with("test:"));
    assert_ne!(item["secrets"], item["previous"]["secrets"]);
}

#[tokio::test]
async fn a_repeated_create_returns_the_same_webhook_with_its_secret_until_a_rotation() {
    let service = Service::start().await;
    let body = json!({"url": URL});
    let first = send_with_key(&service, "", "key", body.clone()).await.expect(201);
    let again = send_with_key(&service, "", "key", body.clone()).await;
    assert_eq!((again.expect(201), again.header("idempotency-replayed")), (first.clone(), Some("true")));
    let path = path_of(&first);
    let rotated = send(&service, "POST", &format!("{path}/rotate-secret"), Value::Null).await.expect(200);
    let mut expected = rotated.clone();
    expected["secret"] = Value::Null;
    assert_eq!(send_with_key(&service, "", "key", body.clone()).await.expect(201), expected);
    assert_eq!(get(&service, "").await["webhooks"].as_array().unwrap().len(), 1);
    let other = json!({"url": "https://example.org/"});
    send_with_key(&service, "", "key", other).await.expect_problem(409, "idempotency_key_reused");
    // A key belongs to one request, whatever it is about.
    let case = service.as_user("admin", "POST", "/api/v1/cases").header("idempotency-key", "key");
    let case = case.json(json!({"procedure_type": "Crown"})).send().await;
    case.expect_problem(409, "idempotency_key_reused");
    send(&service, "DELETE", &path, Value::Null).await.expect(204);
    send_with_key(&service, "", "key", body).await.expect_problem(404, "webhook_not_found");
}

#[tokio::test]
async fn a_rotation_keeps_the_secret_before_it_for_a_day_and_a_repeated_one_rotates_once() {
    let service = Service::start().await;
    let created = create(&service, json!({"url": URL})).await;
    let rotate = format!("{}/rotate-secret", path_of(&created));
    let first = send_with_key(&service, &rotate, "key", Value::Null).await.expect(200);
    let again = send_with_key(&service, &rotate, "key", Value::Null).await;
    assert_eq!((again.expect(200), again.header("idempotency-replayed")), (first.clone(), Some("true")));
    let expected = with_settings(
        &created,
        json!({
            "version": 2, "updated_at": first["updated_at"], "public_key": first["public_key"],
            "previous_secret_until": first["previous_secret_until"], "secret": first["secret"],
        }),
    );
    assert_eq!(first, expected);
    assert_ne!((&first["public_key"], &first["secret"]), (&created["public_key"], &created["secret"]));
    let moment = |name: &str| first[name].as_str().unwrap().parse::<Timestamp>().unwrap();
    assert_eq!(moment("previous_secret_until"), moment("updated_at") + 24.hours());
    let second = send(&service, "POST", &rotate, Value::Null).await.expect(200);
    assert_eq!(second["version"], 3);
    assert_ne!(second["secret"], first["secret"]);
}

/// As the service disables a webhook after failures.
async fn disable(service: &Service, id: &str) {
    let mut item = service.typed_item(123, &format!("WEBHOOK#{id}")).await;
    for (name, value) in [
        ("enabled", json!({"BOOL": false})),
        ("disabled_reason", json!({"S": "failing"})),
        ("failing_since", json!({"S": "2026-11-24T09:30:00.000Z"})),
        ("failures", json!({"N": "99"})),
    ] {
        item[name] = value;
    }
    service.put_typed_items(&[item]).await;
}

#[tokio::test]
async fn a_disabled_webhook_gets_no_messages_until_it_is_enabled_again() {
    let service = with_webhook().await;
    disable(&service, OWN_WEBHOOK).await;
    let webhook = get(&service, &of_harness("")).await;
    assert_eq!(
        (&webhook["enabled"], &webhook["disabled_reason"], &webhook["failing_since"]),
        (&json!(false), &json!("failing"), &json!("2026-11-24T09:30:00.000Z"))
    );
    let since = json!({"since": Timestamp::now()});
    for (path, body) in [
        ("/test", Value::Null),
        ("/replay", since),
        (format!("/deliveries/{DELIVERY}/retry").as_str(), Value::Null),
    ] {
        let reply = send(&service, "POST", &of_harness(path), body).await;
        reply.expect_problem(409, "webhook_disabled");
    }
    assert_eq!(service.queue.bodies(), [Value::Null; 0]);
    let enabled = send(&service, "PUT", &of_harness(""), json!({"enabled": true})).await.expect(200);
    let settings = json!({
        "enabled": true, "disabled_reason": null, "failing_since": null, "version": 2, "updated_at": enabled["updated_at"],
    });
    assert_eq!(enabled, with_settings(&webhook, settings));
    let item = &service.items(123).await[&format!("WEBHOOK#{OWN_WEBHOOK}")];
    assert!(
        item["failures"].is_null() && item["disabled_reason"].is_null() && item["failing_since"].is_null()
    );
    send(&service, "POST", &of_harness("/test"), Value::Null).await.expect(202);
}

#[tokio::test]
async fn an_update_leaves_what_deliveries_and_newer_releases_have_written() {
    let service = with_webhook().await;
    let sk = format!("WEBHOOK#{OWN_WEBHOOK}");
    let state = json!({"failing_since": "2026-11-28T09:30:00.000Z", "paused_until": "2026-11-28T09:31:00.000Z", "color": "red"});
    service.change_item(123, &sk, state.clone()).await;
    send(&service, "PUT", &of_harness(""), json!({"description": "another one"})).await.expect(200);
    send(&service, "POST", &of_harness("/rotate-secret"), Value::Null).await.expect(200);
    let item = service.items(123).await[&sk].clone();
    for (name, value) in state.as_object().unwrap() {
        assert_eq!(item[name], *value, "{name}");
    }
    // Another URL begins anew.
    send(&service, "PUT", &of_harness(""), json!({"url": "https://example.org/"})).await.expect(200);
    let item = service.items(123).await[&sk].clone();
    assert_eq!(
        (&item["failing_since"], &item["paused_until"], &item["color"]),
        (&Value::Null, &Value::Null, &json!("red"))
    );
}

#[tokio::test]
async fn a_test_sends_a_message_to_this_webhook_only() {
    let service = with_webhook().await;
    service.put_webhook(123, "wh_ABCDEFGHIJKLMNOP", "another one").await;
    let sent = send(&service, "POST", &of_harness("/test"), Value::Null).await.expect(202);
    let bodies = service.queue.bodies();
    let at = bodies[0]["message"]["timestamp"].as_str().unwrap();
    let message = json!({"type": "webhook.test", "timestamp": at, "schema": 1, "data": {"lab_id": 123}});
    let digits: String = at.chars().filter(char::is_ascii_alphanumeric).collect();
    assert_eq!(sent, json!({"delivery_id": format!("{digits}-test")}));
    assert_eq!(bodies, [json!({"lab_id": 123, "webhook_id": OWN_WEBHOOK, "round": 1, "message": message})]);
}

#[tokio::test]
async fn deliveries_are_listed_page_by_page_and_by_state() {
    let service = with_webhook().await;
    let delivery = |case: u64, state: &str| {
        json!({
            "id": format!("20261124T093000000Z-{case}-1"),
            "message": {
                "type": "case.created", "timestamp": "2026-11-24T09:30:00.000Z", "schema": 1,
                "data": {
                    "lab_id": 123, "case_id": case, "case_number": format!("RIVERSIDE-202611-{case}"), "version": 1,
                    "status_from": null, "status_to": "pending",
                },
            },
            "state": state, "attempts": 10, "attempted_at": "2026-11-27T09:30:00.000Z", "next_attempt_at": null,
            "response_status": 500, "latency_ms": 84, "error": "http_500",
        })
    };
    for case in 3..=5 {
        service.put_delivery(123, OWN_WEBHOOK, case, "failed").await;
    }
    let all = [5, 4, 3, 2, 1].map(|case| delivery(case, if case == 2 { "delivered" } else { "failed" }));
    let failed = [5, 4, 3, 1].map(|case| delivery(case, "failed"));
    for (query, expected) in [("", &all[..]), ("&state=failed", &failed[..]), ("&state=pending", &[])] {
        for limit in [1, 2, 4, 5, 20] {
            let (mut found, mut cursor) = (Vec::new(), String::new());
            loop {
                let page =
                    get(&service, &of_harness(&format!("/deliveries?limit={limit}{query}{cursor}"))).await;
                let deliveries = page["deliveries"].as_array().unwrap().clone();
                assert!(deliveries.len() <= limit);
                found.extend(deliveries);
                let Some(next) = page["pagination"]["next_cursor"].as_str() else { break };
                cursor = format!("&cursor={next}");
            }
            assert_eq!(found, expected, "{query} by {limit}");
        }
    }
    let page = get(&service, &of_harness("/deliveries?limit=1")).await;
    let cursor = page["pagination"]["next_cursor"].as_str().unwrap();
    let path = of_harness(&format!("/deliveries?limit=1&state=failed&cursor={cursor}"));
    send(&service, "GET", &path, Value::Null).await.expect_problem(400, "invalid_cursor");
    for query in ["state=lost", "page=2"] {
        let path = of_harness(&format!("/deliveries?{query}"));
        send(&service, "GET", &path, Value::Null).await.expect_problem(400, "invalid_parameter");
    }
}

#[tokio::test]
async fn a_failed_delivery_is_sent_again_and_no_other() {
    let service = with_webhook().await;
    let retry = async |id: &str| {
        send(&service, "POST", &of_harness(&format!("/deliveries/{id}/retry")), Value::Null).await
    };
    assert_eq!(retry(DELIVERY).await.expect(202), json!({"delivery_id": DELIVERY}));
    let bodies = service.queue.bodies();
    let record = service.items(123).await[&format!("DELIVERY#{OWN_WEBHOOK}#{DELIVERY}")].clone();
    let mut message = record["message"].clone();
    message["data"]["lab_id"] = json!(123);
    assert_eq!(bodies, [json!({"lab_id": 123, "webhook_id": OWN_WEBHOOK, "round": 2, "message": message})]);
    assert_eq!(
        (&record["state"], &record["round"], &record["attempts"]),
        (&json!("pending"), &json!(2), &json!(0))
    );
    retry(DELIVERY).await.expect_problem(409, "delivery_not_failed");
    retry("20261124T093000000Z-2-1").await.expect_problem(409, "delivery_not_failed");
    for id in ["20261124T093000000Z-3-1", "x", "a_b"] {
        retry(id).await.expect_problem(404, "delivery_not_found");
    }
    let other = format!("/wh_fedcba9876543210/deliveries/{DELIVERY}/retry");
    send(&service, "POST", &other, Value::Null).await.expect_problem(404, "webhook_not_found");
    assert_eq!(service.queue.bodies().len(), 1);
}

#[tokio::test]
async fn a_queue_that_fails_changes_nothing_and_the_request_can_be_repeated() {
    let service = with_webhook().await;
    service.queue.refuse_after(0);
    let before = service.items(123).await;
    let retry = of_harness(&format!("/deliveries/{DELIVERY}/retry"));
    for path in [retry.as_str(), &of_harness("/test")] {
        send(&service, "POST", path, Value::Null).await.expect_problem(503, "service_unavailable");
    }
    assert_eq!(service.items(123).await, before);
    service.queue.heal();
    send(&service, "POST", &retry, Value::Null).await.expect(202);
    assert_eq!(service.queue.bodies().len(), 1);
}

/// The messages in the queue, of one webhook.
fn messages(service: &Service) -> Vec<Value> {
    service.queue.bodies().iter().map(|body| body["message"].clone()).collect()
}

#[tokio::test]
async fn a_replay_sends_the_newest_message_of_each_live_case_as_it_was_published() {
    let service = Service::start_with_streams().await;
    let since = Timestamp::now();
    service.put_webhook(123, OWN_WEBHOOK, "all types").await;
    for _ in 0..6 {
        service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    }
    let change = async |method: &str, path: &str, body: Value| {
        let call = service.as_user("admin", method, &format!("/api/v1/cases/{path}"));
        if body.is_null() { call.send().await } else { call.json(body).send().await }.expect_success();
    };
    change("PUT", "2", json!({"notes": "second"})).await;
    change("PATCH", "3/status", json!({"status": "in_progress"})).await;
    change("POST", "4/comments", json!({"text": "Which shade?"})).await;
    change("DELETE", "5", Value::Null).await;
    change("DELETE", "6", Value::Null).await;
    change("POST", "6/restore", Value::Null).await;
    change("PUT", "1", json!({"notes": "last", "status": "in_progress"})).await;
    service.process_streams().await;

    let published = messages(&service);
    let newest = |case: u64| {
        let of_case = published.iter().filter(|message| message["data"]["case_id"] == case);
        of_case.max_by_key(|message| message["data"]["version"].as_u64()).unwrap().clone()
    };
    let expected: Vec<Value> = [2, 3, 4, 6, 1].map(newest).into();
    let kinds: Vec<&str> = expected.iter().map(|message| message["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        ["case.updated", "case.status_changed", "case.commented", "case.restored", "case.status_changed"]
    );
    // Five minutes later, when the queue has forgotten the messages.
    service.queue.forget_duplicates();
    let answer = send(&service, "POST", &of_harness("/replay"), json!({"since": since})).await.expect(202);
    assert_eq!(answer, json!({"sent": 5, "next_cursor": null}));
    assert_eq!(messages(&service)[published.len()..], expected);

    let types = json!({"types": ["case.commented", "case.created"]});
    send(&service, "PUT", &of_harness(""), types).await.expect(200);
    service.queue.forget_duplicates();
    let sent = send(&service, "POST", &of_harness("/replay"), json!({"since": since})).await.expect(202);
    assert_eq!(sent["sent"], 1);
    let later = json!({"since": Timestamp::now()});
    assert_eq!(send(&service, "POST", &of_harness("/replay"), later).await.expect(202)["sent"], 0);
}

#[tokio::test]
async fn a_replay_sends_a_delivery_that_is_over_again_and_one_that_waits_not_twice() {
    let service = Service::start().await;
    let since = Timestamp::now();
    service.put_webhook(123, OWN_WEBHOOK, "all types").await;
    for (case, state) in [(1, "delivered"), (2, "failed"), (3, "pending")] {
        let created = service.create("admin", json!({"procedure_type": "Crown"})).await;
        service.put_delivery(123, OWN_WEBHOOK, case, state).await;
        let sk = format!("DELIVERY#{OWN_WEBHOOK}#20261124T093000000Z-{case}-1");
        let mut record = service.typed_item(123, &sk).await;
        service.delete_item(123, &sk).await;
        let at = created["updated_at"].as_str().unwrap();
        let digits: String = at.chars().filter(char::is_ascii_alphanumeric).collect();
        record["sk"] = json!({"S": format!("DELIVERY#{OWN_WEBHOOK}#{digits}-{case}-1")});
        record["message"]["M"]["timestamp"] = json!({"S": at});
        service.put_typed_items(&[record]).await;
    }
    let sent = send(&service, "POST", &of_harness("/replay"), json!({"since": since})).await.expect(202);
    assert_eq!(sent, json!({"sent": 2, "next_cursor": null}));
    let rounds: Vec<(Value, Value)> = service
        .queue
        .bodies()
        .iter()
        .map(|body| (body["message"]["data"]["case_id"].clone(), body["round"].clone()))
        .collect();
    assert_eq!(rounds, [(json!(1), json!(2)), (json!(2), json!(2))]);
}

#[tokio::test]
async fn a_long_replay_goes_on_with_its_cursor_and_misses_nothing() {
    let service = Service::start().await;
    let since = Timestamp::now();
    service.put_webhook(123, OWN_WEBHOOK, "all types").await;
    for _ in 0..103 {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
    let first = send(&service, "POST", &of_harness("/replay"), json!({"since": since})).await.expect(202);
    assert_eq!(first["sent"], 100);
    let cursor = first["next_cursor"].as_str().unwrap();
    let rest = json!({"since": since, "cursor": cursor});
    let rest = send(&service, "POST", &of_harness("/replay"), rest).await.expect(202);
    assert_eq!(rest, json!({"sent": 3, "next_cursor": null}));
    let ids: Vec<u64> =
        messages(&service).iter().map(|message| message["data"]["case_id"].as_u64().unwrap()).collect();
    assert_eq!(ids, (1..=103).collect::<Vec<_>>());
    let other = json!({"since": since - 1.hour(), "cursor": cursor});
    send(&service, "POST", &of_harness("/replay"), other).await.expect_problem(400, "invalid_cursor");
}

#[tokio::test]
async fn a_replay_begins_at_a_time_of_the_last_30_days() {
    let service = with_webhook().await;
    let days = |days: i64| Timestamp::now() - (days * 24).hours();
    for since in [json!(days(31)), json!("yesterday"), json!("2026-11-28"), json!(1), Value::Null] {
        let reply = send(&service, "POST", &of_harness("/replay"), json!({"since": since})).await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), ["/since"], "{since}");
    }
    let since = json!({"since": days(29)});
    assert_eq!(send(&service, "POST", &of_harness("/replay"), since).await.expect(202)["sent"], 0);
}

#[tokio::test]
async fn every_change_of_a_webhook_and_every_message_has_an_audit_record() {
    let service = with_webhook().await;
    let retry = format!("/{OWN_WEBHOOK}/deliveries/{DELIVERY}/retry");
    let since = json!({"since": Timestamp::now()});
    for (method, path, body, action, in_transaction) in [
        ("POST", "", json!({"url": URL}), "createWebhook", true),
        ("PUT", &of_harness(""), json!({"description": "x"}), "updateWebhook", true),
        ("PUT", &of_harness(""), json!({"description": "x"}), "updateWebhook", false),
        ("POST", &of_harness("/rotate-secret"), Value::Null, "rotateWebhookSecret", true),
        ("POST", &of_harness("/test"), Value::Null, "testWebhook", false),
        ("POST", &retry, Value::Null, "retryWebhookDelivery", false),
        ("POST", &of_harness("/replay"), since, "replayWebhook", false),
        ("DELETE", &of_harness(""), Value::Null, "deleteWebhook", true),
    ] {
        let before = service.access_records(123).await.len();
        service.dynamodb.take_calls();
        send(&service, method, path, body).await.expect_success();
        let calls = service.dynamodb.take_calls();
        assert_eq!(calls.contains(&"PutItem".to_owned()), !in_transaction, "{action}: {calls:?}");
        let records = service.access_records(123).await;
        let last = records.last().unwrap();
        assert_eq!(
            (records.len(), &last["action"], &last["outcome"], &last["case_ids"], &last["user_id"]),
            (before + 1, &json!(action), &json!("granted"), &json!([]), &json!("1"))
        );
    }
}

#[tokio::test]
async fn a_lab_moves_with_its_webhooks_but_without_their_secrets() {
    let (old, parent) = (Service::start().await, tempfile::tempdir().unwrap());
    let (lab, path) = (LabId::new(123).unwrap(), parent.path().join("lab"));
    old.create("admin", json!({"procedure_type": "Crown"})).await;
    let created = create(&old, json!({"url": URL})).await;
    send(&old, "POST", &format!("{}/rotate-secret", path_of(&created)), Value::Null).await.expect(200);
    let webhook = get(&old, &path_of(&created)).await;
    let manifest = export::run(&old.lab_data_config(), lab, &path).await.unwrap();
    assert_eq!(manifest.files["webhooks"].items, 1);
    let text = std::fs::read_to_string(path.join("webhooks.ndjson")).unwrap();
    assert!(!text.contains("secrets") && !text.contains("previous"), "{text}");

    let new = Service::start().await;
    folder::run(&new.lab_data_config(), &path, Mode::Write, |_| {}).await.unwrap();
    let settings = json!({"enabled": false, "previous_secret_until": null});
    assert_eq!(get(&new, &path_of(&created)).await, with_settings(&webhook, settings));
    let test = format!("{}/test", path_of(&created));
    send(&new, "POST", &test, Value::Null).await.expect_problem(409, "webhook_disabled");
    let rotate = format!("{}/rotate-secret", path_of(&created));
    assert_eq!(send(&new, "POST", &rotate, Value::Null).await.expect(200)["enabled"], true);
    send(&new, "POST", &test, Value::Null).await.expect(202);
}

/// Runs the code of docs/events.md on a request. Returns whether it accepts it.
fn accepts(parts: &Value, secret: &str) -> bool {
    let text = std::fs::read_to_string(spec::root().join("docs/events.md")).unwrap();
    let code = text.split_once("```python\n").unwrap().1.split_once("```").unwrap().0;
    let call = "import sys\nparts, secret = json.load(sys.stdin)\nprint(verified(parts['headers'], parts['body'].encode(), secret)['type'])";
    let mut python = Command::new("python3")
        .args(["-c", &format!("{code}\n{call}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    python.stdin.take().unwrap().write_all(json!([parts, secret]).to_string().as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    let (shown, errors) =
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(shown == "webhook.test\n" || errors.contains("ValueError: "), "{shown}{errors}");
    output.status.success()
}

#[tokio::test]
async fn the_code_in_the_guide_accepts_messages_of_the_service_and_no_others() {
    let service = Service::start().await;
    let receiver = Receiver::start().await;
    let _deliveries = service.deliver(fast());
    let webhook = create(&service, json!({"url": receiver.url()})).await;
    send(&service, "POST", &format!("{}/test", path_of(&webhook)), Value::Null).await.expect(202);
    let parts = receiver.wait_for(1).await[0].parts();
    let secret = webhook["secret"].as_str().unwrap();
    assert!(accepts(&parts, secret));
    let other = create(&service, json!({"url": URL})).await;
    assert!(!accepts(&parts, other["secret"].as_str().unwrap()));
    let mut changed = parts.clone();
    changed["body"] = json!(parts["body"].as_str().unwrap().replace("123", "456"));
    assert!(!accepts(&changed, secret));
    let mut old = parts;
    old["headers"]["webhook-timestamp"] = json!("1764322866");
    assert!(!accepts(&old, secret));
}

#[tokio::test]
async fn simultaneous_changes_of_a_webhook_are_all_made() {
    let service = Service::start_tuned(&[], |config| config.retry_budget = Duration::from_secs(8)).await;
    let webhook = create(&service, json!({"url": URL})).await;
    let path = path_of(&webhook);
    let (rotate, changes) =
        (format!("{path}/rotate-secret"), [json!({"description": "x"}), json!({"types": ["case.created"]})]);
    let [one, other] = changes.map(|body| send(&service, "PUT", &path, body));
    let (one, other, rotated) = tokio::join!(one, other, send(&service, "POST", &rotate, Value::Null));
    let rotated = rotated.expect(200);
    one.expect(200);
    other.expect(200);
    let now = get(&service, &path).await;
    assert_eq!(
        (&now["version"], &now["description"], &now["types"], &now["public_key"]),
        (&json!(4), &json!("x"), &json!(["case.created"]), &rotated["public_key"])
    );
}
