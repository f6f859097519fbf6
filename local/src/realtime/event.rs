//! The events that API Gateway makes of a WebSocket's life: connect, message, disconnect.

use std::collections::BTreeMap;

use axum::http::{HeaderMap, header};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use uuid::Uuid;

use super::STAGE;

/// A connection, as events name it.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    /// The connection's id.
    pub(super) id: String,
    connected_at: i64,
    domain: String,
    user_agent: String,
}

impl Origin {
    /// A new connection of a client that sent these headers.
    pub(super) fn new(id: String, headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).map(|value| text(value.as_bytes())).unwrap_or_default();
        Self {
            id,
            connected_at: Timestamp::now().as_millisecond(),
            domain: text(header::HOST),
            user_agent: text(header::USER_AGENT),
        }
    }

    /// The event of the route `$connect`: the only one with headers and a query.
    pub(super) fn connect(&self, headers: &HeaderMap, query: &str) -> Value {
        let mut several: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for (name, value) in headers {
            several.entry(name.as_str()).or_default().push(text(value.as_bytes()));
        }
        let single: BTreeMap<_, _> = several.iter().map(|(name, values)| (*name, values.last())).collect();
        let mut event = json!({
            "headers": single,
            "multiValueHeaders": several,
            "requestContext": self.context("$connect", "CONNECT"),
            "isBase64Encoded": false,
        });
        let mut parameters: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            parameters.entry(decoded(name)).or_default().push(decoded(value));
        }
        if !parameters.is_empty() {
            let single: BTreeMap<_, _> =
                parameters.iter().map(|(name, values)| (name, values.last())).collect();
            event["queryStringParameters"] = json!(single);
            event["multiValueQueryStringParameters"] = json!(parameters);
        }
        event
    }

    /// The event of a message. The only route for messages is `$default`.
    pub(super) fn message(&self, body: &str) -> Value {
        let mut context = self.context("$default", "MESSAGE");
        context["messageId"] = json!(Uuid::new_v4().to_string());
        json!({"requestContext": context, "body": body, "isBase64Encoded": false})
    }

    /// The event of the route `$disconnect`, with the code of the frame that closed the connection.
    pub(super) fn disconnect(&self, code: u16) -> Value {
        let mut context = self.context("$disconnect", "DISCONNECT");
        context["disconnectStatusCode"] = json!(code);
        context["disconnectReason"] = json!("");
        json!({"requestContext": context, "isBase64Encoded": false})
    }

    fn context(&self, route: &str, kind: &str) -> Value {
        let now = Timestamp::now();
        json!({
            "routeKey": route,
            "eventType": kind,
            "messageDirection": "IN",
            "stage": STAGE,
            "apiId": "local",
            "domainName": self.domain,
            "connectionId": self.id,
            "connectedAt": self.connected_at,
            "requestId": Uuid::new_v4().to_string(),
            "extendedRequestId": Uuid::new_v4().to_string(),
            "requestTime": now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string(),
            "requestTimeEpoch": now.as_millisecond(),
            // It listens on this address only.
            "identity": {"sourceIp": "127.0.0.1", "userAgent": self.user_agent},
        })
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn decoded(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}
