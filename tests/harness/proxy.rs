//! A proxy in front of a dependency that counts calls and fails on demand.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderMap, Response, StatusCode, Uri},
    response::IntoResponse,
};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use local::server::Server;
use serde_json::Value;

use super::dynamodb_rules::{self, TransactionLocks};

type Bytes = axum::body::Bytes;

/// A fault, or none, for a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fault {
    /// The call is passed on.
    Pass,
    /// The proxy answers the call itself.
    Answer(u16, String),
    /// The proxy answers with a redirect to the real URL.
    Redirect,
    /// The call is passed on, and its answer is lost.
    LoseAnswer,
    /// The call is passed on after this time.
    Slow(Duration),
    /// The call is never answered.
    Hang,
}

impl Fault {
    /// An error of DynamoDB that is not retryable.
    pub(crate) fn refused() -> Self {
        let exception = "com.amazonaws.dynamodb.v20120810#ValidationException";
        Self::Answer(400, format!(r#"{{"__type":"{exception}"}}"#))
    }
}

type Rule = Arc<dyn Fn(&str, &[u8]) -> Fault + Send + Sync>;

/// A running proxy. It passes every call on until a rule is set.
pub(crate) struct Proxy {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
    rule: Mutex<Rule>,
    calls: Mutex<Vec<String>>,
    headers: Mutex<Vec<HeaderMap>>,
    recorded: Mutex<Option<Vec<RecordedCall>>>,
    locks: Mutex<Option<Arc<TransactionLocks>>>,
}

/// A complete call to DynamoDB, and its cost.
pub(crate) struct RecordedCall {
    pub(crate) name: String,
    /// The access key that signed it.
    pub(crate) access_key: String,
    pub(crate) body: Value,
    pub(crate) answer_bytes: usize,
    /// The capacity units of the answer, for the table and its indexes.
    pub(crate) units: f64,
}

impl RecordedCall {
    fn new(name: &str, headers: &HeaderMap, body: Value) -> Self {
        let signature = headers.get("authorization").and_then(|value| value.to_str().ok());
        let credential =
            signature.and_then(|text| text.split_once("Credential=")).map_or("", |(_, rest)| rest);
        let access_key = credential.split('/').next().unwrap_or_default().to_owned();
        Self { name: name.to_owned(), access_key, body, answer_bytes: 0, units: 0.0 }
    }

    fn answered(self, answer: &[u8]) -> Self {
        let body: Value = serde_json::from_slice(answer).unwrap_or_default();
        let used = &body["ConsumedCapacity"];
        let tables = used.as_array().map_or(std::slice::from_ref(used), Vec::as_slice);
        let units = tables.iter().filter_map(|table| table["CapacityUnits"].as_f64()).sum();
        Self { answer_bytes: answer.len(), units, ..self }
    }
}

impl Proxy {
    pub(crate) async fn start(target: &str) -> Self {
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            rule: Mutex::new(Arc::new(|_, _| Fault::Pass)),
            calls: Mutex::default(),
            headers: Mutex::default(),
            recorded: Mutex::default(),
            locks: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let router = Router::new().fallback(forward).with_state(shared.clone());
        Self { server: Server::start("proxy", listener, router).unwrap(), shared }
    }

    pub(crate) fn url(&self) -> &str {
        self.server.url()
    }

    /// Sets the fault for each call, by its name (the operation of DynamoDB, or the path) and its body.
    pub(crate) fn rule(&self, rule: impl Fn(&str, &[u8]) -> Fault + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap() = Arc::new(rule);
    }

    /// From now on each transaction takes this time, and is cancelled if it meets another one on the same item.
    pub(crate) fn lock_items_for(&self, time: Duration) {
        *self.shared.locks.lock().unwrap() = Some(Arc::new(TransactionLocks::new(time)));
    }

    /// Passes every call on again.
    pub(crate) fn heal(&self) {
        self.rule(|_, _| Fault::Pass);
    }

    /// Records complete calls to DynamoDB from now on, and asks DynamoDB for the cost of each.
    pub(crate) fn record_calls(&self) {
        *self.shared.recorded.lock().unwrap() = Some(Vec::new());
    }

    /// The recorded calls.
    pub(crate) fn take_recorded_calls(&self) -> Vec<RecordedCall> {
        self.shared.recorded.lock().unwrap().take().unwrap_or_default()
    }

    /// The headers of the calls since the last call of this function.
    pub(crate) fn take_headers(&self) -> Vec<HeaderMap> {
        std::mem::take(&mut self.shared.headers.lock().unwrap())
    }

    /// The names of the calls since the last call of this function.
    pub(crate) fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.calls.lock().unwrap())
    }
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    let operation = parts.headers.get("x-amz-target").and_then(|value| value.to_str().ok()?.split_once('.'));
    let name = operation.map_or_else(|| parts.uri.path().to_owned(), |(_, operation)| operation.to_owned());
    let mut body = body.collect().await.unwrap().to_bytes();
    shared.calls.lock().unwrap().push(name.clone());
    shared.headers.lock().unwrap().push(parts.headers.clone());
    let rule = shared.rule.lock().unwrap().clone();
    let fault = match dynamodb_rules::refusal(&name, &body) {
        Some(refusal) => Fault::Answer(400, refusal),
        None => rule(&name, &body),
    };
    let locks = shared.locks.lock().unwrap().clone().filter(|_| name == "TransactWriteItems");
    let (fault, _locked) = match (fault, &locks) {
        (Fault::Pass, Some(locks)) => match locks.lock(&body) {
            Ok(locked) => (Fault::Slow(locks.time), Some(locked)),
            Err(cancellation) => (Fault::Answer(400, cancellation), None),
        },
        (fault, _) => (fault, None),
    };
    match fault {
        Fault::Answer(status, body) => {
            let content_type = if body.starts_with('{') { "application/x-amz-json-1.0" } else { "text/html" };
            return Response::builder()
                .status(status)
                .header("content-type", content_type)
                .body(body.into())
                .unwrap();
        }
        Fault::Redirect => {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let location = format!("{}{path}", shared.target);
            return Response::builder().status(307).header("location", location).body(Body::empty()).unwrap();
        }
        Fault::Slow(time) => tokio::time::sleep(time).await,
        Fault::Hang => std::future::pending().await,
        Fault::Pass | Fault::LoseAnswer => {}
    }
    let is_recording = shared.recorded.lock().unwrap().is_some();
    let recorded = is_recording.then(|| {
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut with_cost = asked.clone();
        with_cost["ReturnConsumedCapacity"] = "TOTAL".into();
        body = with_cost.to_string().into();
        parts.headers.remove("content-length");
        RecordedCall::new(&name, &parts.headers, asked)
    });
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut onward = axum::http::Request::new(Full::new(body));
    *onward.method_mut() = parts.method;
    *onward.uri_mut() = format!("{}{path}", shared.target).parse::<Uri>().unwrap();
    *onward.headers_mut() = parts.headers;
    let answer = match shared.client.request(onward).await {
        Ok(answer) => answer,
        Err(_) => return StatusCode::BAD_GATEWAY.into_response(),
    };
    if fault == Fault::LoseAnswer {
        // The write is done; the client sees a broken connection.
        let _ = answer.into_body().collect().await;
        let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
        return Response::builder().header("content-length", "1000").body(Body::from_stream(broken)).unwrap();
    }
    let Some(recorded) = recorded else { return answer.map(Body::new) };
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    if let Some(kept) = shared.recorded.lock().unwrap().as_mut() {
        kept.push(recorded.answered(&body));
    }
    Response::from_parts(parts, body.into())
}
