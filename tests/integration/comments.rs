//! Comments: the life of a comment, who may do what, and the cases that wait for an answer.

use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use jiff::{Timestamp, ToSpan};
use serde_json::{Value, json};
use shared::{
    base::{LabId, wire_enum::WireEnum},
    case::repair::{Mode, Repair},
};

use crate::harness::{Reply, Service, proxy::Fault};

const LAB: i64 = 123;
const PATH: &str = "/api/v1/cases/1/comments";

async fn with_case() -> Service {
    let service = Service::start().await;
    service.create("admin", json!({"procedure_type": "Crown", "patient_name": "Jane Roe"})).await;
    service
}

async fn send(service: &Service, user: &str, method: &str, path: &str, body: Value) -> Reply {
    let call = service.as_user(user, method, path);
    if body.is_null() { call.send().await } else { call.json(body).send().await }
}

/// Writes a comment and returns it.
async fn comment(service: &Service, user: &str, body: Value) -> Value {
    send(service, user, "POST", PATH, body).await.expect(201)
}

async fn ask(service: &Service, user: &str) -> u64 {
    comment(service, user, json!({"text": "Which shade?", "asks": true})).await["id"].as_u64().unwrap()
}

async fn answer(service: &Service, user: &str) -> u64 {
    comment(service, user, json!({"text": "A2"})).await["id"].as_u64().unwrap()
}

async fn remove(service: &Service, user: &str, id: u64) -> Reply {
    send(service, user, "DELETE", &format!("{PATH}/{id}"), Value::Null).await
}

async fn get(service: &Service, user: &str, path: &str) -> Value {
    send(service, user, "GET", path, Value::Null).await.expect(200)
}

async fn case(service: &Service) -> Value {
    get(service, "viewer", "/api/v1/cases/1").await
}

/// Whether the case waits for an answer: by the case itself, by both lists, and by the board.
async fn is_waiting(service: &Service) -> bool {
    let is_waiting = case(service).await["waiting_for_answer"].as_bool().unwrap();
    for (value, expected) in [(true, is_waiting), (false, !is_waiting)] {
        let path = format!("/api/v1/cases?waiting_for_answer={value}");
        let found = get(service, "viewer", &path).await["cases"].as_array().unwrap().len();
        assert_eq!(found, usize::from(expected), "{path}");
    }
    let stats = get(service, "viewer", "/api/v1/cases/stats").await;
    assert_eq!(stats["waiting_for_answer"], u64::from(is_waiting));
    is_waiting
}

async fn verify(service: &Service) {
    let verification = get(service, "viewer", "/api/v1/cases/1/history/verify").await;
    assert_eq!(verification["valid"], true, "{verification}");
}

