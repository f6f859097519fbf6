//! The configuration of the function that delivers webhooks.

use std::time::Duration;

use super::{Common, ConfigError, Env, QueueConfig, TableConfig, WebhookKeysConfig};

/// The configuration of the function that delivers webhooks. It has no keys for tokens, cursors and seals.
#[derive(Clone, Debug)]
pub struct DeliveryConfig {
    /// The concern of every function.
    pub common: Common,
    /// The table of the webhooks.
    pub table: TableConfig,
    /// The queue of the deliveries.
    pub queue: QueueConfig,
    /// The keys of the webhooks' secrets.
    pub keys: WebhookKeysConfig,
    /// How long and how often. It has no variables: only tests change it.
    pub times: DeliveryTimes,
}

/// How long an attempt may take, and when there is another one.
#[derive(Clone, Debug)]
pub struct DeliveryTimes {
    /// The time for an attempt until the response.
    pub timeout: Duration,
    /// The time for a connection, which is part of it.
    pub connect_timeout: Duration,
    /// The pauses between the attempts. After one more than these the delivery has failed.
    pub retries: Vec<Duration>,
    /// How long an endpoint gets no request after its first failure. The pause doubles with each failure in a row.
    pub first_pause: Duration,
    /// The longest of these pauses.
    pub longest_pause: Duration,
    /// An endpoint that takes longer than this for a response gets one request at a time.
    pub slow: Duration,
    /// How long the others wait for one attempt after a pause.
    pub probe: Duration,
    /// How long an endpoint may fail before its webhook is disabled.
    pub patience: Duration,
}

impl Default for DeliveryTimes {
    fn default() -> Self {
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        let retries =
            [5, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR];
        Self {
            timeout: Duration::from_secs(15),
            connect_timeout: Duration::from_secs(5),
            retries: retries.map(Duration::from_secs).to_vec(),
            first_pause: Duration::from_secs(5),
            longest_pause: Duration::from_secs(30 * MINUTE),
            slow: Duration::from_secs(3),
            probe: Duration::from_secs(20),
            patience: Duration::from_secs(5 * 24 * HOUR),
        }
    }
}

impl DeliveryConfig {
    /// Reads all of it.
    ///
    /// # Errors
    /// The error lists all errors.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let common = Common::read(&mut env);
        let stage = common.stage;
        let config = Self {
            common,
            table: TableConfig::read(&mut env, stage),
            queue: QueueConfig::read(&mut env, stage),
            keys: WebhookKeysConfig::read(&mut env),
            times: DeliveryTimes::default(),
        };
        env.finish().map(|()| config)
    }
}
