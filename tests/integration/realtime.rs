//! Push: tickets, connections, subscriptions, and the signals of changes.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::base::time::Timestamp;

use crate::harness::{
    Fault, Service, leaks,
    sockets::{Client, changes},
};

const CROWN: &str = "Crown";
const ENDED: &str = "The connection has ended, or is not of this lab. Get a ticket and connect again.";

fn now() -> i64 {
    Timestamp::now().epoch_seconds()
}

async fn create(service: &Service) -> u64 {
    service.create("admin", json!({"procedure_type": CROWN})).await["id"].as_u64().unwrap()
}

async fn set_status(service: &Service, id: u64, status: &str) {
    let path = format!("/api/v1/cases/{id}/status");
    let body = json!({"status": status, "reason": "because"});
    service.as_user("admin", "PATCH", &path).json(body).send().await.expect(200);
}

/// The changes of the feed after a cursor.
async fn feed(service: &Service, cursor: &Value) -> Value {
    let path = format!("/api/v1/cases/changes?since={}", cursor.as_str().unwrap());
    service.as_user("admin", "GET", &path).send().await.expect(200)
}

/// The keys of the connections of lab 123.
async fn keys(service: &Service) -> BTreeSet<String> {
    service.connections(123).await.into_keys().filter(|sk| sk.starts_with("CONNECTION#")).collect()
}

fn key(client: &Client) -> String {
    format!("CONNECTION#{}", client.id)
}

/// The service says why, and closes the connection.
async fn assert_ended(client: &Client<'_>, message: Value, detail: &str) {
    client.received();
    // Said before the connection is closed, so the answer has nothing.
    assert_eq!(client.send(message).await, None);
    assert_eq!(client.received(), [json!({"type": "error", "code": "unauthorized", "detail": detail})]);
    assert!(!client.is_open());
    client.leave(true).await;
}

#[tokio::test]
async fn a_client_opens_a_connection_and_hears_of_every_change() {
    let service = Service::start_with_streams().await;
    let reply = service.ticket("viewer").await;
    let ticket = reply.expect(201);
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    let (url, expires_at) = (ticket["url"].as_str().unwrap(), ticket["expires_at"].as_str().unwrap());
    assert_eq!(ticket, json!({"url": url, "lab_id": 123, "expires_at": expires_at}));
    assert!(url.starts_with("wss://live.example.com/live?ticket=123."), "{url}");
    let ends_in = Timestamp::parse(expires_at).unwrap().epoch_seconds() - now();
    assert!((20..=30).contains(&ends_in), "{ends_in}");

    let client = service.open(url).await.unwrap_or_else(|status| panic!("{status}"));
    let first = create(&service).await;
    // Nobody has subscribed yet.
    assert_eq!(service.push_changes().await.map(|count| count > 0), Ok(true));
    assert_eq!(client.received(), [json!(null); 0]);

    let subscribed = client.subscribe(json!({})).await;
    let (ends_at, cursor) = (&subscribed["expires_at"], &subscribed["cursor"]);
    assert_eq!(
        subscribed,
        json!({"type": "subscribed", "lab_id": 123, "expires_at": ends_at, "cursor": cursor})
    );
    let lasts = Timestamp::parse(ends_at.as_str().unwrap()).unwrap().epoch_seconds() - now();
    assert!((14 * 60..=15 * 60).contains(&lasts), "{lasts}");
    assert_eq!(feed(&service, cursor).await["changes"], json!([]));

    set_status(&service, first, "in_progress").await;
    service.push_changes().await.unwrap();
    let received = client.received();
    let newest = &received[0]["cursor"];
    assert_eq!(
        received,
        [
            json!({"type": "changes", "lab_id": 123, "changes": [{"case_id": first, "version": 2}], "cursor": newest})
        ]
    );
    // The change is after the cursor of the subscription, and before that of the signal.
    assert_eq!(feed(&service, cursor).await["changes"][0]["version"], 2);
    assert_eq!(feed(&service, newest).await["changes"], json!([]));

    let path = format!("/api/v1/cases/{first}");
    service.as_user("admin", "DELETE", &path).send().await.expect(204);
    service.push_changes().await.unwrap();
    assert_eq!(client.changes(), [(first, 3)]);
    service.as_user("admin", "POST", &format!("{path}/restore")).send().await.expect(200);
    service.push_changes().await.unwrap();
    assert_eq!(client.changes(), [(first, 4)]);

    client.leave(true).await;
    assert_eq!(keys(&service).await, BTreeSet::new());
}

