//! Push: a client opens a WebSocket with a ticket, subscribes to cases of its lab, and gets a signal when one of them changes. A
//! signal says which case, and not how: the change feed has that. docs/adr/0051-push-by-a-websocket-api.md has the reasons.

mod connection;
mod event;
mod protocol;
mod push;
mod sender;
mod socket;
mod ticket;

pub use event::{SocketEvent, SocketResponse};
pub use protocol::Action;
pub use push::ChangePusher;
pub use socket::Socket;
pub use ticket::RealtimeTicket;
