//! The events of a WebSocket API of API Gateway, with the members that this service reads.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::base::private::Secret;

/// Something that happened to a connection. It has no `Debug`, because the query of a new connection has a ticket.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketEvent {
    pub(super) request_context: SocketContext,
    query_string_parameters: Option<HashMap<String, String>>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

/// Whose connection it is.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct SocketContext {
    pub event_type: EventType,
    pub connection_id: String,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum EventType {
    /// A client wants to open it.
    Connect,
    /// The client has sent a message.
    Message,
    /// It was closed. API Gateway does not always notice or say that.
    Disconnect,
}

impl SocketEvent {
    /// The ticket of a client that wants to open a connection.
    pub(super) fn ticket(&self) -> Option<Secret> {
        self.query_string_parameters.as_ref()?.get("ticket").map(Secret::new)
    }

    /// The text of a message; `None` for bytes, which no client of this service sends.
    pub(super) fn text(&self) -> Option<&str> {
        self.body.as_deref().filter(|_| !self.is_base64_encoded)
    }
}

/// The answer to an event.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SocketResponse {
    status_code: u16,
    /// What API Gateway sends to the client.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
}

impl SocketResponse {
    /// Nothing for the client. A connection opens with 200 only.
    pub(super) fn status(status_code: u16) -> Self {
        Self { status_code, body: None }
    }

    /// A message for the client.
    pub(super) fn message(text: String) -> Self {
        Self { status_code: 200, body: Some(text) }
    }
}
