//! The log: JSON lines on standard output, one per request, without patient data, tokens or secrets.

use std::{
    panic,
    sync::{Mutex, OnceLock, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::{
    Layer, filter::Targets, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{
    base::{
        LabId, Subject,
        error::{Error, ErrorCode},
        time::Timestamp,
        wire_enum::WireEnum,
    },
    config::Stage,
    http::RateLimitStatus,
};

/// Starts logging at `level`. A panic becomes a log line with its place, but without its message, which may hold a
/// case's data.
pub(crate) fn start(level: Level) {
    start_into(level, std::io::stdout);
}

/// The same with another destination for the lines. Tests search them for patient data.
pub fn start_into(level: Level, lines: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
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
    panic::set_hook(Box::new(|info| {
        let at = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.at = at, "panic");
    }));
}

/// The values of a request's log line. Each value is set as soon as it is known, so the line has it however the request
/// ends. The path is not among them: a client could write anything into it.
#[derive(Default)]
pub struct LogContext {
    /// The id of the request.
    pub request_id: String,
    /// The function that serves it.
    pub(crate) function: String,
    /// Its method.
    pub(crate) method: String,
    /// The user, once the token is verified.
    pub(crate) user_id: OnceLock<String>,
    /// The lab that the request names, permitted or not; otherwise the lab of the operation.
    pub(crate) lab_id: OnceLock<u64>,
    /// The rate limit with the fewest requests left. The response shows it as well.
    rate_limit: Mutex<Option<RateLimitStatus>>,
}

impl LogContext {
    /// Makes the context of a request that has just arrived.
    pub(crate) fn new(request_id: String, function: String, method: String) -> Self {
        Self { request_id, function, method, ..Self::default() }
    }

    /// Notes a rate limit that counted the request, and keeps the one with the fewest requests left.
    pub(crate) fn note_rate_limit(&self, status: RateLimitStatus) {
        let mut kept = self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none_or(|kept| status.remaining < kept.remaining) {
            *kept = Some(status);
        }
    }

    /// The rate limit with the fewest requests left.
    pub(crate) fn rate_limit(&self) -> Option<RateLimitStatus> {
        *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a request failed, for the log.
pub(crate) struct Failure {
    pub code: ErrorCode,
    pub cause: Option<String>,
}

/// Reports that a system administrator read a lab's data: a line of the log, and a metric in CloudWatch's embedded format
/// that an alarm watches.
pub(crate) fn break_glass(stage: Stage, lab: LabId, user: &Subject, request_id: &str) {
    tracing::warn!(lab.id = lab.get(), user.id = user.as_str(), request.id = request_id, "break-glass");
    println!("{}", break_glass_metric(stage));
}

/// Reports a change of the audit trail that this service does not make: a line of the log, and a metric that an alarm
/// watches.
pub(crate) fn tampering(stage: Stage, lab: u64, item: &str, change: &str) {
    tracing::error!(lab.id = lab, item, change, "tampering");
    println!("{}", metric(stage, "TrailTampering"));
}

/// Reports a step of the function on the streams that failed and will be tried again.
pub(crate) fn stream_failure(step: &str, error: &Error) {
    tracing::error!(step, error.code = error.code().as_str(), error.cause = error.cause(), "stream failure");
}

/// Writes the log line of a batch of a stream.
pub(crate) fn stream_batch(changes: usize, failures: usize) {
    tracing::info!(changes, failures, "stream batch");
}

fn break_glass_metric(stage: Stage) -> Value {
    metric(stage, "BreakGlass")
}

/// One event in CloudWatch's embedded format.
fn metric(stage: Stage, name: &str) -> Value {
    json!({
        "_aws": {
            "Timestamp": Timestamp::now().epoch_seconds() * 1000,
            "CloudWatchMetrics": [{
                "Namespace": "LHCMS", "Dimensions": [["stage"]], "Metrics": [{"Name": name, "Unit": "Count"}],
            }],
        },
        "stage": stage.as_str(),
        name: 1,
    })
}

/// Writes the log line of a request. Only this line holds the cause of a failure.
pub(crate) fn request(context: &LogContext, status: u16, failure: Option<&Failure>, took: Duration) {
    let code = failure.map(|failure| failure.code.as_str());
    let cause = failure.and_then(|failure| failure.cause.as_deref());
    let took_ms = took.as_micros() as f64 / 1000.0;
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                function = context.function,
                request.id = context.request_id,
                request.method = context.method,
                response.status = status,
                lab.id = context.lab_id.get(),
                user.id = context.user_id.get(),
                error.code = code,
                error.cause = cause,
                took_ms,
                "request"
            )
        };
    }
    if status >= 500 { line!(Level::ERROR) } else { line!(Level::INFO) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metric_has_a_count_and_the_stage_and_nothing_else() {
        let mut metric = break_glass_metric(Stage::Prod);
        assert!(metric["_aws"]["Timestamp"].take().is_i64());
        let named = json!({"Namespace": "LHCMS", "Dimensions": [["stage"]], "Metrics": [{"Name": "BreakGlass", "Unit": "Count"}]});
        let expected = json!({"_aws": {"Timestamp": null, "CloudWatchMetrics": [named]}, "stage": "prod", "BreakGlass": 1});
        assert_eq!(metric, expected);
    }
}
