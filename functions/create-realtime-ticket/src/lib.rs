//! `POST /api/v1/realtime/tickets`: the URL of a WebSocket.

use shared::{
    http::{self, Request},
    lab::LabScope,
    realtime::RealtimeTicket,
};

/// Returns 201 with the URL.
pub async fn handler(lab: LabScope, req: Request) -> http::Result {
    http::no_query(&req)?;
    http::created_once(&RealtimeTicket::create(&lab).await?)
}
