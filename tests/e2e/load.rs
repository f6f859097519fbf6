//! The stack under load, with more clients at the same time than cargo-lambda survives alone, and without a function's
//! processes.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use local::client::{Answer, Client};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{Stack, stack::processes_of};

const CLIENTS: usize = 250;

/// One client with a connection of its own.
struct Caller {
    client: Client,
    api: String,
    token: String,
    /// The number of answers 429 and 503.
    retries: usize,
}

impl Caller {
    fn new(stack: &Stack, token: &str) -> Self {
        let client = Client::new(Duration::from_secs(120));
        Self { client, api: stack.api.clone(), token: format!("Bearer {token}"), retries: 0 }
    }

    /// Sends a request until it is served. Waits as long as `Retry-After` says.
    async fn send(&mut self, method: &str, path: &str, body: &str) -> Answer {
        let headers = [("authorization", self.token.as_str()), ("content-type", "application/json")];
        let url = format!("{}{path}", self.api);
        loop {
            let sent = self.client.send(method.parse().unwrap(), &url, &headers, body.to_owned()).await;
            let answer = sent.expect("every request gets an answer");
            if !matches!(answer.status.as_u16(), 429 | 503) {
                return answer;
            }
            let seconds = answer.headers["retry-after"].to_str().unwrap().parse().unwrap();
            self.retries += 1;
            sleep(Duration::from_secs(seconds)).await;
        }
    }

    /// Four requests, one after the other: creates a case, reads it, lists cases, and reads the case types.
    async fn run(mut self) -> usize {
        let created =
            self.send("POST", "/api/v1/cases", &json!({"procedure_type": "Crown"}).to_string()).await;
        assert_eq!(created.status, 201, "{:?}", created.json());
        let id = &created.json()["id"];
        for path in [&format!("/api/v1/cases/{id}"), "/api/v1/cases?limit=1", "/api/v1/cases/types"] {
            let read = self.send("GET", path, "").await;
            assert_eq!(read.status, 200, "{path}: {:?}", read.json());
        }
        self.retries
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twice_1000_requests_of_250_simultaneous_clients_are_all_served() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    for round in 1..=2 {
        let (began, callers) = (Instant::now(), (0..CLIENTS).map(|_| Caller::new(&stack, &token)));
        let retries: usize = join_all(callers.map(Caller::run)).await.into_iter().sum();
        println!("round {round}: {} requests, {retries} retries, {:?}", CLIENTS * 4, began.elapsed());
        assert_eq!(stack.send(&token, "GET", "/health", None).await.status, 200);
        let stats = stack.send(&token, "GET", "/api/v1/cases/stats", None).await.json();
        assert_eq!(stats["total"], CLIENTS * round, "each client creates one case: {stats}");
    }
    assert_eq!(stack.leaks(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_processes_is_reported_and_the_others_still_work() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    // cargo-lambda starts the second process with the second request.
    for _ in 0..2 {
        assert_eq!(stack.send(&token, "GET", "/api/v1/cases/stats", None).await.status, 200);
    }
    let processes = processes_of(data.path());
    for (id, _) in processes.iter().filter(|(_, program)| program.ends_with("case-stats")) {
        assert!(Command::new("kill").args(["-KILL", &id.to_string()]).status().unwrap().success());
    }
    let answer = stack.send(&token, "GET", "/api/v1/cases/stats", None).await;
    let message = answer.json()["message"].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer.status, 502, "{message}");
    assert!(message.contains("case-stats ended before it answered"), "{message}");
    assert_eq!(stack.send(&token, "GET", "/api/v1/cases", None).await.status, 200);
    assert!(stack.log().contains("lhcms-local: a process of a function ended"), "{}", stack.log());
}
