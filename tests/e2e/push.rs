//! Push over the stack: a change over HTTP becomes a signal at WebSockets, and the feed has what the signal is about.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{sync::watch, time::sleep};

use crate::harness::{Stack, websocket::WebSocket};

const LAB: u64 = 123;

/// A new WebSocket of the lab.
async fn connect(stack: &Stack, token: &str) -> WebSocket {
    let ticket = stack.send(token, "POST", "/api/v1/realtime/tickets", None).await;
    assert_eq!(ticket.status, 201, "{:?}", ticket.json());
    WebSocket::connect(ticket.json()["url"].as_str().unwrap()).await.unwrap()
}

/// The changes after a cursor, as ids and versions, and the cursor after them.
async fn feed(stack: &Stack, token: &str, mut cursor: String) -> (Vec<(u64, u64)>, String) {
    let mut all = Vec::new();
    loop {
        let page =
            stack.send(token, "GET", &format!("/api/v1/cases/changes?limit=100&since={cursor}"), None).await;
        // The stack refuses what it cannot queue.
        if matches!(page.status.as_u16(), 429 | 503) {
            sleep(Duration::from_millis(500)).await;
            continue;
        }
        assert_eq!(page.status, 200, "{:?}", page.json());
        let page = page.json();
        let changes = page["changes"].as_array().unwrap().iter();
        all.extend(changes.map(|it| (it["id"].as_u64().unwrap(), it["version"].as_u64().unwrap())));
        cursor = page["next_cursor"].as_str().unwrap().to_owned();
        if page["has_more"] == false {
            return (all, cursor);
        }
    }
}

