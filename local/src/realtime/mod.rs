//! A stand-in for API Gateway's WebSocket API in front of the function `realtime`: its three routes, and the requests with which
//! functions send to connections and close them.
//!
//! It has API Gateway's limits of sizes and times. It checks no signatures.

mod event;
mod session;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, Path, RawQuery, State, WebSocketUpgrade},
    http::{HeaderMap, HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE};
use serde_json::json;
use tokio::sync::{
    Semaphore,
    mpsc::{self, error::TrySendError},
};
use uuid::Uuid;

use crate::client::Client;
use event::Origin;

/// The function behind the three routes.
const FUNCTION: &str = "realtime";
/// The name of the stage, which is the path of the URLs, as in template.yaml.
pub const STAGE: &str = "live";
/// The largest message, and the largest frame of one, in bytes.
const MAX_MESSAGE: usize = 128 << 10;
const MAX_FRAME: usize = 32 << 10;
/// How many messages may wait for a client that reads slowly.
const OUTBOX: usize = 1024;
/// The time that the function has for an answer.
const LIMIT: Duration = Duration::from_secs(29);

/// After what time a connection ends.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Without a message in either direction.
    pub idle: Duration,
    /// In any case.
    pub longest: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { idle: Duration::from_secs(10 * 60), longest: Duration::from_secs(2 * 60 * 60) }
    }
}

/// The WebSocket API. Clones share their state.
#[derive(Clone)]
pub struct Realtime(Arc<Shared>);

struct Shared {
    client: Client,
    cargo_lambda: String,
    /// cargo-lambda stops answering when too many requests wait in it, so they wait here.
    slots: Semaphore,
    times: Times,
    connections: Mutex<HashMap<String, mpsc::Sender<Command>>>,
}

/// What a function wants of a connection.
#[derive(Debug)]
enum Command {
    Send(String),
    Close,
}

impl fmt::Debug for Realtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Realtime").finish_non_exhaustive()
    }
}

impl Realtime {
    /// A WebSocket API whose function runs behind the cargo-lambda at this URL, in as many processes as `concurrency` says.
    pub fn new(cargo_lambda: &str, concurrency: u16, times: Times) -> Self {
        Self(Arc::new(Shared {
            client: Client::new(LIMIT),
            cargo_lambda: cargo_lambda.to_owned(),
            slots: Semaphore::new(concurrency.max(1).into()),
            times,
            connections: Mutex::default(),
        }))
    }

    /// The routes: the WebSocket itself, and those of functions.
    pub fn router(&self) -> Router {
        Router::new()
            .route(&format!("/{STAGE}"), get(connect))
            .route(
                &format!("/{STAGE}/@connections/{{id}}"),
                post(post_to_connection).delete(delete_connection),
            )
            // PostToConnection has a limit of its own.
            .layer(DefaultBodyLimit::disable())
            .with_state(self.clone())
    }

    fn connections(&self) -> MutexGuard<'_, HashMap<String, mpsc::Sender<Command>>> {
        self.0.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The function's response to an event: its status and its body.
    async fn call(&self, event: &serde_json::Value) -> (StatusCode, Option<String>) {
        let answer = match self.0.slots.acquire().await {
            Ok(_slot) => self.0.client.invoke(&self.0.cargo_lambda, FUNCTION, event).await,
            Err(_) => return (StatusCode::INTERNAL_SERVER_ERROR, None),
        };
        let Some(answer) = answer.ok().filter(|answer| answer.status.is_success()) else {
            return (StatusCode::INTERNAL_SERVER_ERROR, None);
        };
        let response = answer.json();
        let status = response["statusCode"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let body = response["body"].as_str().filter(|body| !body.is_empty());
        (status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body.map(str::to_owned))
    }

    /// Gives a connection a command.
    fn command(&self, id: &str, command: Command) -> Response {
        let Some(outbox) = self.connections().get(id).cloned() else { return gone() };
        match outbox.try_send(command) {
            Ok(()) => StatusCode::OK.into_response(),
            Err(TrySendError::Closed(_)) => gone(),
            Err(TrySendError::Full(_)) => {
                failure(StatusCode::TOO_MANY_REQUESTS, "LimitExceededException").into_response()
            }
        }
    }
}

/// Asks the function whether the client may connect, and connects it.
async fn connect(
    State(realtime): State<Realtime>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    // Its last character is "=" on AWS as well, which URLs of functions must encode.
    let id = URL_SAFE.encode(&Uuid::new_v4().as_bytes()[..11]);
    let origin = Origin::new(id, &headers);
    let (status, _) = realtime.call(&origin.connect(&headers, query.as_deref().unwrap_or_default())).await;
    if !status.is_success() {
        return status.into_response();
    }
    let upgrade = upgrade.max_message_size(MAX_MESSAGE).max_frame_size(MAX_FRAME);
    upgrade.on_upgrade(move |socket| session::run(realtime, socket, origin))
}

async fn post_to_connection(
    State(realtime): State<Realtime>,
    Path(id): Path<String>,
    body: Bytes,
) -> Response {
    if body.len() > MAX_MESSAGE {
        return failure(StatusCode::PAYLOAD_TOO_LARGE, "PayloadTooLargeException").into_response();
    }
    realtime.command(&id, Command::Send(String::from_utf8_lossy(&body).into_owned()))
}

async fn delete_connection(State(realtime): State<Realtime>, Path(id): Path<String>) -> Response {
    let response = realtime.command(&id, Command::Close);
    if response.status() == StatusCode::OK { StatusCode::NO_CONTENT.into_response() } else { response }
}

fn gone() -> Response {
    failure(StatusCode::GONE, "GoneException").into_response()
}

/// An error as AWS writes it.
fn failure(status: StatusCode, kind: &'static str) -> impl IntoResponse {
    (status, [(HeaderName::from_static("x-amzn-errortype"), kind)], Json(json!({"message": kind})))
}
