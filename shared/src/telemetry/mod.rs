//! The log: JSON lines on standard output, one per request and one per security event, without patient data, tokens or
//! secrets. The line of a request is also where CloudWatch reads the metrics.

mod context;
mod metric;
mod push;
mod request_line;
mod security_event;
mod trace;
mod usage;
mod webhook;

use std::{panic, time::Duration};

use serde_json::{Map, Value, json};
use tracing::Level;
use tracing_subscriber::{
    Layer, filter::Targets, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    base::{COMMIT, error::Error, time::Timestamp, wire_enum::WireEnum},
    config::Stage,
};
pub use context::LogContext;
pub(crate) use context::{headers_of_call, within};
pub(crate) use push::{PushBatch, push_failure, socket_event, socket_failure};
pub(crate) use request_line::Failure;
use request_line::RequestLine;
pub use security_event::SecurityEvent;
pub(crate) use security_event::{Details, security_event};
pub(crate) use trace::Trace;
pub(crate) use usage::{Dependency, Incident, RunningCall, add_units, count};
pub(crate) use webhook::{WebhookAttempt, delivery_failure, webhook_attempt, webhook_disabled};

/// The operation of the function on the streams in metrics.
pub(crate) const PROCESS_STREAMS: &str = "processStreams";

/// Starts logging at `level`. A panic becomes a log line with its place, but without its message, which may hold a
/// case's data.
pub(crate) fn start(level: Level, stage: Stage) {
    start_into(level, stage, std::io::stdout);
}

/// The same with another destination for the lines. Tests search them for patient data.
pub fn start_into(
    level: Level,
    stage: Stage,
    lines: impl for<'w> MakeWriter<'w> + Clone + Send + Sync + 'static,
) {
    metric::write_into(lines.clone());
    // No lines of libraries: at debug level the SDK and the HTTP clients log headers and bodies.
    let ours = Targets::new().with_target("shared", level);
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_writer(lines);
    // This fails only when another test has already started logging.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
    panic::set_hook(Box::new(move |info| {
        let at = info.location().map(ToString::to_string).unwrap_or_default();
        metric::write(&panic_line(stage, &at));
    }));
}

/// The line of a panic. The line of the request counts a panic of its handler. One outside of a request counts here.
fn panic_line(stage: Stage, at: &str) -> Map<String, Value> {
    let request_id = context::with_current(|context| context.request_id.clone());
    let mut line = properties("ERROR", "panic");
    line.insert("panic.at".to_owned(), json!(at));
    match request_id {
        Some(id) => {
            line.insert("request.id".to_owned(), json!(id));
            line
        }
        None => metric::count("Panics", &[("stage", stage.as_str())], line),
    }
}

/// The members that every line has.
fn properties(level: &str, message: &str) -> Map<String, Value> {
    let members = [
        ("timestamp", json!(Timestamp::now())),
        ("level", json!(level)),
        ("message", json!(message)),
        ("commit", json!(COMMIT)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Reports that the function cannot start, in one line on standard error: logging has not started yet. `cause` has no values
/// of the configuration.
pub(crate) fn start_failure(cause: &str) {
    let mut line = properties("ERROR", "the function cannot start");
    line.insert("error.cause".to_owned(), json!(cause));
    eprintln!("{}", Value::Object(line));
}

/// Reports a step of the function on the streams that failed and will be tried again.
pub(crate) fn stream_failure(step: &str, error: &Error) {
    tracing::error!(step, error.code = error.code().as_str(), error.cause = error.cause(), "stream failure");
}

/// Reports changes that could not be archived and will be tried again, and counts the failure at every log level.
pub(crate) fn archive_failure(stage: Stage, error: &Error) {
    let mut line = properties("ERROR", "stream failure");
    line.insert("step".to_owned(), json!("archive"));
    line.insert("error.code".to_owned(), json!(error.code().as_str()));
    line.insert("error.cause".to_owned(), json!(error.cause()));
    let dimensions = [("stage", stage.as_str()), ("operation", PROCESS_STREAMS)];
    metric::write(&metric::count("ArchiveFailures", &dimensions, line));
}

/// Writes the log line of a batch of a stream.
pub(crate) fn stream_batch(changes: usize, failures: usize) {
    tracing::info!(changes, failures, "stream batch");
}

/// Writes the log line of a result of a scan.
pub(crate) fn scan_result(outcome: &str) {
    tracing::info!(outcome, "scan result");
}

/// Writes the line of a request, at every log level. Only this line holds the cause of a failure.
pub(crate) fn request(
    stage: Stage,
    context: &LogContext,
    status: u16,
    failure: Option<&Failure>,
    took: Duration,
) {
    metric::write(&RequestLine { stage, context, status, failure, took, at: Timestamp::now() });
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().push(String::from_utf8(bytes.to_vec()).unwrap());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_and_security_events_are_logged_at_every_level() {
        let lines = Lines::default();
        let output = lines.clone();
        let hook = panic::take_hook();
        start_into(Level::ERROR, Stage::Prod, move || output.clone());
        panic::set_hook(hook);
        let context = LogContext {
            request_id: "request-1".into(),
            function: "get-case".into(),
            ..LogContext::default()
        };
        request(Stage::Prod, &context, 403, None, Duration::ZERO);
        security_event(Stage::Prod, SecurityEvent::Forbidden, Details::default());
        tracing::info!("hidden by the level");
        request(Stage::Prod, &context, 500, None, Duration::ZERO);
        let lines = lines.0.lock().unwrap();
        assert_eq!(lines.len(), 3, "a line is one write: {lines:?}");
        assert!(lines.iter().all(|line| line.ends_with("}\n")));
        assert!(lines[0].contains("\"response.status\":403") && lines[0].contains("\"level\":\"INFO\""));
        assert!(lines[1].contains("\"event\":\"forbidden\""));
        assert!(lines[2].contains("\"response.status\":500") && lines[2].contains("\"level\":\"ERROR\""));
    }
}