#[tokio::test]
async fn a_ticket_opens_one_connection_in_its_time() {
    let service = Service::start().await;
    let url = service.ticket("viewer").await.expect(201)["url"].as_str().unwrap().to_owned();
    let (head, ticket) = url.split_once("?ticket=").unwrap();
    // The table has the hash of the ticket only.
    let items = service.connections(123).await;
    assert_eq!(items.len(), 1);
    let (sk, item) = items.first_key_value().unwrap();
    assert!(sk.starts_with("TICKET#") && sk.len() == 71, "{sk}");
    assert!(!json!(items).to_string().contains(&ticket[4..]), "{items:?}");
    let until = item["connected_until"].as_i64().unwrap();
    assert_eq!(
        item,
        &json!({
            "lab_id": "123", "sk": sk, "user_id": "4", "connected_until": until, "expires_at": until - 15 * 60 + 30,
        })
    );
    let last = if ticket.ends_with('A') { "B" } else { "A" };
    let altered = format!("{}{last}", &ticket[..ticket.len() - 1]);
    for other in [
        head.to_owned(),
        format!("{head}?ticket="),
        format!("{head}?ticket=123"),
        format!("{head}?ticket={altered}"),
        format!("{head}?ticket=456{}", &ticket[3..]),
        format!("{head}?ticket={ticket}A"),
    ] {
        assert_eq!(service.open(&other).await.err(), Some(403), "{other}");
    }
    // Of callers at the same time, one wins.
    let opened = join_all((0..8).map(|_| service.open(&url))).await;
    assert_eq!(opened.iter().filter(|opened| opened.is_ok()).count(), 1);
    assert_eq!(service.open(&url).await.err(), Some(403));
    assert_eq!(keys(&service).await.len(), 1);

    let url = service.ticket("viewer").await.expect(201)["url"].as_str().unwrap().to_owned();
    let sk = service.connections(123).await.into_keys().find(|sk| sk.starts_with("TICKET#")).unwrap();
    service.change_connection(123, &sk, "expires_at", now() - 1).await;
    assert_eq!(service.open(&url).await.err(), Some(403));
    assert_eq!(keys(&service).await.len(), 1);
}

#[tokio::test]
async fn a_ticket_is_recorded_as_an_access() {
    let service = Service::start().await;
    service.ticket("viewer").await.expect(201);
    let records = service.access_records(123).await;
    let found: Vec<Value> = records
        .iter()
        .map(|record| json!([record["action"], record["outcome"], record["user_id"], record["case_ids"]]))
        .collect();
    assert_eq!(found, [json!(["createRealtimeTicket", "granted", "4", []])]);
    // A connection and its messages leave no trace but that: they have no data.
    let client = service.connect("viewer").await;
    client.subscribe(json!({})).await;
    assert_eq!(service.access_records(123).await.len(), 2);
}

#[tokio::test]
async fn a_filter_chooses_cases_by_their_status_before_or_after_or_by_their_id() {
    let service = Service::start_with_streams().await;
    let (one, other) = (create(&service).await, create(&service).await);
    service.push_changes().await.unwrap();
    let all = service.connect("viewer").await;
    let by_status = service.connect("viewer").await;
    let by_id = service.connect("admin").await;
    let by_both = service.connect("admin").await;
    all.subscribe(json!({})).await;
    by_status.subscribe(json!({"statuses": ["in_progress"]})).await;
    by_id.subscribe(json!({"case_ids": [other]})).await;
    by_both.subscribe(json!({"statuses": ["on_hold"], "case_ids": [one]})).await;
    for (id, status, heard) in [
        (one, "on_hold", [true, false, false, true]),
        (one, "in_progress", [true, true, false, true]),
        (one, "completed", [true, true, false, true]),
        (other, "on_hold", [true, false, true, true]),
        (other, "pending", [true, false, true, true]),
        (other, "cancelled", [true, false, true, false]),
    ] {
        set_status(&service, id, status).await;
        service.push_changes().await.unwrap();
        let found = [&all, &by_status, &by_id, &by_both].map(|client| !client.changes().is_empty());
        assert_eq!(found, heard, "{id} {status}");
    }
    // Another subscription replaces the one before.
    by_id.subscribe(json!({"case_ids": [one]})).await;
    set_status(&service, one, "shipped").await;
    service.push_changes().await.unwrap();
    assert_eq!(by_id.changes(), [(one, 5)]);
}

