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

use super::dynamodb_rules;

type Bytes = axum::body::Bytes;

/// What happens to a call.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It is passed on.
    Pass,
    /// It is answered without being passed on.
    Answer(u16, String),
    /// It is sent to where it would have been passed on.
    Redirect,
    /// It is passed on, and its answer is lost.
    LoseAnswer,
    /// It is passed on after this time.
    Slow(Duration),
    /// It is never answered.
    Hang,
}

impl Fate {
    /// DynamoDB refuses the call for good: trying again would not help.
    pub(crate) fn refused() -> Self {
        let exception = "com.amazonaws.dynamodb.v20120810#ValidationException";
        Self::Answer(400, format!(r#"{{"__type":"{exception}"}}"#))
    }
}

type Rule = Arc<dyn Fn(&str, &[u8]) -> Fate + Send + Sync>;

/// A running proxy. It passes everything on until a rule is set.
pub(crate) struct Proxy {
    server: Server,
    shared: Arc<Shared>,
}

struct Shared {
    target: String,
    client: Client<HttpConnector, Full<Bytes>>,
    rule: Mutex<Rule>,
    calls: Mutex<Vec<String>>,
    witnessed: Mutex<Option<Vec<Witnessed>>>,
}

/// A call to DynamoDB in full, and what it cost.
pub(crate) struct Witnessed {
    pub(crate) name: String,
    /// Whose key signed it.
    pub(crate) access_key: String,
    pub(crate) body: Value,
    pub(crate) answer_bytes: usize,
    /// The capacity units that the answer says were used, of the table and its indexes.
    pub(crate) units: f64,
}

impl Witnessed {
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
            rule: Mutex::new(Arc::new(|_, _| Fate::Pass)),
            calls: Mutex::default(),
            witnessed: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let router = Router::new().fallback(forward).with_state(shared.clone());
        Self { server: Server::start("proxy", listener, router).unwrap(), shared }
    }

    pub(crate) fn url(&self) -> &str {
        self.server.url()
    }

    /// Sets what happens to calls, by their name (DynamoDB's operation, else the path) and their body.
    pub(crate) fn rule(&self, rule: impl Fn(&str, &[u8]) -> Fate + Send + Sync + 'static) {
        *self.shared.rule.lock().unwrap() = Arc::new(rule);
    }

    /// Passes everything on again.
    pub(crate) fn heal(&self) {
        self.rule(|_, _| Fate::Pass);
    }

    /// Keeps the calls to DynamoDB from now on, in full, and asks of each what it costs.
    pub(crate) fn witness(&self) {
        *self.shared.witnessed.lock().unwrap() = Some(Vec::new());
    }

    /// The calls that were kept.
    pub(crate) fn take_witnessed(&self) -> Vec<Witnessed> {
        self.shared.witnessed.lock().unwrap().take().unwrap_or_default()
    }

    /// The names of the calls since the last time this was asked.
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
    let rule = shared.rule.lock().unwrap().clone();
    let fate = match dynamodb_rules::refusal(&name, &body) {
        Some(refusal) => Fate::Answer(400, refusal),
        None => rule(&name, &body),
    };
    match fate {
        Fate::Answer(status, body) => {
            let content_type = if body.starts_with('{') { "application/x-amz-json-1.0" } else { "text/html" };
            return Response::builder()
                .status(status)
                .header("content-type", content_type)
                .body(body.into())
                .unwrap();
        }
        Fate::Redirect => {
            let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
            let location = format!("{}{path}", shared.target);
            return Response::builder().status(307).header("location", location).body(Body::empty()).unwrap();
        }
        Fate::Slow(time) => tokio::time::sleep(time).await,
        Fate::Hang => std::future::pending().await,
        Fate::Pass | Fate::LoseAnswer => {}
    }
    let is_witnessed = shared.witnessed.lock().unwrap().is_some();
    let witnessed = is_witnessed.then(|| {
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut with_cost = asked.clone();
        with_cost["ReturnConsumedCapacity"] = "TOTAL".into();
        body = with_cost.to_string().into();
        parts.headers.remove("content-length");
        Witnessed::new(&name, &parts.headers, asked)
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
    if fate == Fate::LoseAnswer {
        // The write is done; the client sees only a connection that breaks.
        let _ = answer.into_body().collect().await;
        let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
        return Response::builder().header("content-length", "1000").body(Body::from_stream(broken)).unwrap();
    }
    let Some(witnessed) = witnessed else { return answer.map(Body::new) };
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    if let Some(kept) = shared.witnessed.lock().unwrap().as_mut() {
        kept.push(witnessed.answered(&body));
    }
    Response::from_parts(parts, body.into())
}
