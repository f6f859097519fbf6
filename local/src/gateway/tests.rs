use std::{
    sync::{Mutex, atomic::AtomicUsize, atomic::Ordering},
    time::{Duration, Instant},
};

use axum::{
    Json,
    extract::DefaultBodyLimit,
    http::{Method, StatusCode},
};
use serde_json::{Value, json};
use tokio::{sync::Semaphore, time::sleep};

use super::*;
use crate::{
    client::{Answer, Client},
    server::{Server, listen},
};

const CONTRACT: &str = "
paths:
  /cases:
    get: {operationId: listCases, x-permission: read}
    post: {operationId: createCase, x-permission: create}
  /health:
    get: {operationId: health, x-permission: public}
";

/// A stand-in for cargo-lambda. It keeps the events, and answers when it may.
struct CargoLambda {
    server: Server,
    shared: Arc<Answers>,
}

struct Answers {
    events: Mutex<Vec<(String, Value)>>,
    payload: Mutex<Value>,
    status: Mutex<StatusCode>,
    /// One permit for each answer that it may give.
    may_answer: Semaphore,
    answered: AtomicUsize,
}

impl CargoLambda {
    async fn start(answers: usize) -> Self {
        let shared = Arc::new(Answers {
            events: Mutex::default(),
            payload: Mutex::new(json!({
                "statusCode": 200, "headers": {"etag": "\"1\""}, "multiValueHeaders": {}, "cookies": [],
                "body": "hello", "isBase64Encoded": false,
            })),
            status: Mutex::new(StatusCode::OK),
            may_answer: Semaphore::new(answers),
            answered: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/2015-03-31/functions/{function}/invocations", post(invoke))
            .layer(DefaultBodyLimit::disable())
            .with_state(shared.clone());
        let listener = listen("cargo-lambda", "X", 0).await.unwrap();
        Self { server: Server::start("cargo-lambda", listener, router).unwrap(), shared }
    }

    fn answers(&self, change: Value) {
        self.shared
            .payload
            .lock()
            .unwrap()
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
    }

    fn events(&self) -> Vec<(String, Value)> {
        self.shared.events.lock().unwrap().clone()
    }
}

async fn invoke(
    State(answers): State<Arc<Answers>>,
    Path(function): Path<String>,
    Json(event): Json<Value>,
) -> (StatusCode, Json<Value>) {
    answers.events.lock().unwrap().push((function, event));
    answers.may_answer.acquire().await.unwrap().forget();
    answers.answered.fetch_add(1, Ordering::Relaxed);
    let status = *answers.status.lock().unwrap();
    (status, Json(answers.payload.lock().unwrap().clone()))
}

/// A gateway in front of a cargo-lambda.
struct Running {
    cargo_lambda: CargoLambda,
    gateway: Gateway,
    server: Server,
    client: Client,
}

const LIMITS: Limits = Limits { per_function: 1, in_all: 2, queue: 2, patience: Duration::from_secs(20) };
const TIMES: Times = Times { limit: Duration::from_secs(30), function: Duration::from_secs(10) };

impl Running {
    /// With a cargo-lambda that may give so many answers.
    async fn start(answers: usize, times: Times) -> Self {
        let cargo_lambda = CargoLambda::start(answers).await;
        let contract = Contract::parse(CONTRACT).unwrap();
        let origins = "https://app.example.com, https://other.example.com";
        let functions = ["list-cases", "create-case", "health", "fallback"].map(str::to_owned);
        let gateway = Gateway::new(contract, &functions, cargo_lambda.server.url(), origins, LIMITS, times);
        let listener = listen("the API", "API_PORT", 0).await.unwrap();
        let server = Server::start("gateway", listener, gateway.router()).unwrap();
        let client = Client::new(Duration::from_secs(30)).max_body(16 << 20);
        Self { cargo_lambda, gateway, server, client }
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let url = format!("{}{path}", self.server.url());
        self.client.send(method.parse().unwrap(), &url, headers, body).await.unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// Sends a request in the background.
    fn spawn(&self, path: &str) -> tokio::task::JoinHandle<Answer> {
        let (client, url) = (self.client.clone(), format!("{}{path}", self.server.url()));
        tokio::spawn(async move { client.send(Method::GET, &url, &[], "").await.unwrap() })
    }
}

/// Waits until it is so, which must be soon.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn message(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), answer.json()["message"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn a_request_goes_to_its_function_and_the_answer_to_the_client() {
    let running = Running::start(100, TIMES).await;
    let answer = running.send("POST", "/cases?a=1", &[("content-type", "application/json")], "{}").await;
    assert_eq!((answer.status.as_u16(), &answer.body[..]), (200, &b"hello"[..]));
    assert_eq!(answer.headers["etag"], "\"1\"");
    let (function, event) = running.cargo_lambda.events().remove(0);
    assert_eq!(function, "create-case");
    assert_eq!((&event["body"], &event["rawQueryString"]), (&json!("{}"), &json!("a=1")));
    assert_eq!(event["requestContext"]["requestId"], answer.headers["apigw-requestid"].to_str().unwrap());

    for (method, path) in
        [("OPTIONS", "/cases"), ("GET", "/cases/"), ("DELETE", "/cases"), ("GET", "/nothing")]
    {
        running.send(method, path, &[], "").await;
        assert_eq!(running.cargo_lambda.events().pop().unwrap().0, "fallback", "{method} {path}");
    }
    assert_eq!(running.send("HEAD", "/health", &[], "").await.body.len(), 0);
}

#[tokio::test]
async fn a_function_can_be_called_by_its_name_as_on_lambda() {
    let running = Running::start(100, TIMES).await;
    let path = |function: &str| format!("/2015-03-31/functions/{function}/invocations");
    let answer = running.send("POST", &path("health"), &[], "{\"a\":1}").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["body"]), (200, &json!("hello")));
    assert_eq!(running.cargo_lambda.events(), [("health".to_owned(), json!({"a": 1}))]);
    assert_eq!(running.send("POST", &path("nothing"), &[], "{}").await.status, 503);
}