#[tokio::test]
async fn a_comment_is_written_edited_removed_and_each_time_it_is_a_change_of_its_case() {
    let service = with_case().await;
    let body = json!({"text": "Mesial margin open?\nSee the scan.", "mentions": ["5", "6"], "asks": true});
    let reply = send(&service, "technician", "POST", PATH, body).await;
    let first = reply.expect(201);
    assert_eq!(reply.header("location"), Some("/api/v1/cases/1/comments/1"));
    let at = &first["created_at"];
    let expected = json!({
        "id": 1, "case_id": 1, "author": {"user_id": "2"}, "created_at": at, "edited_at": null,
        "text": "Mesial margin open?\nSee the scan.", "mentions": ["5", "6"], "attachments": [], "asks": true,
        "removed": null,
    });
    assert_eq!(first, expected);
    let now = case(&service).await;
    assert_eq!(
        [&now["version"], &now["comment_count"], &now["waiting_for_answer"], &now["updated_at"]],
        [&json!(2), &json!(1), &json!(true), at]
    );

    let path = format!("{PATH}/1");
    let edit = json!({"text": "Distal margin open?", "mentions": ["5"]});
    let edited = send(&service, "technician", "PUT", &path, edit).await.expect(200);
    let mut expected = json!({
        "id": 1, "case_id": 1, "author": {"user_id": "2"}, "created_at": at, "edited_at": edited["edited_at"],
        "text": "Distal margin open?", "mentions": ["5"], "attachments": [], "asks": true, "removed": null,
    });
    assert_eq!(edited, expected);
    assert!(edited["edited_at"].is_string());
    // It can be put back as it was read, which changes nothing.
    assert_eq!(send(&service, "technician", "PUT", &path, edited.clone()).await.expect(200), edited);
    let page = get(&service, "viewer", PATH).await;
    assert_eq!(page["comments"], json!([expected]));
    assert_eq!(case(&service).await["version"], 3);

    for _ in 0..2 {
        remove(&service, "technician", 1).await.expect_success();
    }
    let now = case(&service).await;
    assert_eq!(
        [&now["version"], &now["comment_count"], &now["waiting_for_answer"]],
        [&json!(4), &json!(0), &json!(false)]
    );
    expected["text"] = Value::Null;
    expected["mentions"] = json!([]);
    expected["removed"] = json!({"at": now["updated_at"], "user_id": "2"});
    let page = get(&service, "viewer", PATH).await;
    let pagination = json!({
        "page": 1, "per_page": 20, "total": 1, "pages": 1, "has_prev": false, "has_next": false, "next_cursor": null,
    });
    assert_eq!(page, json!({"comments": [expected], "pagination": pagination}));
    let item = &service.items(LAB).await["COMMENT#0000000001#000001"];
    assert!(!item.to_string().contains("margin"), "{item}");
    assert_eq!(answer(&service, "member").await, 2, "a number is used once");

    let history = get(&service, "viewer", "/api/v1/cases/1/history").await;
    let events: Vec<_> = history["events"]
        .as_array()
        .unwrap()
        .iter()
        .skip(1)
        .map(|event| {
            (event["action"].as_str().unwrap(), event["user_id"].as_str().unwrap(), &event["changes"])
        })
        .collect();
    let content = |text: &str, mentions: Value| json!({"id": 1, "text": text, "mentions": mentions, "attachments": [], "asks": true});
    let (one, two) = (
        content("Mesial margin open?\nSee the scan.", json!(["5", "6"])),
        content("Distal margin open?", json!(["5"])),
    );
    let of_comment = |from: Value, to: Value| json!({"field": "comment", "from": from, "to": to});
    let waiting = |from: bool| json!({"field": "waiting_for_answer", "from": from, "to": !from});
    let three = json!({"id": 2, "text": "A2", "mentions": [], "attachments": [], "asks": false});
    assert_eq!(
        events,
        [
            ("commented", "2", &json!([of_comment(Value::Null, one.clone()), waiting(false)])),
            ("comment_edited", "2", &json!([of_comment(one, two.clone())])),
            ("comment_removed", "2", &json!([of_comment(two, Value::Null), waiting(true)])),
            ("commented", "3", &json!([of_comment(Value::Null, three)])),
        ]
    );
    verify(&service).await;
}

#[tokio::test]
async fn everybody_who_may_read_may_comment_and_only_its_author_edits_a_comment() {
    let service = with_case().await;
    let users = ["viewer", "technician", "member", "admin"];
    for user in users {
        answer(&service, user).await;
    }
    let body = json!({"text": "Other words"});
    for user in users {
        for (index, author) in users.iter().enumerate() {
            let path = format!("{PATH}/{}", index + 1);
            let reply = send(&service, user, "PUT", &path, body.clone()).await;
            if user == *author {
                reply.expect(200);
            } else {
                let problem = reply.expect_problem(403, "forbidden");
                assert_eq!(problem["detail"], "Only the author of a comment can edit it.");
            }
        }
    }
    remove(&service, "member", 1).await.expect_problem(403, "forbidden");
    remove(&service, "admin", 1).await.expect_success();
    remove(&service, "member", 3).await.expect_success();
    let page = get(&service, "viewer", PATH).await;
    let removed: Vec<_> =
        page["comments"].as_array().unwrap().iter().map(|it| &it["removed"]["user_id"]).collect();
    assert_eq!(removed, [&json!("1"), &Value::Null, &json!("3"), &Value::Null]);
    send(&service, "member", "PUT", &format!("{PATH}/3"), body).await.expect_problem(409, "comment_removed");
    let records = service.access_records(LAB).await;
    let refused =
        records.iter().filter(|record| record["outcome"] == "refused" && record["case_ids"] == json!([1]));
    assert_eq!(refused.count(), 14, "each refusal is recorded");
}