/// The ids and versions in a signal.
fn changes(signal: &Value) -> Vec<(u64, u64)> {
    let changes = signal["changes"].as_array().unwrap().iter();
    changes.map(|it| (it["case_id"].as_u64().unwrap(), it["version"].as_u64().unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_over_http_is_a_signal_at_the_websocket_and_an_entry_of_the_feed() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let ticket = stack.send(&token, "POST", "/api/v1/realtime/tickets", None).await.json();
    let url = ticket["url"].as_str().unwrap();
    let mut socket = WebSocket::connect(url).await.unwrap();
    assert_eq!(WebSocket::connect(url).await.err(), Some(403), "a ticket opens one connection");
    let subscribed = socket.subscribe(LAB).await;
    assert_eq!((&subscribed["type"], &subscribed["lab_id"]), (&json!("subscribed"), &json!(LAB)));
    assert_eq!(socket.ask(&json!({"action": "ping"}), "pong").await["expires_at"], subscribed["expires_at"]);

    let other = stack.log_in("northgate").await;
    let mut stranger = connect(&stack, &other).await;
    let refused = stranger.ask(&json!({"action": "subscribe", "lab_id": LAB}), "error").await;
    assert_eq!(refused["code"], "unauthorized");
    assert_eq!(stranger.next().await, Err(Some(1000)), "the service ends the connection");
    let mut stranger = connect(&stack, &other).await;
    stranger.subscribe(456).await;

    let case = json!({"procedure_type": "Crown", "patient_name": "John Doe"});
    let created = stack.send(&token, "POST", "/api/v1/cases", Some(&case)).await.json();
    let signal = socket.next().await.unwrap();
    assert_eq!((&signal["type"], &signal["lab_id"]), (&json!("changes"), &json!(LAB)));
    assert_eq!(signal["changes"], json!([{"case_id": created["id"], "version": 1}]));
    assert!(!signal.to_string().contains("Doe"), "{signal}");
    let cursor = subscribed["cursor"].as_str().unwrap().to_owned();
    assert_eq!(feed(&stack, &token, cursor).await.0, [(created["id"].as_u64().unwrap(), 1)]);
    let cursor = signal["cursor"].as_str().unwrap().to_owned();
    assert_eq!(feed(&stack, &token, cursor).await.0, [], "the cursor of a signal is after its changes");

    // The stranger gets the answer to its ping, and no signal before it.
    stranger.send(&json!({"action": "ping"})).await;
    assert_eq!(stranger.next().await.unwrap()["type"], "pong");
    stranger.close().await;
    socket.close().await;
    let ticket = url.split("ticket=").nth(1).unwrap();
    assert!(!stack.log().contains(ticket), "a ticket is not logged");
    assert_eq!(stack.leaks(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn one_change_reaches_each_of_five_hundred_clients() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let created =
        stack.send(&token, "POST", "/api/v1/cases", Some(&json!({"procedure_type": "Crown"}))).await;
    let path = format!("/api/v1/cases/{}", created.json()["id"]);
    let sockets = (0..CLIENTS).map(|_| async {
        let mut socket = connect(&stack, &token).await;
        socket.subscribe(LAB).await;
        socket
    });
    let mut sockets = join_all(sockets).await;
    for round in 1..=10 {
        let (sent, notes) = (Instant::now(), json!({"notes": format!("round {round}")}));
        let writing = stack.send(&token, "PUT", &path, Some(&notes));
        let reading = join_all(sockets.iter_mut().map(|socket| async {
            let signal = socket.next().await.unwrap();
            (changes(&signal)[0].1, sent.elapsed())
        }));
        let (answer, signals) = tokio::join!(writing, reading);
        let version = answer.json()["version"].as_u64().unwrap();
        assert!(signals.iter().all(|signal| signal.0 == version), "{signals:?}");
        println!("round {round}: {:?}", summary(signals.into_iter().map(|signal| signal.1).collect()));
    }
}

/// The median, the 99th percentile and the longest.
fn summary(mut times: Vec<Duration>) -> [Duration; 3] {
    times.sort();
    [0.5, 0.99, 1.0].map(|share| times[((times.len() - 1) as f64 * share) as usize])
}

/// The clients, those of them that sleep while the second half of the changes is made, and the changes.
const CLIENTS: usize = 500;
const SLEEPERS: usize = 50;
const CHANGES: usize = 1000;
const CASES: usize = 100;
const WRITERS: usize = 4;
/// The version of each case at the end.
const LAST: u64 = 1 + (CHANGES / CASES) as u64;

/// What is going on, for clients: the number of halves of the changes that have begun, and 3 when all are made.
type Phase = watch::Receiver<u8>;

/// What a client has seen at its end.
struct Seen {
    /// The signals: case, version, and when it came.
    signals: Vec<(u64, u64, Instant)>,
    /// The changes in the feed, and the cursor after them.
    changes: Vec<(u64, u64)>,
    cursor: String,
}

/// Follows the signals until each case has its last version, or, as a sleeper, ends the connection after half of the changes and
/// connects again after the others. Reads the feed at the end, from the cursor of its first subscription.
async fn follow(stack: &Stack, token: &str, is_sleeper: bool, ready: &AtomicUsize, mut phase: Phase) -> Seen {
    let mut socket = connect(stack, token).await;
    let cursor = socket.subscribe(LAB).await["cursor"].as_str().unwrap().to_owned();
    ready.fetch_add(1, Ordering::Relaxed);
    let mut signals = Vec::new();
    if is_sleeper {
        phase.wait_for(|phase| *phase == 2).await.unwrap();
        socket.close().await;
        phase.wait_for(|phase| *phase == 3).await.unwrap();
        socket = connect(stack, token).await;
        socket.subscribe(LAB).await;
    } else {
        let mut done = BTreeSet::new();
        while done.len() < CASES {
            let signal = socket.next().await.expect("the connection stays open");
            let at = Instant::now();
            signals.extend(changes(&signal).into_iter().map(|(id, version)| (id, version, at)));
            done.extend(changes(&signal).into_iter().filter(|it| it.1 == LAST).map(|it| it.0));
        }
        phase.wait_for(|phase| *phase == 3).await.unwrap();
    }
    let (changes, cursor) = feed(stack, token, cursor).await;
    socket.close().await;
    Seen { signals, changes, cursor }
}

/// Makes half of the changes; returns the case, the version, and when the request was sent.
async fn change(stack: &Stack, token: &str, ids: &[u64]) -> Vec<(u64, u64, Instant)> {
    let writers = (0..WRITERS).map(|writer| async move {
        let mut made = Vec::new();
        for change in 0..CHANGES / 2 / WRITERS {
            let id = ids[(change * WRITERS + writer) % CASES];
            let sent = Instant::now();
            let notes = json!({"notes": format!("change {change} at {sent:?}")});
            let answer = stack.send(token, "PUT", &format!("/api/v1/cases/{id}"), Some(&notes)).await;
            assert_eq!(answer.status, 200, "{:?}", answer.json());
            made.push((id, answer.json()["version"].as_u64().unwrap(), sent));
        }
        made
    });
    join_all(writers).await.concat()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes minutes"]
async fn five_hundred_clients_end_at_the_cursor_of_the_feed_after_a_thousand_changes() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let mut ids = Vec::new();
    for _ in 0..CASES {
        let case =
            stack.send(&token, "POST", "/api/v1/cases", Some(&json!({"procedure_type": "Crown"}))).await;
        ids.push(case.json()["id"].as_u64().unwrap());
    }
    let (phase, phases) = watch::channel(0);
    let (ready, began) = (AtomicUsize::new(0), Instant::now());
    let clients = (0..CLIENTS).map(|it| follow(&stack, &token, it < SLEEPERS, &ready, phases.clone()));
    let changing = async {
        while ready.load(Ordering::Relaxed) < CLIENTS {
            sleep(Duration::from_millis(50)).await;
        }
        println!("{CLIENTS} clients are connected after {:?}", began.elapsed());
        phase.send_replace(1);
        let mut made = change(&stack, &token, &ids).await;
        phase.send_replace(2);
        made.extend(change(&stack, &token, &ids).await);
        phase.send_replace(3);
        made
    };
    let (seen, made) = tokio::join!(join_all(clients), changing);
    println!("all clients are at the end of the feed after {:?}", began.elapsed());
    let (_, end) = feed(&stack, &token, "now".into()).await;
    let newest: BTreeMap<u64, u64> = ids.iter().map(|id| (*id, LAST)).collect();
    for client in &seen {
        assert_eq!(client.changes.iter().copied().collect::<BTreeMap<_, _>>(), newest);
        assert_eq!(client.cursor, end);
    }
    let mut latencies = Vec::new();
    for client in &seen[SLEEPERS..] {
        for (id, version, sent) in &made {
            // A signal has the newest version of its batch.
            let signals = client.signals.iter().filter(|it| it.0 == *id && it.1 >= *version);
            let first =
                signals.map(|it| it.2).min().expect("each change, or a newer one of its case, is a signal");
            latencies.push(first.saturating_duration_since(*sent));
        }
    }
    println!("from the request to the signal, of {} pairs: {:?}", latencies.len(), summary(latencies));
    assert_eq!(stack.leaks(), [""; 0]);
}
