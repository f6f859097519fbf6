//! The WebSocket API: opens connections with tickets, and answers the messages of clients.

use std::sync::Arc;

use shared::realtime::{Socket, SocketEvent, SocketResponse};

/// Answers an event of a connection: it opens, has a message, or is closed.
pub async fn handler(socket: Arc<Socket>, event: SocketEvent) -> SocketResponse {
    socket.process(event).await
}