#[tokio::test]
async fn a_comment_can_be_edited_for_fifteen_minutes() {
    let service = with_case().await;
    let edit = async |minutes: i64, text: &str| {
        let at = format!("{:.3}", Timestamp::now() - minutes.minutes());
        service.change_item(LAB, "COMMENT#0000000001#000001", json!({"created_at": at})).await;
        send(&service, "technician", "PUT", &format!("{PATH}/1"), json!({"text": text})).await
    };
    answer(&service, "technician").await;
    edit(14, "in time").await.expect(200);
    edit(16, "too late").await.expect_problem(409, "edit_period_over");
    let page = get(&service, "viewer", PATH).await;
    assert_eq!(
        (&page["comments"][0]["text"], &case(&service).await["version"]),
        (&json!("in time"), &json!(3))
    );
    remove(&service, "technician", 1).await.expect_success();
}

#[tokio::test]
async fn all_faults_of_a_comment_are_reported_at_once() {
    let service = with_case().await;
    let many: Vec<String> = (0..51).map(|number| format!("user{number}")).collect();
    for (body, pointers) in [
        (json!({}), vec!["/text"]),
        (json!({"text": null, "mentions": "5", "asks": "yes"}), vec!["/text", "/mentions", "/asks"]),
        (json!({"text": " \n", "mentions": many}), vec!["/text", "/mentions"]),
        (json!({"text": "x".repeat(4001), "mentions": ["5", "5"]}), vec!["/text", "/mentions"]),
        (json!({"text": "a\u{202e}b", "mentions": ["../5"], "id": 1}), vec!["/text", "/mentions", "/id"]),
    ] {
        let reply = send(&service, "admin", "POST", PATH, body).await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), pointers);
    }
    let whole = json!({"text": "é".repeat(4000), "mentions": many[..50], "asks": null});
    comment(&service, "admin", whole).await;
    let path = format!("{PATH}/1");
    for (body, pointers) in [
        (json!({"text": null, "mentions": [5]}), vec!["/text", "/mentions"]),
        (
            json!({"asks": true, "author": {"user_id": "2"}, "removed": {}}),
            vec!["/author", "/asks", "/removed"],
        ),
        (json!({"attachments": ["att_0000000000000000"]}), vec!["/attachments"]),
    ] {
        let reply = send(&service, "admin", "PUT", &path, body).await;
        reply.expect_problem(422, "validation_failed");
        assert_eq!(reply.pointers(), pointers);
    }
    let cleared = send(&service, "admin", "PUT", &path, json!({"mentions": null})).await.expect(200);
    assert_eq!(cleared["mentions"], json!([]));
    assert_eq!(case(&service).await["version"], 3, "a rejected request changes nothing");
}

#[tokio::test]
async fn a_case_waits_until_another_user_answers() {
    let service = with_case().await;
    assert!(!is_waiting(&service).await);
    answer(&service, "admin").await;
    assert!(!is_waiting(&service).await);
    let first = ask(&service, "technician").await;
    assert!(is_waiting(&service).await);
    answer(&service, "technician").await;
    assert!(is_waiting(&service).await, "who asks does not answer");
    ask(&service, "member").await;
    answer(&service, "member").await;
    assert!(is_waiting(&service).await, "the question of the member is open");
    answer(&service, "viewer").await;
    assert!(!is_waiting(&service).await);

    let (second, third) = (ask(&service, "technician").await, ask(&service, "technician").await);
    remove(&service, "technician", first).await.expect_success();
    remove(&service, "technician", second).await.expect_success();
    assert!(is_waiting(&service).await, "a question is left");
    remove(&service, "admin", third).await.expect_success();
    assert!(!is_waiting(&service).await);
    verify(&service).await;
}

