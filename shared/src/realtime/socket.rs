//! The function of the WebSocket API: it opens connections with tickets, and answers the messages of clients.

use super::{
    connection::{CaseFilter, Connection, Connections},
    event::{EventType, SocketEvent, SocketResponse},
    protocol::{ClientMessage, ServerMessage},
    sender::Sender,
    ticket,
};
use crate::{
    base::{
        LabId,
        cursor::CursorKey,
        error::{Error, ErrorCode},
        private::Secret,
        time::Timestamp,
    },
    case,
    config::{RealtimeConfig, Stage},
    table::Table,
    telemetry,
};

/// Answers the events of the WebSocket API.
pub struct Socket {
    stage: Stage,
    cases: Table,
    connections: Connections,
    cursors: CursorKey,
    sender: Sender,
}

impl Socket {
    /// Makes the clients. Sends nothing yet.
    ///
    /// # Errors
    /// The text says which client could not be made.
    pub fn new(config: &RealtimeConfig) -> Result<Self, String> {
        Ok(Self {
            stage: config.common.stage,
            cases: Table::new(&config.table)?,
            connections: Connections(Table::new(&config.connections)?),
            cursors: CursorKey::new(&config.cursor_key),
            sender: Sender::new(config)?,
        })
    }

    /// Answers an event. Every failure becomes an answer.
    pub async fn process(&self, event: SocketEvent) -> SocketResponse {
        let id = &event.request_context.connection_id;
        match event.request_context.event_type {
            EventType::Connect => self.connect(id, event.ticket()).await,
            EventType::Message => self.message(id, event.text().unwrap_or_default()).await,
            EventType::Disconnect => self.disconnect(id).await,
        }
    }

    /// Opens a connection, if the ticket is good.
    async fn connect(&self, id: &str, ticket: Option<Secret>) -> SocketResponse {
        let opened = match ticket {
            Some(ticket) => self.open(id, &ticket).await,
            None => Ok(false),
        };
        let (status, error) = match &opened {
            Ok(true) => (200, None),
            Ok(false) => (403, None),
            Err(error) => (error.code().status().as_u16(), Some(error)),
        };
        telemetry::socket_event("connect", status);
        if let Some(error) = error {
            telemetry::socket_failure(self.stage, "connect", error);
        }
        SocketResponse::status(status)
    }

    /// Returns whether the ticket is good.
    async fn open(&self, id: &str, text: &Secret) -> Result<bool, Error> {
        let now = Timestamp::now();
        let Some((lab, ticket)) = ticket::redeem(&self.connections.0, text, now).await? else {
            return Ok(false);
        };
        self.connections.add(lab, &Connection::new(id, &ticket, now)).await?;
        Ok(true)
    }

    /// Answers a message of a client.
    async fn message(&self, id: &str, text: &str) -> SocketResponse {
        let answered = match ClientMessage::parse(text) {
            Ok(ClientMessage::Subscribe { lab_id, filter }) => self.subscribe(id, lab_id, &filter).await,
            Ok(ClientMessage::Renew { ticket }) => self.renew(id, &ticket).await,
            Ok(ClientMessage::Ping) => self.ping(id).await,
            Err(error) => Err(error),
        };
        let error = match answered {
            Ok(text) => return SocketResponse::message(text),
            Err(error) => error,
        };
        let message = ServerMessage::of_error(&error).text();
        match error.code() {
            ErrorCode::Unauthorized => self.end(id, message).await,
            ErrorCode::ServiceUnavailable | ErrorCode::InternalError => {
                telemetry::socket_failure(self.stage, "message", &error);
                SocketResponse::message(message)
            }
            _ => SocketResponse::message(message),
        }
    }

    async fn subscribe(&self, id: &str, lab: LabId, filter: &CaseFilter) -> Result<String, Error> {
        let connection = self.alive(lab, id).await?;
        if !self.connections.subscribe(lab, id, filter).await? {
            return Err(ended());
        }
        // Read after the subscription, so that each change is before this place or makes a signal.
        let cursor = case::newest_cursor(&self.cases, lab, &self.cursors).await?;
        let (lab_id, expires_at) = (lab, connection.ends_at());
        Ok(ServerMessage::Subscribed { lab_id, expires_at, cursor: &cursor }.text())
    }

    async fn renew(&self, id: &str, ticket: &Secret) -> Result<String, Error> {
        let redeemed = ticket::redeem(&self.connections.0, ticket, Timestamp::now()).await?;
        let (lab, ticket) =
            redeemed.ok_or_else(|| Error::unauthorized("The ticket is not valid. Get another one."))?;
        let mut connection = self.alive(lab, id).await?;
        if connection.user_id != ticket.user_id {
            return Err(Error::unauthorized("The ticket is of another user than the connection."));
        }
        connection.expires_at = connection.renewed_until(&ticket);
        if !self.connections.renew(lab, id, connection.expires_at).await? {
            return Err(ended());
        }
        Ok(ServerMessage::Renewed { expires_at: connection.ends_at() }.text())
    }

    async fn ping(&self, id: &str) -> Result<String, Error> {
        let lab = self.connections.lab_of(id).await?.ok_or_else(ended)?;
        Ok(ServerMessage::Pong { expires_at: self.alive(lab, id).await?.ends_at() }.text())
    }

    /// Reads a connection that has not ended.
    ///
    /// # Errors
    /// Unauthorized, when there is none in this lab; unavailable.
    async fn alive(&self, lab: LabId, id: &str) -> Result<Connection, Error> {
        let connection = self.connections.get(lab, id).await?;
        connection.filter(|connection| connection.is_alive(Timestamp::now())).ok_or_else(ended)
    }

    /// Says why, and closes the connection. API Gateway then reports that it is closed, which removes its item.
    async fn end(&self, id: &str, message: String) -> SocketResponse {
        let said = self.sender.send(id, message).await;
        let closed = self.sender.close(id).await;
        for error in [said.err(), closed.err()].into_iter().flatten() {
            telemetry::socket_failure(self.stage, "close", &error);
        }
        SocketResponse::status(200)
    }

    /// Removes a connection that is closed. What is not found here ends by its time, or when a signal cannot be sent to it.
    async fn disconnect(&self, id: &str) -> SocketResponse {
        let removed = async {
            let Some(lab) = self.connections.lab_of(id).await? else { return Ok(()) };
            self.connections.remove(lab, id).await
        };
        if let Err(error) = removed.await {
            telemetry::socket_failure(self.stage, "disconnect", &error);
        }
        telemetry::socket_event("disconnect", 200);
        SocketResponse::status(200)
    }
}

/// The connection is not known in this lab, or has ended.
fn ended() -> Error {
    Error::unauthorized("The connection has ended, or is not of this lab. Get a ticket and connect again.")
}
