use std::sync::{Arc, Mutex};

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use axum::{Json, Router, extract::State, http::Method, routing::post};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Error, Message},
};

use super::*;
use crate::server::{Server, listen};

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
type Events = Arc<Mutex<Vec<Value>>>;

/// A stand-in for the function behind cargo-lambda: refuses the ticket `no`, answers messages with their text, fails at `fail`,
/// and has no answer for `silence`.
async fn function(State(events): State<Events>, Json(event): Json<Value>) -> Json<Value> {
    events.lock().unwrap().push(event.clone());
    let is_refused = event["queryStringParameters"]["ticket"] == "no";
    Json(match event["body"].as_str() {
        Some("fail") => json!({"errorType": "Panic"}),
        Some("silence") => json!({"statusCode": 200}),
        Some(body) => json!({"statusCode": 200, "body": format!("you said {body}")}),
        None => json!({"statusCode": if is_refused { 403 } else { 200 }}),
    })
}

struct Parts {
    events: Events,
    _function: Server,
    server: Server,
}

impl Parts {
    async fn start(times: Times) -> Self {
        let events = Events::default();
        let router = Router::new()
            .route("/2015-03-31/functions/realtime/invocations", post(function))
            .with_state(events.clone());
        let function = Server::start("the function", listen("", "", 0).await.unwrap(), router).unwrap();
        let realtime = Realtime::new(function.url(), 2, times);
        let listener = listen("", "", 0).await.unwrap();
        let server = Server::start("the WebSocket API", listener, realtime.router()).unwrap();
        Self { events, _function: function, server }
    }

    async fn connect(&self, query: &str) -> Result<Socket, u16> {
        let url = format!("{}/{STAGE}{query}", self.server.url().replacen("http", "ws", 1));
        match connect_async(url).await {
            Ok((socket, _)) => Ok(socket),
            Err(Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The status of a request of a function to a connection.
    async fn request(&self, method: Method, id: &str, body: impl Into<Bytes>) -> u16 {
        let id = id.replace('=', "%3D");
        let url = format!("{}/{STAGE}/@connections/{id}", self.server.url());
        let client = Client::new(Duration::from_secs(5));
        client.send(method, &url, &[], body).await.unwrap().status.as_u16()
    }

    /// The event at this place; waits for it.
    async fn event(&self, place: usize) -> Value {
        for _ in 0..500 {
            if let Some(event) = self.events.lock().unwrap().get(place) {
                // What functions parse.
                let parsed: ApiGatewayWebsocketProxyRequest = serde_json::from_value(event.clone()).unwrap();
                assert!(parsed.request_context.connection_id.is_some());
                return event.clone();
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("there is no event {place}");
    }
}

/// The text of the next message, or the code of the end.
async fn next(socket: &mut Socket) -> Result<String, u16> {
    match socket.next().await {
        Some(Ok(Message::Text(text))) => Ok(text.to_string()),
        Some(Ok(Message::Close(Some(frame)))) => Err(frame.code.into()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_function_is_asked_about_a_client_and_answers_its_messages() {
    let parts = Parts::start(Times::default()).await;
    assert_eq!(parts.connect("?ticket=no").await.err(), Some(403));
    let mut socket = parts.connect("?ticket=123.a%2Bb").await.unwrap();
    let connect = parts.event(1).await;
    assert_eq!(connect["queryStringParameters"], json!({"ticket": "123.a+b"}));
    assert_eq!(connect["multiValueQueryStringParameters"], json!({"ticket": ["123.a+b"]}));
    assert_eq!(connect["headers"]["upgrade"], "websocket");
    let kind = |event: &Value| {
        let context = &event["requestContext"];
        [context["routeKey"].clone(), context["eventType"].clone(), context["connectionId"].clone()]
    };
    let [route, event_type, id] = kind(&connect);
    assert_eq!((route, event_type), (json!("$connect"), json!("CONNECT")));

    for (message, reply) in [("hello", "you said hello"), ("again", "you said again")] {
        socket.send(Message::text(message)).await.unwrap();
        assert_eq!(next(&mut socket).await.unwrap(), reply);
    }
    socket.send(Message::text("silence")).await.unwrap();
    socket.send(Message::text("fail")).await.unwrap();
    let failed: Value = serde_json::from_str(&next(&mut socket).await.unwrap()).unwrap();
    assert_eq!((&failed["message"], &failed["connectionId"]), (&json!("Internal server error"), &id));
    let message = parts.event(2).await;
    assert_eq!(kind(&message), [json!("$default"), json!("MESSAGE"), id.clone()]);
    assert_eq!((&message["body"], message.get("queryStringParameters")), (&json!("hello"), None));

    socket.close(None).await.unwrap();
    let disconnect = parts.event(6).await;
    assert_eq!(kind(&disconnect), [json!("$disconnect"), json!("DISCONNECT"), id]);
    assert_eq!(disconnect["requestContext"]["disconnectStatusCode"], 1005);
}

#[tokio::test]
async fn functions_send_to_connections_and_close_them_and_learn_that_one_is_gone() {
    let parts = Parts::start(Times::default()).await;
    let mut socket = parts.connect("").await.unwrap();
    let id = parts.event(0).await["requestContext"]["connectionId"].as_str().unwrap().to_owned();
    assert!(id.ends_with('='), "{id}");
    assert_eq!(parts.request(Method::POST, &id, "a signal").await, 200);
    assert_eq!(next(&mut socket).await.unwrap(), "a signal");
    assert_eq!(parts.request(Method::POST, &id, vec![b'x'; MAX_MESSAGE + 1]).await, 413);
    assert_eq!(parts.request(Method::DELETE, &id, "").await, 204);
    assert_eq!(next(&mut socket).await, Err(1000));
    parts.event(1).await;
    for method in [Method::POST, Method::DELETE] {
        assert_eq!(parts.request(method, &id, "late").await, 410);
    }
}

#[tokio::test]
async fn what_is_too_large_too_quiet_or_too_old_ends() {
    let parts = Parts::start(Times::default()).await;
    let mut socket = parts.connect("").await.unwrap();
    // The server may end the connection before all of it is sent.
    let _ = socket.send(Message::text("x".repeat(MAX_MESSAGE + 1))).await;
    assert!(!matches!(socket.next().await, Some(Ok(Message::Text(_)))));
    let mut socket = parts.connect("").await.unwrap();
    socket.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(next(&mut socket).await, Err(1003));

    let (short, long) = (Duration::from_millis(50), Duration::from_secs(60));
    for times in [Times { idle: short, longest: long }, Times { idle: long, longest: short }] {
        let parts = Parts::start(times).await;
        let mut socket = parts.connect("").await.unwrap();
        assert_eq!(next(&mut socket).await, Err(1001));
        assert_eq!(parts.event(1).await["requestContext"]["disconnectStatusCode"], 1001);
    }
}