#[tokio::test]
async fn waiting_cases_are_found_in_every_order_and_with_other_filters() {
    let service = Service::start().await;
    let mut expected = Vec::new();
    for id in 1..=12 {
        let body = json!({
            "procedure_type": "Crown", "due_date": format!("2027-01-{:02}", 20 - id), "patient_name": "Jane Roe",
            "assigned_to": (if id % 2 == 0 { "7" } else { "8" }), "patient_info": {"patient_id": "P-1"},
        });
        service.create("admin", body).await;
        if id % 3 == 0 {
            let path = format!("/api/v1/cases/{id}/comments");
            send(&service, "admin", "POST", &path, json!({"text": "?", "asks": true})).await.expect(201);
            expected.push(id);
        }
    }
    let ids = async |query: &str| -> Vec<i64> {
        let page = get(&service, "admin", &format!("/api/v1/cases?{query}")).await;
        page["cases"].as_array().unwrap().iter().map(|case| case["id"].as_i64().unwrap()).collect()
    };
    for (query, found) in [
        ("waiting_for_answer=true", vec![12, 9, 6, 3]),
        ("waiting_for_answer=true&order=asc", expected.clone()),
        ("waiting_for_answer=true&sort=due_date", vec![12, 9, 6, 3]),
        ("waiting_for_answer=true&sort=updated_at", vec![12, 9, 6, 3]),
        ("waiting_for_answer=true&sort=priority", vec![12, 9, 6, 3]),
        ("waiting_for_answer=true&assigned_to=7", vec![12, 6]),
        ("waiting_for_answer=true&patient_id=P-1&status=pending", vec![12, 9, 6, 3]),
        ("waiting_for_answer=true&q=jane", vec![12, 9, 6, 3]),
        ("waiting_for_answer=true&status=shipped", vec![]),
        ("waiting_for_answer=false&assigned_to=8", vec![11, 7, 5, 1]),
        ("waiting_for_answer=false&sort=due_date&limit=3", vec![11, 10, 8]),
        ("waiting_for_answer=false&sort=updated_at&limit=2", vec![11, 10]),
    ] {
        assert_eq!(ids(query).await, found, "{query}");
    }
    let body = json!({"waiting_for_answer": true, "limit": 3});
    let page = send(&service, "viewer", "POST", "/api/v1/cases/search", body).await.expect(200);
    assert_eq!(page["cases"].as_array().unwrap().len(), 3);
    let cursor = page["pagination"]["next_cursor"].as_str().unwrap();
    assert_eq!(ids(&format!("waiting_for_answer=true&limit=3&cursor={cursor}")).await, [3]);
    let csv =
        send(&service, "admin", "GET", "/api/v1/cases/export?waiting_for_answer=true", Value::Null).await;
    let csv = String::from_utf8(csv.bytes).unwrap();
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let columns = rows.headers().unwrap().clone();
    let place = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let cells: Vec<_> = rows.records().map(Result::unwrap).collect();
    assert_eq!(cells.len(), 4);
    assert!(
        cells
            .iter()
            .all(|row| &row[place("comment_count")] == "1" && &row[place("waiting_for_answer")] == "true")
    );

    // Deleted cases do not wait, but they remember the question.
    send(&service, "admin", "DELETE", "/api/v1/cases/3", Value::Null).await.expect_success();
    assert_eq!(ids("waiting_for_answer=true").await, [12, 9, 6]);
    assert_eq!(ids("waiting_for_answer=true&deleted=true").await, [3]);
    assert_eq!(ids("waiting_for_answer=false&deleted=true").await, [0; 0]);
    assert_eq!(get(&service, "admin", "/api/v1/cases/stats").await["waiting_for_answer"], 3);
    send(&service, "admin", "POST", "/api/v1/cases/3/restore", Value::Null).await.expect(200);
    assert_eq!(ids("waiting_for_answer=true").await, [12, 9, 6, 3]);
    assert_eq!(get(&service, "admin", "/api/v1/cases/stats").await["waiting_for_answer"], 4);
}