#[tokio::test]
async fn what_is_too_large_is_rejected_as_by_api_gateway() {
    let running = Running::start(100, TIMES).await;
    let long = "x".repeat(MAX_HEADERS);
    let expected = (431, "Request Header Fields Too Large".to_owned());
    assert_eq!(message(&running.send("GET", "/cases", &[("x-long", &long)], "").await), expected);
    assert_eq!(message(&running.get(&format!("/cases?q={long}")).await), expected);
    let expected = (413, "Request Entity Too Large".to_owned());
    for length in [MAX_BODY + 1, MAX_EVENT] {
        let body = "x".repeat(length);
        assert_eq!(message(&running.send("POST", "/cases", &[], body).await), expected, "{length}");
    }
    assert!(running.cargo_lambda.events().is_empty());
    // All that fits is passed on.
    let nearly = "x".repeat(MAX_HEADERS - 200);
    assert_eq!(running.send("POST", "/cases", &[("x-long", &nearly)], "x".repeat(5 << 20)).await.status, 200);
}

#[tokio::test]
async fn what_a_function_does_not_answer_well_is_an_internal_server_error() {
    let running = Running::start(100, TIMES).await;
    let expected = (500, "Internal Server Error".to_owned());
    for change in [json!({"statusCode": 0}), json!({"statusCode": 200, "body": "x".repeat(7 << 20)})] {
        running.cargo_lambda.answers(change);
        assert_eq!(message(&running.get("/cases").await), expected);
    }
    running.cargo_lambda.answers(json!({"body": "hello"}));
    *running.cargo_lambda.shared.status.lock().unwrap() = StatusCode::INTERNAL_SERVER_ERROR;
    assert_eq!(message(&running.get("/cases").await), expected);
}

