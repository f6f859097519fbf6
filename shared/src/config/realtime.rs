//! The configuration of push: tickets, the WebSocket API, and the signals of changes.

use super::{Common, ConfigError, Env, Stage, TableConfig};
use crate::base::private::Secret;

/// What makes tickets. The identity for access to the table is the function's own.
#[derive(Clone, Debug)]
pub struct TicketsConfig {
    /// `CONNECTIONS_TABLE`: the table of tickets and connections.
    pub table: String,
    /// `REALTIME_URL`: the WebSocket API as clients open it, without a query.
    pub url: String,
}

impl TicketsConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        Self { table: env.required("CONNECTIONS_TABLE"), url: websocket_url(env, "REALTIME_URL", stage) }
    }
}

/// The configuration of the functions that know the connections: the one of the WebSocket API, and the one that sends signals.
#[derive(Clone, Debug)]
pub struct RealtimeConfig {
    /// The concern of every function.
    pub common: Common,
    /// The table of cases, for the place of the feed.
    pub table: TableConfig,
    /// `CONNECTIONS_TABLE`: the table of tickets and connections, at the same address.
    pub connections: TableConfig,
    /// `REALTIME_ENDPOINT`: the address at which the WebSocket API takes messages for its connections. It may have a path.
    pub endpoint: String,
    /// `CURSOR_SECRET_KEY`: signs cursors.
    pub cursor_key: Secret,
}

impl RealtimeConfig {
    /// Reads all of it.
    ///
    /// # Errors
    /// The error lists all errors.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let common = Common::read(&mut env);
        let stage = common.stage;
        let table = TableConfig::read(&mut env, stage);
        let connections = TableConfig { name: env.required("CONNECTIONS_TABLE"), ..table.clone() };
        let endpoint = env.required("REALTIME_ENDPOINT");
        let endpoint =
            if endpoint.is_empty() { endpoint } else { env.base_url("REALTIME_ENDPOINT", stage, endpoint) };
        let cursor_key = env.secret("CURSOR_SECRET_KEY", stage);
        env.finish().map(|()| Self { common, table, connections, endpoint, cursor_key })
    }
}

fn websocket_url(env: &mut Env, name: &str, stage: Stage) -> String {
    let text = env.required(name);
    let rest = match text.split_once("://") {
        Some(("wss", rest)) => rest,
        Some(("ws", rest)) if stage == Stage::Dev => rest,
        _ => "",
    };
    // A missing one is reported already.
    if !text.is_empty() && (rest.is_empty() || rest.contains(['?', '#', ' ', '@'])) {
        env.reject(name, "must be a URL such as wss://live.example.com, without a query");
    }
    text
}
