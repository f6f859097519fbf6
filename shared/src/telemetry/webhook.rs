//! The lines of the function that delivers webhooks. They have no URL, because it may have a password.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::json;

use super::{
    metric::{self, Directive, Metadata, Unit, Value},
    properties,
};
use crate::{
    base::{COMMIT, error::Error, time::Timestamp, wire_enum::WireEnum},
    config::Stage,
};

/// An attempt to deliver a message.
pub(crate) struct WebhookAttempt<'a> {
    pub stage: Stage,
    pub lab_id: u64,
    pub webhook_id: &'a str,
    pub delivery_id: &'a str,
    /// Which attempt it is, from 1.
    pub attempt: u32,
    /// The status of the response.
    pub status: Option<u16>,
    /// Why it failed, as a word; `None` after a success.
    pub error: Option<&'a str>,
    pub took: Duration,
}

/// Logs and counts an attempt, at every log level.
pub(crate) fn webhook_attempt(attempt: &WebhookAttempt<'_>) {
    metric::write(attempt);
}

impl Serialize for WebhookAttempt<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = Timestamp::now();
        let took = (self.took.as_secs_f64() * 1e5).round() / 100.0;
        let outcome = if self.error.is_none() { "WebhookDeliveries" } else { "WebhookFailures" };
        let values = [Value::count(outcome, 1), Value::new("WebhookLatency", Unit::Milliseconds, took)];
        let directives = [Some(Directive::new(&[&["stage"]], &values))];
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("timestamp", &at)?;
        line.serialize_entry("level", if self.error.is_none() { "INFO" } else { "WARN" })?;
        line.serialize_entry("message", "webhook attempt")?;
        line.serialize_entry("stage", self.stage.as_str())?;
        line.serialize_entry("commit", COMMIT)?;
        line.serialize_entry("lab.id", &self.lab_id)?;
        line.serialize_entry("webhook.id", self.webhook_id)?;
        line.serialize_entry("delivery.id", self.delivery_id)?;
        line.serialize_entry("attempt", &self.attempt)?;
        if let Some(status) = self.status {
            line.serialize_entry("response.status", &status)?;
        }
        if let Some(error) = self.error {
            line.serialize_entry("error", error)?;
        }
        for value in &values {
            line.serialize_entry(value.name, value)?;
        }
        line.serialize_entry("_aws", &Metadata::new(at, &directives))?;
        line.end()
    }
}

/// Reports a message that this service itself could not process. The queue delivers it again.
pub(crate) fn delivery_failure(step: &str, error: &Error) {
    tracing::error!(
        step,
        error.code = error.code().as_str(),
        error.cause = error.cause(),
        "delivery failure"
    );
}

/// Reports that the service has disabled a webhook, and counts it at every log level.
pub(crate) fn webhook_disabled(stage: Stage, lab_id: u64, webhook_id: &str, reason: &str) {
    let mut line = properties("WARN", "webhook disabled");
    line.insert("lab.id".to_owned(), json!(lab_id));
    line.insert("webhook.id".to_owned(), json!(webhook_id));
    line.insert("reason".to_owned(), json!(reason));
    metric::write(&metric::count("WebhooksDisabled", &[("stage", stage.as_str())], line));
}