#[tokio::test]
async fn comments_are_listed_in_their_order_page_by_page() {
    let service = with_case().await;
    for number in 1..=5 {
        comment(&service, "admin", json!({"text": format!("number {number}")})).await;
    }
    let mut texts = Vec::new();
    let mut path = format!("{PATH}?limit=2");
    loop {
        let page = get(&service, "viewer", &path).await;
        let is_first = !path.contains("cursor");
        assert_eq!(page["pagination"]["total"], if is_first { json!(5) } else { Value::Null });
        texts.extend(
            page["comments"].as_array().unwrap().iter().map(|it| it["text"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["pagination"]["next_cursor"].as_str() else { break };
        path = format!("{PATH}?limit=2&cursor={cursor}");
    }
    assert_eq!(texts, (1..=5).map(|number| format!("number {number}")).collect::<Vec<_>>());
    let reply = send(&service, "viewer", "GET", &format!("{PATH}?page=2"), Value::Null).await;
    reply.expect_problem(400, "invalid_parameter");
}

#[tokio::test]
async fn a_comment_belongs_to_a_case_of_the_lab() {
    let service = with_case().await;
    service.create("northgate", json!({"procedure_type": "Crown"})).await;
    service.create("northgate", json!({"procedure_type": "Crown"})).await;
    answer(&service, "northgate").await;
    answer(&service, "northgate").await;
    answer(&service, "admin").await;
    assert_eq!(get(&service, "northgate", PATH).await["comments"].as_array().unwrap().len(), 2);
    assert_eq!(get(&service, "admin", PATH).await["comments"].as_array().unwrap().len(), 1);
    let other = "/api/v1/cases/2/comments";
    for (method, path, body) in [
        ("GET", other.to_owned(), Value::Null),
        ("POST", other.to_owned(), json!({"text": "x"})),
        ("PUT", format!("{other}/1"), json!({"text": "x"})),
        ("DELETE", format!("{other}/1"), Value::Null),
    ] {
        send(&service, "admin", method, &path, body).await.expect_problem(404, "case_not_found");
    }
    for id in ["2", "0", "01", "1000000", "one", "-1"] {
        for (method, body) in [("PUT", json!({"text": "x"})), ("DELETE", Value::Null)] {
            let path = format!("{PATH}/{id}");
            send(&service, "admin", method, &path, body).await.expect_problem(404, "comment_not_found");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_comments_get_numbers_of_their_own_and_are_all_counted() {
    let service = Service::start_patient().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    let calls = (0..12).map(|number| {
        let user = ["viewer", "technician", "member", "admin"][number % 4];
        let body = json!({"text": format!("number {number}"), "asks": number % 3 == 0});
        service.as_user(user, "POST", PATH).json(body).send()
    });
    let mut ids: Vec<u64> =
        join_all(calls).await.iter().map(|reply| reply.expect(201)["id"].as_u64().unwrap()).collect();
    ids.sort_unstable();
    assert_eq!(ids, (1..=12).collect::<Vec<_>>());
    let now = case(&service).await;
    assert_eq!((&now["version"], &now["comment_count"]), (&json!(13), &json!(12)));
    is_waiting(&service).await;
    verify(&service).await;
}

#[tokio::test]
async fn a_comment_whose_response_was_lost_is_written_once() {
    let service = with_case().await;
    static WRITES: AtomicU32 = AtomicU32::new(0);
    service.dynamodb.rule(|name, _| match name {
        "TransactWriteItems" if WRITES.fetch_add(1, Ordering::Relaxed) == 0 => Fault::LoseAnswer,
        "TransactWriteItems" => Fault::Answer(500, "{}".into()),
        _ => Fault::Pass,
    });
    let body = json!({"text": "once", "asks": true});
    let repeat = || {
        service.as_user("admin", "POST", PATH).header("idempotency-key", "key-1").json(body.clone()).send()
    };
    repeat().await.expect_problem(503, "service_unavailable");
    service.dynamodb.heal();
    let first = repeat().await;
    assert_eq!(
        (first.header("idempotency-replayed"), first.header("location")),
        (Some("true"), Some("/api/v1/cases/1/comments/1"))
    );
    answer(&service, "member").await;
    assert_eq!(repeat().await.expect(201), first.expect(201));
    assert_eq!(case(&service).await["comment_count"], 2);
    let other = service
        .as_user("admin", "POST", PATH)
        .header("idempotency-key", "key-1")
        .json(json!({"text": "other"}));
    other.send().await.expect_problem(409, "idempotency_key_reused");
    send(&service, "admin", "DELETE", "/api/v1/cases/1", Value::Null).await.expect_success();
    repeat().await.expect_problem(404, "case_not_found");
}

#[tokio::test]
async fn the_comments_of_a_deleted_case_are_not_found_and_come_back_with_it() {
    let service = with_case().await;
    ask(&service, "admin").await;
    let before = get(&service, "viewer", PATH).await;
    send(&service, "admin", "DELETE", "/api/v1/cases/1", Value::Null).await.expect_success();
    for (method, path, body) in [
        ("GET", PATH, Value::Null),
        ("POST", PATH, json!({"text": "x"})),
        ("PUT", "/api/v1/cases/1/comments/1", json!({"text": "x"})),
        ("DELETE", "/api/v1/cases/1/comments/1", Value::Null),
    ] {
        send(&service, "admin", method, path, body).await.expect_problem(404, "case_not_found");
    }
    send(&service, "admin", "POST", "/api/v1/cases/1/restore", Value::Null).await.expect(200);
    assert_eq!(get(&service, "viewer", PATH).await, before);
    assert!(is_waiting(&service).await);
    assert_eq!(answer(&service, "member").await, 2);
    assert!(!is_waiting(&service).await);
    verify(&service).await;
}

#[tokio::test]
async fn a_changed_case_is_noticed_by_if_match_and_the_feed() {
    let service = with_case().await;
    let newest = get(&service, "admin", "/api/v1/cases/changes?since=now").await;
    let cursor = newest["next_cursor"].as_str().unwrap().to_owned();
    ask(&service, "technician").await;
    let put = service.as_user("admin", "PUT", "/api/v1/cases/1").header("if-match", "\"1\"");
    put.json(json!({"notes": "x"})).send().await.expect_problem(412, "precondition_failed");
    let feed = get(&service, "admin", &format!("/api/v1/cases/changes?since={cursor}")).await;
    let changes = feed["changes"].as_array().unwrap();
    assert_eq!(changes.len(), 1);
    assert_eq!((&changes[0]["version"], &changes[0]["case"]), (&json!(2), &case(&service).await));
    // The case can be put back as it was read, and its new members cannot be set.
    let mut whole = case(&service).await;
    whole["notes"] = json!("put back");
    let whole = send(&service, "admin", "PUT", "/api/v1/cases/1", whole).await.expect(200);
    assert_eq!(whole["waiting_for_answer"], true);
    let reply = send(
        &service,
        "admin",
        "PUT",
        "/api/v1/cases/1",
        json!({"comment_count": 9, "waiting_for_answer": false}),
    )
    .await;
    reply.expect_problem(422, "validation_failed");
    assert_eq!(reply.pointers(), ["/comment_count", "/waiting_for_answer"]);
    let remake = json!({"reason_code": "fit", "reason": "too tight"});
    let remade = send(&service, "admin", "POST", "/api/v1/cases/1/remakes", remake).await.expect(201);
    assert_eq!((&remade["comment_count"], &remade["waiting_for_answer"]), (&json!(0), &json!(false)));
}

#[tokio::test]
async fn the_comments_of_an_expired_case_are_removed() {
    let service = Service::start_with_streams_tuned(|config| config.retention_days = 0).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    for text in ["one secret word", "two secret words"] {
        comment(&service, "technician", json!({"text": text})).await;
    }
    let path = "/api/v1/cases/2/comments";
    send(&service, "technician", "POST", path, json!({"text": "of another case"})).await.expect(201);
    send(&service, "admin", "DELETE", "/api/v1/cases/1", Value::Null).await.expect_success();
    assert_eq!(service.expire_items().await, 1);
    service.process_streams().await;
    let items = service.items(LAB).await;
    let left: Vec<&String> = items.keys().filter(|sk| sk.starts_with("COMMENT#")).collect();
    assert_eq!(left, ["COMMENT#0000000002#000001"]);
    assert!(items.contains_key("TOMBSTONE#0000000001"));
    assert!(items.values().all(|item| !item.to_string().contains("secret")));
}

#[tokio::test]
async fn a_wrong_count_of_waiting_cases_is_mended() {
    let service = with_case().await;
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    ask(&service, "technician").await;
    answer(&service, "member").await;
    ask(&service, "technician").await;
    let run = async |mode| {
        let repair = Repair::new(&service.verification_config(), mode).unwrap();
        let report = repair.run(LabId::new(123).unwrap(), |_, _| {}).await.unwrap();
        let faults = report.faults.iter().filter(|fault| !fault.detail.contains("words"));
        faults.map(|fault| fault.detail.clone()).collect::<Vec<_>>()
    };
    assert_eq!(run(Mode::DryRun).await, [""; 0]);
    service.change_number(LAB, "STATS#00", "waiting_for_answer", 5).await;
    let is = service.statistics(LAB).await["waiting_for_answer"];
    assert_eq!(run(Mode::Write).await, [format!("waiting_for_answer is {is} instead of 1")]);
    assert_eq!(run(Mode::DryRun).await, [""; 0]);
    assert!(is_waiting_by_stats(&service).await);
}

async fn is_waiting_by_stats(service: &Service) -> bool {
    get(service, "viewer", "/api/v1/cases/stats").await["waiting_for_answer"] == 1
}

#[tokio::test]
async fn cases_of_an_earlier_release_have_no_comments_and_can_get_some() {
    let service = with_case().await;
    let of_comments =
        ["comment_count", "waiting_for_answer", "last_comment_id", "open_questions", "waiting_id"];
    let item = service.items(LAB).await.remove("CASE#0000000001").unwrap();
    assert!(of_comments.iter().all(|name| item[name].is_null()), "a case without comments is as before");
    let now = case(&service).await;
    assert_eq!((&now["comment_count"], &now["waiting_for_answer"]), (&json!(0), &json!(false)));
    assert_eq!(get(&service, "viewer", PATH).await["comments"], json!([]));
    assert!(!is_waiting(&service).await);
    ask(&service, "technician").await;
    assert!(is_waiting(&service).await);
    let item = service.items(LAB).await.remove("CASE#0000000001").unwrap();
    assert!(of_comments.iter().all(|name| !item[name].is_null()), "{item}");
}

/// What an earlier release does with the attributes that it does not know: it keeps them and seals them as part of the case.
#[tokio::test]
async fn the_key_of_the_index_is_part_of_the_sealed_state() {
    let service = with_case().await;
    ask(&service, "technician").await;
    verify(&service).await;
    service.change_number(LAB, "CASE#0000000001", "waiting_id", 7).await;
    let verification = get(&service, "viewer", "/api/v1/cases/1/history/verify").await;
    assert_eq!(verification["fault_code"], "case_changed");
}

#[tokio::test]
async fn a_comment_that_is_not_what_its_events_say_is_found() {
    let service = with_case().await;
    let faults = async || {
        let repair = Repair::new(&service.verification_config(), Mode::Write).unwrap();
        let report = repair.run(LabId::new(123).unwrap(), |_, _| {}).await.unwrap();
        let faults = report.faults.into_iter().filter(|fault| fault.kind.as_str() == "comment");
        faults.map(|fault| (fault.place, fault.is_mended)).collect::<Vec<_>>()
    };
    for user in ["technician", "member", "admin"] {
        ask(&service, user).await;
    }
    send(&service, "technician", "PUT", &format!("{PATH}/1"), json!({"text": "Other words"}))
        .await
        .expect(200);
    remove(&service, "admin", 2).await.expect_success();
    assert_eq!(faults().await, []);
    let sk = |id: u32| format!("COMMENT#0000000001#{id:06}");
    service.change_item(LAB, &sk(1), json!({"text": "forged"})).await;
    service.change_item(LAB, &sk(2), json!({"text": "brought back"})).await;
    service.delete_item(LAB, &sk(3)).await;
    assert_eq!(faults().await, [(sk(1), false), (sk(2), false), (sk(3), false)]);
}

#[tokio::test]
async fn what_a_newer_release_has_added_to_a_comment_survives_its_edit_and_its_removal() {
    let service = with_case().await;
    answer(&service, "technician").await;
    let sk = "COMMENT#0000000001#000001";
    service.change_item(LAB, sk, json!({"reaction": "thumbs up"})).await;
    let path = format!("{PATH}/1");
    send(&service, "technician", "PUT", &path, json!({"text": "A3"})).await.expect(200);
    remove(&service, "technician", 1).await.expect_success();
    assert_eq!(service.items(LAB).await[sk]["reaction"], "thumbs up");
}