#[tokio::test]
async fn a_full_queue_is_429_with_the_time_to_wait_and_nobody_in_it_is_forgotten() {
    let running = Running::start(0, TIMES).await;
    let first = running.spawn("/cases");
    until("the first is let in", || running.cargo_lambda.events().len() == 1).await;
    let waiting = [running.spawn("/cases"), running.spawn("/cases")];
    until("two wait", || running.gateway.waiting() == 2).await;

    let headers = [("origin", "https://other.example.com")];
    let rejected = running.send("GET", "/cases", &headers, "").await;
    assert_eq!(message(&rejected), (429, "Too Many Requests".to_owned()));
    assert_eq!(rejected.headers["retry-after"], "1");
    assert_eq!(rejected.headers["access-control-allow-origin"], "https://other.example.com");
    let stranger = running.send("GET", "/cases", &[("origin", "https://evil.example.com")], "").await;
    assert!(!stranger.headers.contains_key("access-control-allow-origin"));

    assert_eq!(running.cargo_lambda.events().len(), 1);
    running.cargo_lambda.shared.may_answer.add_permits(3);
    for request in waiting.into_iter().chain([first]) {
        assert_eq!(request.await.unwrap().status, 200);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_the_queue_but_what_has_begun_is_completed() {
    let running = Running::start(0, TIMES).await;
    let begun = running.spawn("/cases");
    until("it is let in", || running.cargo_lambda.events().len() == 1).await;
    let waiting = running.spawn("/cases");
    until("it waits", || running.gateway.waiting() == 1).await;
    for gone in [begun, waiting] {
        gone.abort();
    }
    until("the queue is empty", || running.gateway.waiting() == 0).await;
    let next = running.spawn("/cases");
    until("the next waits", || running.gateway.waiting() == 1).await;
    running.cargo_lambda.shared.may_answer.add_permits(2);
    assert_eq!(next.await.unwrap().status, 200);
    assert_eq!(running.cargo_lambda.events().len(), 2, "who had gone was not let in");
    assert_eq!(running.cargo_lambda.shared.answered.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_function_that_never_answers_is_503_and_takes_no_more_requests_until_it_does() {
    let running = Running::start(0, Times { limit: Duration::from_millis(20), ..TIMES }).await;
    assert_eq!(message(&running.get("/cases").await), (503, "Service Unavailable".to_owned()));
    let at_once = running.get("/cases").await;
    assert_eq!(at_once.status, 503);
    assert!(message(&at_once).1.contains("no process"), "{:?}", at_once.json());
    assert_eq!(running.cargo_lambda.events().len(), 1, "the second was not passed on");
    // Its late answer, and one for each that follows.
    running.cargo_lambda.shared.may_answer.add_permits(2000);
    until("it answered late", || running.cargo_lambda.shared.answered.load(Ordering::Relaxed) == 1).await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while running.get("/cases").await.status != 200 {
        assert!(Instant::now() < deadline, "the function is not used again");
    }
}

#[tokio::test]
async fn a_process_that_ends_before_it_answers_is_502() {
    let running = Running::start(0, Times { function: Duration::from_millis(20), ..TIMES }).await;
    let request = running.spawn("/cases");
    until("it is let in", || running.cargo_lambda.events().len() == 1).await;
    running.gateway.process_ended();
    let (status, message) = message(&request.await.unwrap());
    assert_eq!(status, 502);
    assert!(message.contains("list-cases ended before it answered"), "{message}");
}

#[tokio::test]
async fn a_cargo_lambda_that_is_not_there_is_502() {
    let Running { cargo_lambda, server, client, .. } = Running::start(0, TIMES).await;
    cargo_lambda.server.stop().await;
    let answer = client.get(&format!("{}/cases", server.url())).await.unwrap();
    assert_eq!(answer.status, 502);
}
