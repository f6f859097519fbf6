//! WebSockets in tests: what functions send to connections is kept, and the function of the WebSocket API is called as API Gateway
//! calls it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::post,
};
use local::server::Server;
use serde_json::{Value, json};
use shared::{
    config::{Env, RealtimeConfig},
    realtime::{ChangePusher, Socket},
};

use super::{Reply, Service, spec};

/// The path of the management address, as that of an API in an emulator.
pub(super) const STAGE: &str = "live";

#[derive(Default)]
struct Connections {
    /// The connections so far.
    all: BTreeMap<String, Connection>,
    /// Whether the management address answers 500.
    is_down: bool,
}

/// A connection: what it got, and whether it is open.
#[derive(Default)]
struct Connection {
    messages: Vec<Value>,
    is_open: bool,
}

impl Connections {
    fn open(&mut self, id: &str) -> Option<&mut Connection> {
        self.all.get_mut(id).filter(|connection| connection.is_open)
    }
}

/// The connections of the WebSocket API.
#[derive(Clone, Default)]
pub(crate) struct Sockets(Arc<Mutex<Connections>>);

impl Sockets {
    /// Starts the address at which API Gateway takes messages for connections.
    pub(super) fn serve(&self, listener: tokio::net::TcpListener) -> Server {
        let router = Router::new()
            .route(&format!("/{STAGE}/@connections/{{id}}"), post(send).delete(close))
            .with_state(self.clone());
        Server::start("the WebSocket API", listener, router).unwrap()
    }

    /// Whether the management address fails from now on.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.0.lock().unwrap().is_down = is_down;
    }
}

async fn send(State(sockets): State<Sockets>, Path(id): Path<String>, text: Bytes) -> Response {
    let mut sockets = sockets.0.lock().unwrap();
    if sockets.is_down {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    match sockets.open(&id) {
        Some(connection) => {
            connection.messages.push(serde_json::from_slice(&text).unwrap());
            StatusCode::OK.into_response()
        }
        None => gone(),
    }
}

async fn close(State(sockets): State<Sockets>, Path(id): Path<String>) -> Response {
    match sockets.0.lock().unwrap().open(&id) {
        Some(connection) => {
            connection.is_open = false;
            StatusCode::NO_CONTENT.into_response()
        }
        None => gone(),
    }
}

fn gone() -> Response {
    (StatusCode::GONE, [("x-amzn-errortype", "GoneException")], "{}").into_response()
}

/// A client with an open connection.
pub(crate) struct Client<'s> {
    service: &'s Service,
    pub(crate) id: String,
}

impl Client<'_> {
    /// Sends a message of the contract, and returns the answer, if there is one.
    pub(crate) async fn send(&self, message: Value) -> Option<Value> {
        self.send_text(&message.to_string()).await
    }

    /// Sends any text.
    pub(crate) async fn send_text(&self, text: &str) -> Option<Value> {
        let answer = self.service.socket_event("MESSAGE", &self.id, json!({"body": text})).await;
        assert_eq!(answer["statusCode"], 200);
        let answer: Option<Value> = answer["body"].as_str().map(|text| serde_json::from_str(text).unwrap());
        answer.inspect(check)
    }

    /// Subscribes to cases of lab 123, and returns the answer.
    pub(crate) async fn subscribe(&self, filter: Value) -> Value {
        let mut message = json!({"action": "subscribe", "lab_id": 123});
        message.as_object_mut().unwrap().extend(filter.as_object().unwrap().clone());
        let answer = self.send(message).await.unwrap();
        assert_eq!(answer["type"], "subscribed", "{answer}");
        answer
    }

    /// What it got besides answers, since the last call.
    pub(crate) fn received(&self) -> Vec<Value> {
        let mut sockets = self.service.sockets.0.lock().unwrap();
        let messages = std::mem::take(&mut sockets.all.get_mut(&self.id).unwrap().messages);
        messages.iter().for_each(check);
        messages
    }

    /// The cases and versions of the signals that it got since the last call.
    pub(crate) fn changes(&self) -> Vec<(u64, u64)> {
        self.received().iter().flat_map(changes).collect()
    }

    /// Whether the service has not closed it.
    pub(crate) fn is_open(&self) -> bool {
        self.service.sockets.0.lock().unwrap().open(&self.id).is_some()
    }

    /// Goes away. API Gateway reports it, if it notices.
    pub(crate) async fn leave(&self, is_reported: bool) {
        self.service.sockets.0.lock().unwrap().all.get_mut(&self.id).unwrap().is_open = false;
        if is_reported {
            let answer = self.service.socket_event("DISCONNECT", &self.id, json!({})).await;
            assert_eq!(answer, json!({"statusCode": 200}));
        }
    }
}

