//! The life of one connection: messages of the client go to the function, and messages of functions to the client.

use axum::extract::ws::{CloseFrame, Message, WebSocket, close_code};
use serde_json::json;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{Command, OUTBOX, Realtime, event::Origin};

/// What RFC 6455 says for a connection that ended without a code.
const NO_CODE: u16 = 1005;

/// Runs a connection until one side ends it, and reports its end to the function.
pub(super) async fn run(realtime: Realtime, mut socket: WebSocket, origin: Origin) {
    let (outbox, mut commands) = mpsc::channel(OUTBOX);
    realtime.connections().insert(origin.id.clone(), outbox);
    let code = exchange(&realtime, &mut socket, &origin, &mut commands).await;
    realtime.connections().remove(&origin.id);
    realtime.call(&origin.disconnect(code)).await;
}

/// Returns the code with which the connection ended.
async fn exchange(
    realtime: &Realtime,
    socket: &mut WebSocket,
    origin: &Origin,
    commands: &mut mpsc::Receiver<Command>,
) -> u16 {
    let times = realtime.0.times;
    let end = Instant::now() + times.longest;
    let mut last = Instant::now();
    loop {
        let received = tokio::select! {
            // What a function has sent goes out before the answer to the next message.
            biased;
            command = commands.recv() => match command {
                Some(Command::Send(text)) => {
                    last = Instant::now();
                    if socket.send(Message::text(text)).await.is_err() {
                        return close_code::ABNORMAL;
                    }
                    continue;
                }
                Some(Command::Close) | None => return close(socket, close_code::NORMAL).await,
            },
            received = socket.recv() => received,
            () = sleep_until((last + times.idle).min(end)) => return close(socket, close_code::AWAY).await,
        };
        let text = match received {
            Some(Ok(Message::Text(text))) => text,
            // axum answers pings.
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
            Some(Ok(Message::Close(frame))) => return frame.map_or(NO_CODE, |frame| frame.code),
            Some(Ok(Message::Binary(_))) => return close(socket, close_code::UNSUPPORTED).await,
            Some(Err(_)) => return close(socket, close_code::SIZE).await,
            None => return close_code::ABNORMAL,
        };
        last = Instant::now();
        let (status, body) = realtime.call(&origin.message(&text)).await;
        let reply = if status.is_success() { body } else { Some(internal_error(origin)) };
        if let Some(reply) = reply
            && socket.send(Message::text(reply)).await.is_err()
        {
            return close_code::ABNORMAL;
        }
    }
}

/// Closes the connection with this code, and returns it.
async fn close(socket: &mut WebSocket, code: u16) -> u16 {
    // An error means that the client is gone.
    let _ = socket.send(Message::Close(Some(CloseFrame { code, reason: "".into() }))).await;
    code
}

/// What API Gateway sends when the function has failed.
fn internal_error(origin: &Origin) -> String {
    json!({"message": "Internal server error", "connectionId": origin.id, "requestId": origin.id}).to_string()
}
