//! The configuration of the event bus.

use super::{Env, Stage};

/// The event bus of EventBridge that gets the message of each change. The identity for access to it is that of the table.
#[derive(Clone, Debug)]
pub struct EventBusConfig {
    /// `EVENT_BUS_NAME`: its name or its ARN.
    pub name: String,
    /// `AWS_ENDPOINT_URL_EVENTBRIDGE`: the URL of an emulator; unset on AWS.
    pub endpoint: Option<String>,
}

impl EventBusConfig {
    /// Reads and checks. `None` without `EVENT_BUS_NAME`: nothing is put on a bus.
    pub fn read(env: &mut Env, stage: Stage) -> Option<Self> {
        let endpoint = env.endpoint("AWS_ENDPOINT_URL_EVENTBRIDGE", stage);
        env.optional("EVENT_BUS_NAME").map(|name| Self { name, endpoint })
    }
}
