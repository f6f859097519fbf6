//! The configuration of the queue of webhooks.

use super::{Env, Stage};

/// The SQS queue of deliveries of webhooks. The identity for access to it is that of the table.
#[derive(Clone, Debug)]
pub struct QueueConfig {
    /// `WEBHOOK_QUEUE_URL`.
    pub url: String,
    /// `AWS_ENDPOINT_URL_SQS`: the URL of an emulator; unset on AWS.
    pub endpoint: Option<String>,
}

impl QueueConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        Self { url: env.required("WEBHOOK_QUEUE_URL"), endpoint: env.endpoint("AWS_ENDPOINT_URL_SQS", stage) }
    }
}
