//! The lines of push. They have no tickets and no ids of connections.

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

/// The signals of a batch of changes.
pub(crate) struct PushBatch {
    stage: Stage,
    /// How many connections the labs of the batch have.
    pub connections: usize,
    /// Messages that API Gateway has taken.
    pub messages: usize,
    /// Messages that it has not taken, or not in time.
    pub failures: usize,
    /// Connections that had ended.
    pub ended: usize,
    /// When the oldest change was made; `None` without changes.
    pub oldest: Option<Timestamp>,
}

impl PushBatch {
    /// An empty batch.
    pub(crate) fn new(stage: Stage) -> Self {
        Self { stage, connections: 0, messages: 0, failures: 0, ended: 0, oldest: None }
    }

    /// Logs and counts it, at every log level. Without connections there is nothing to say.
    pub(crate) fn write(&self) {
        if self.connections > 0 {
            metric::write(self);
        }
    }
}

impl Serialize for PushBatch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = Timestamp::now();
        let mut values = vec![
            Value::count("PushConnections", self.connections as u64),
            Value::count("PushMessages", self.messages as u64),
            Value::count("PushFailures", self.failures as u64),
        ];
        // From the change to the end of sending.
        let oldest = self.oldest.filter(|_| self.messages > 0);
        values.extend(oldest.map(|oldest| {
            let latency = at.duration_since(oldest).as_millis();
            Value::new("PushLatency", Unit::Milliseconds, latency as f64)
        }));
        let directives = [Some(Directive::new(&[&["stage"]], &values))];
        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("timestamp", &at)?;
        line.serialize_entry("level", if self.failures == 0 { "INFO" } else { "WARN" })?;
        line.serialize_entry("message", "push batch")?;
        line.serialize_entry("stage", self.stage.as_str())?;
        line.serialize_entry("commit", COMMIT)?;
        line.serialize_entry("ended", &self.ended)?;
        for value in &values {
            line.serialize_entry(value.name, value)?;
        }
        line.serialize_entry("_aws", &Metadata::new(at, &directives))?;
        line.end()
    }
}

/// Reports a message that API Gateway has not taken.
pub(crate) fn push_failure(error: &Error) {
    tracing::warn!(error.code = error.code().as_str(), error.cause = error.cause(), "push failure");
}

/// Writes the log line of an opened, refused or closed connection.
pub(crate) fn socket_event(event: &str, status: u16) {
    tracing::info!(event, status, "socket event");
}

/// Reports an event of the WebSocket API that this service could not process, and counts it at every log level.
pub(crate) fn socket_failure(stage: Stage, event: &str, error: &Error) {
    let mut line = properties("ERROR", "socket failure");
    line.insert("event".to_owned(), json!(event));
    line.insert("error.code".to_owned(), json!(error.code().as_str()));
    line.insert("error.cause".to_owned(), json!(error.cause()));
    metric::write(&metric::count("SocketFailures", &[("stage", stage.as_str())], line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_batch_has_its_metrics_and_no_latency_if_nothing_was_sent() {
        let mut batch = PushBatch::new(Stage::Prod);
        (batch.connections, batch.messages, batch.failures, batch.ended) = (500, 420, 3, 1);
        batch.oldest = Some(Timestamp::now());
        let line = serde_json::to_value(&batch).unwrap();
        let number = |name: &str| line[name].as_u64();
        assert_eq!(
            ["PushConnections", "PushMessages", "PushFailures", "ended"].map(number),
            [500, 420, 3, 1].map(Some)
        );
        assert!(number("PushLatency").is_some_and(|latency| latency < 60_000), "{line}");
        let [metrics] = &line["_aws"]["CloudWatchMetrics"].as_array().unwrap()[..] else { panic!("{line}") };
        assert_eq!(metrics["Dimensions"], json!([["stage"]]));
        let names: Vec<&str> =
            metrics["Metrics"].as_array().unwrap().iter().filter_map(|it| it["Name"].as_str()).collect();
        assert_eq!(names, ["PushConnections", "PushMessages", "PushFailures", "PushLatency"]);
        batch.messages = 0;
        assert_eq!(serde_json::to_value(&batch).unwrap().get("PushLatency"), None);
    }
}