#[tokio::test]
async fn no_lab_hears_of_another_labs_cases() {
    let service = Service::start_with_streams().await;
    let client = service.connect("both").await;
    client.subscribe(json!({})).await;
    let path = "/api/v1/realtime/tickets";
    let other = service.as_user("both", "POST", path).lab(456).send().await.expect(201);
    assert_eq!(other["lab_id"], 456);
    let other =
        service.open(other["url"].as_str().unwrap()).await.unwrap_or_else(|status| panic!("{status}"));
    let answer = other.send(json!({"action": "subscribe", "lab_id": 456})).await.unwrap();
    assert_eq!(answer["type"], "subscribed");
    create(&service).await;
    service.push_changes().await.unwrap();
    assert_eq!((client.changes(), other.changes()), (vec![(1, 1)], vec![]));
    service.create("northgate", json!({"procedure_type": CROWN})).await;
    service.create("northgate", json!({"procedure_type": CROWN})).await;
    service.push_changes().await.unwrap();
    assert_eq!((client.changes(), other.changes()), (vec![], vec![(1, 1), (2, 1)]));
    // Nobody subscribes to another lab than that of the ticket, and nobody keeps a connection with a ticket of another lab.
    assert_ended(&other, json!({"action": "subscribe", "lab_id": 123}), ENDED).await;
    let ticket = service.as_user("both", "POST", path).lab(456).send().await.expect(201);
    let ticket = ticket["url"].as_str().unwrap().split_once("?ticket=").unwrap().1.to_owned();
    assert_ended(&client, json!({"action": "renew", "ticket": ticket}), ENDED).await;
}

#[tokio::test]
async fn a_new_ticket_of_the_same_user_keeps_a_connection() {
    let service = Service::start().await;
    let client = service.connect("viewer").await;
    client.subscribe(json!({"statuses": ["pending"]})).await;
    service.change_connection(123, &key(&client), "expires_at", now() + 60).await;
    let pong = client.send(json!({"action": "ping"})).await.unwrap();
    let ends_at = pong["expires_at"].as_str().unwrap();
    assert_eq!(pong, json!({"type": "pong", "expires_at": ends_at}));
    assert!(Timestamp::parse(ends_at).unwrap().epoch_seconds() <= now() + 60);

    let text = |ticket: Value| ticket["url"].as_str().unwrap().split_once("?ticket=").unwrap().1.to_owned();
    let ticket = text(service.ticket("viewer").await.expect(201));
    let renewed = client.send(json!({"action": "renew", "ticket": ticket})).await.unwrap();
    let ends_at = renewed["expires_at"].as_str().unwrap();
    assert_eq!(renewed, json!({"type": "renewed", "expires_at": ends_at}));
    assert!(Timestamp::parse(ends_at).unwrap().epoch_seconds() > now() + 14 * 60);
    let item = &service.connections(123).await[&key(&client)];
    let (opened_at, until) = (item["connected_at"].as_i64().unwrap(), item["expires_at"].as_i64().unwrap());
    assert_eq!(
        item,
        &json!({
            "lab_id": "123", "sk": key(&client), "connection_id": client.id, "user_id": "4", "connected_at": opened_at,
            "expires_at": until, "filter": {"statuses": ["pending"], "case_ids": []},
        })
    );
    // No connection lasts longer than two hours.
    service.change_connection(123, &key(&client), "connected_at", now() - 2 * 60 * 60 + 30).await;
    let ticket = text(service.ticket("viewer").await.expect(201));
    let renewed = client.send(json!({"action": "renew", "ticket": ticket})).await.unwrap();
    let ends_at = Timestamp::parse(renewed["expires_at"].as_str().unwrap()).unwrap().epoch_seconds();
    assert!(ends_at <= now() + 30, "{renewed}");

    // A ticket works once, and of another user not at all.
    assert_ended(
        &client,
        json!({"action": "renew", "ticket": ticket}),
        "The ticket is not valid. Get another one.",
    )
    .await;
    let client = service.connect("viewer").await;
    let ticket = text(service.ticket("admin").await.expect(201));
    assert_ended(
        &client,
        json!({"action": "renew", "ticket": ticket}),
        "The ticket is of another user than the connection.",
    )
    .await;
}