/// The cases and versions of a signal.
pub(crate) fn changes(message: &Value) -> Vec<(u64, u64)> {
    let number = |change: &Value, name: &str| change[name].as_u64().unwrap();
    let changes = message["changes"].as_array().unwrap().iter();
    changes.map(|change| (number(change, "case_id"), number(change, "version"))).collect()
}

/// Every message of the service matches the contract.
fn check(message: &Value) {
    let schema = json!({"$ref": "#/components/schemas/RealtimeMessage"});
    assert_eq!(spec::schema_faults(&schema, message), [""; 0], "{message}");
}

impl Service {
    /// Gets a ticket.
    pub(crate) async fn ticket(&self, user: &str) -> Reply {
        self.as_user(user, "POST", "/api/v1/realtime/tickets").lab(123).send().await
    }

    /// Opens a connection with a URL. Returns the status without a client if it does not open.
    pub(crate) async fn open(&self, url: &str) -> Result<Client<'_>, u64> {
        let id = {
            let mut sockets = self.sockets.0.lock().unwrap();
            let id = format!("cNn{}+/c=", sockets.all.len());
            sockets.all.insert(id.clone(), Connection::default());
            id
        };
        let ticket = url.split_once("?ticket=").map(|(_, ticket)| ticket);
        let query = ticket.map_or(Value::Null, |ticket| json!({"ticket": ticket}));
        let answer = self.socket_event("CONNECT", &id, json!({"queryStringParameters": query})).await;
        match answer["statusCode"].as_u64().unwrap() {
            200 => {
                self.sockets.0.lock().unwrap().all.get_mut(&id).unwrap().is_open = true;
                Ok(Client { service: self, id })
            }
            status => Err(status),
        }
    }

    /// Opens a connection of a seeded user in lab 123.
    pub(crate) async fn connect(&self, user: &str) -> Client<'_> {
        let ticket = self.ticket(user).await.expect(201);
        self.open(ticket["url"].as_str().unwrap()).await.unwrap_or_else(|status| panic!("{status}"))
    }

    async fn socket_event(&self, kind: &str, id: &str, mut event: Value) -> Value {
        event["requestContext"] = json!({
            "eventType": kind, "connectionId": id, "stage": STAGE,
            "connectedAt": 1_795_000_000_000_u64, "requestId": "a", "apiId": "b", "domainName": "live.example.com",
        });
        event["isBase64Encoded"] = json!(false);
        let socket = Arc::new(Socket::new(&self.realtime_config()).unwrap());
        let answer = realtime::handler(socket, serde_json::from_value(event).unwrap()).await;
        serde_json::to_value(answer).unwrap()
    }

    /// The configuration of the functions that know the connections.
    fn realtime_config(&self) -> RealtimeConfig {
        RealtimeConfig::read(Env::new(&|name: &str| self.setting(name))).unwrap()
    }

    /// Calls the function that sends signals with an event of the stream.
    pub(crate) async fn push(&self, event: Value) -> Result<(), String> {
        let pusher = Arc::new(ChangePusher::new(&self.realtime_config()).unwrap());
        let pushed = push_changes::handler(pusher, serde_json::from_value(event).unwrap()).await;
        pushed.map_err(|error| error.code().as_str().to_owned())
    }
}
