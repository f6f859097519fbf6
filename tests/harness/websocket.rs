//! A client of the WebSocket API.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async, tungstenite};
use tungstenite::Message;

/// How long a message may take to come.
const PATIENCE: Duration = Duration::from_secs(60);

/// An open WebSocket.
pub(crate) struct WebSocket(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl WebSocket {
    /// Connects, or returns the status of the refusal.
    pub(crate) async fn connect(url: &str) -> Result<Self, u16> {
        match connect_async(url).await {
            Ok((socket, _)) => Ok(Self(socket)),
            Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
            Err(error) => panic!("no WebSocket: {error}"),
        }
    }

    /// Sends a message.
    pub(crate) async fn send(&mut self, message: &Value) {
        self.0.send(Message::text(message.to_string())).await.unwrap();
    }

    /// The next message; the code of the end of the connection if there is none.
    pub(crate) async fn next(&mut self) -> Result<Value, Option<u16>> {
        loop {
            match timeout(PATIENCE, self.0.next()).await.expect("a message in time") {
                Some(Ok(Message::Text(text))) => return Ok(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(frame))) => return Err(frame.map(|frame| frame.code.into())),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return Err(None),
            }
        }
    }

    /// Sends a message and returns the next one of this type; drops the signals before it.
    pub(crate) async fn ask(&mut self, message: &Value, kind: &str) -> Value {
        self.send(message).await;
        loop {
            let next = self.next().await.expect("the connection is open");
            if next["type"] == kind {
                return next;
            }
            assert_eq!(next["type"], "changes", "{next}");
        }
    }

    /// Subscribes to all changes of a lab.
    pub(crate) async fn subscribe(&mut self, lab: u64) -> Value {
        self.ask(&json!({"action": "subscribe", "lab_id": lab}), "subscribed").await
    }

    /// Ends the connection.
    pub(crate) async fn close(mut self) {
        // An error means that it has ended already.
        let _ = self.0.close(None).await;
    }
}