#[tokio::test]
async fn a_connection_ends_by_its_time() {
    let service = Service::start_with_streams().await;
    let [subscribing, pinging, silent, alive] = [
        service.connect("viewer").await,
        service.connect("viewer").await,
        service.connect("viewer").await,
        service.connect("viewer").await,
    ];
    for client in [&subscribing, &pinging, &silent, &alive] {
        client.subscribe(json!({})).await;
    }
    for client in [&subscribing, &pinging, &silent] {
        service.change_connection(123, &key(client), "expires_at", now()).await;
    }
    assert_ended(&subscribing, json!({"action": "subscribe", "lab_id": 123}), ENDED).await;
    assert_ended(&pinging, json!({"action": "ping"}), ENDED).await;
    // The next change closes what has ended, and removes it.
    create(&service).await;
    service.push_changes().await.unwrap();
    assert!(!silent.is_open());
    assert_eq!(alive.changes(), [(1, 1)]);
    assert_eq!(keys(&service).await, BTreeSet::from([key(&alive)]));
    // DynamoDB removes items whose time is over, also of a lab without changes.
    service.change_connection(123, &key(&alive), "expires_at", now() - 60).await;
    service.expire_items().await;
    assert_eq!(keys(&service).await, BTreeSet::new());
    assert_ended(&alive, json!({"action": "ping"}), ENDED).await;
}

#[tokio::test]
async fn a_message_that_is_not_in_the_contract_is_answered_with_all_its_errors() {
    let service = Service::start().await;
    let client = service.connect("viewer").await;
    let answer =
        client.send(json!({"action": "subscribe", "statuses": ["open"], "case_ids": [0], "x": 1})).await;
    let answer = answer.unwrap();
    assert_eq!(answer["code"], "validation_failed");
    let pointers: Vec<&Value> =
        answer["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/lab_id", "/statuses", "/case_ids", "/x"]);
    for (text, code) in [
        ("", "malformed_json"),
        ("hello", "malformed_json"),
        ("[]", "malformed_json"),
        (r#"{"action":"ping","action":"ping"}"#, "malformed_json"),
        ("{}", "validation_failed"),
        (r#"{"action":"$connect"}"#, "validation_failed"),
        (r#"{"action":"renew"}"#, "validation_failed"),
        (&format!(r#"{{"action":"{}"}}"#, "x".repeat(5000)), "payload_too_large"),
    ] {
        assert_eq!(client.send_text(text).await.unwrap()["code"], code, "{text}");
    }
    // The connection stays as it was.
    assert_eq!(client.send(json!({"action": "ping"})).await.unwrap()["type"], "pong");
}

#[tokio::test]
async fn many_changes_come_in_several_messages_and_each_case_once() {
    let service = Service::start_with_streams().await;
    let client = service.connect("viewer").await;
    client.subscribe(json!({})).await;
    let record = |id: u64, version: u64| {
        let item = json!({"version": {"N": version.to_string()}, "status": {"S": "pending"}, "case_number": {"S": "R-1"}});
        json!({
            "eventID": id.to_string(), "eventName": "INSERT", "eventVersion": "1.1", "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1", "eventSourceARN": "arn:aws:dynamodb:us-east-1:1:table/t/stream/s",
            "dynamodb": {
                "ApproximateCreationDateTime": now(), "Keys": {"lab_id": {"S": "123"}, "sk": {"S": format!("CASE#{id:010}")}},
                "NewImage": item, "SequenceNumber": "1", "SizeBytes": 26, "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        })
    };
    let records: Vec<Value> = (1..=103).map(|id| record(id, 1)).chain([record(1, 2)]).collect();
    service.push(json!({"Records": records})).await.unwrap();
    let received = client.received();
    let found: Vec<Vec<(u64, u64)>> = received.iter().map(changes).collect();
    let expected: Vec<(u64, u64)> = (1..=103).map(|id| (id, if id == 1 { 2 } else { 1 })).collect();
    assert_eq!(found, expected.chunks(100).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_connection_that_is_gone_is_removed_and_the_others_get_their_signals() {
    let service = Service::start_with_streams().await;
    let (gone, other) = (service.connect("viewer").await, service.connect("admin").await);
    gone.subscribe(json!({})).await;
    other.subscribe(json!({})).await;
    gone.leave(false).await;
    assert_eq!(keys(&service).await.len(), 2);
    create(&service).await;
    service.push_changes().await.unwrap();
    assert_eq!(other.changes(), [(1, 1)]);
    assert_eq!(keys(&service).await, BTreeSet::from([key(&other)]));
    // A signal that API Gateway does not take is lost. The client reads the feed.
    service.sockets.set_down(true);
    create(&service).await;
    service.push_changes().await.unwrap();
    service.sockets.set_down(false);
    create(&service).await;
    service.push_changes().await.unwrap();
    assert_eq!(other.changes(), [(3, 1)]);
    assert_eq!(keys(&service).await, BTreeSet::from([key(&other)]));
}

#[tokio::test]
async fn signals_wait_for_the_database_and_connections_do_not() {
    let service = Service::start_with_streams().await;
    let client = service.connect("viewer").await;
    client.subscribe(json!({})).await;
    let url = service.ticket("viewer").await.expect(201)["url"].as_str().unwrap().to_owned();
    create(&service).await;
    let error = json!({"__type": "com.amazonaws.dynamodb.v20120810#AccessDeniedException"}).to_string();
    service.dynamodb.rule(move |_, _| Fault::Answer(400, error.clone()));
    assert_eq!(service.push_changes().await, Err("service_unavailable".to_owned()));
    assert_eq!(service.open(&url).await.err(), Some(503));
    let answer = client.send(json!({"action": "ping"})).await.unwrap();
    assert_eq!((&answer["type"], &answer["code"]), (&json!("error"), &json!("service_unavailable")));
    service.dynamodb.heal();
    service.push_changes().await.unwrap();
    assert_eq!(client.changes(), [(1, 1)]);
    assert_eq!(leaks::in_log(), [""; 0]);
}

#[tokio::test]
async fn no_log_line_has_a_ticket() {
    let service = Service::start().await;
    let url = service.ticket("viewer").await.expect(201)["url"].as_str().unwrap().to_owned();
    let random = url.split_once("?ticket=123.").unwrap().1;
    assert!(service.open(&url).await.is_ok());
    assert_eq!(service.open(&url).await.err(), Some(403));
    assert_eq!(leaks::lines_with(random), [""; 0]);
    assert_ne!(leaks::lines_with("socket event"), [""; 0]);
}

#[tokio::test]
async fn each_event_makes_the_calls_of_the_data_model() {
    let service = Service::start_with_streams().await;
    let calls = |expected: &[&str]| {
        let mut calls = service.dynamodb.take_calls();
        calls.sort();
        assert_eq!(calls, expected);
    };
    let url = service.ticket("viewer").await.expect(201)["url"].as_str().unwrap().to_owned();
    calls(&["PutItem", "PutItem"]);
    let client = service.open(&url).await.unwrap_or_else(|status| panic!("{status}"));
    calls(&["DeleteItem", "PutItem"]);
    client.send(json!({"action": "ping"})).await.unwrap();
    calls(&["GetItem", "Query"]);
    create(&service).await;
    service.dynamodb.take_calls();
    // Nobody has subscribed, so only the connections are read.
    service.push_changes().await.unwrap();
    calls(&["Query"]);
    client.subscribe(json!({})).await;
    calls(&["GetItem", "Query", "UpdateItem"]);
    create(&service).await;
    service.dynamodb.take_calls();
    service.push_changes().await.unwrap();
    calls(&["Query", "Query"]);
    let ticket = service.ticket("viewer").await.expect(201)["url"].as_str().unwrap().to_owned();
    service.dynamodb.take_calls();
    let ticket = ticket.split_once("?ticket=").unwrap().1;
    client.send(json!({"action": "renew", "ticket": ticket})).await.unwrap();
    calls(&["DeleteItem", "GetItem", "UpdateItem"]);
    client.leave(true).await;
    calls(&["DeleteItem", "Query"]);
    // A table of a lab without connections is read once.
    create(&service).await;
    service.dynamodb.take_calls();
    service.push_changes().await.unwrap();
    calls(&["Query"]);
}
