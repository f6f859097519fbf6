//! The log: JSON lines on standard output, one per request, without patient data, tokens or secrets.

use std::{panic, sync::OnceLock, time::Duration};

use serde_json::{Value, json};
use tracing::Level;
use tracing_subscriber::{
    Layer, filter::Targets, fmt::MakeWriter, layer::SubscriberExt, util::SubscriberInitExt,
};

use crate::{config::Stage, error::Code, http::Response, lab::LabId, time::Timestamp, token::Subject};

/// Starts logging at `level`, and makes a panic a log line that tells where, but not what: its message may hold a
/// case's data.
pub(crate) fn start(level: Level) {
    start_into(level, std::io::stdout);
}

/// The same with another place for the lines: tests search them for what must not be there.
pub fn start_into(level: Level, lines: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    // Libraries do not get a say: at their debug level the SDK and the HTTP clients log headers and bodies.
    let ours = Targets::new().with_target("shared", level);
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_target(false)
        .with_current_span(false)
        .with_writer(lines);
    // It fails only where a test has started logging before.
    let _ = tracing_subscriber::registry().with(layer.with_filter(ours)).try_init();
    panic::set_hook(Box::new(|info| {
        let at = info.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(panic.at = at, "panic");
    }));
}

/// What the request line says besides the outcome. The path is not among it: a client could write anything there.
#[derive(Default)]
pub(crate) struct Line {
    pub function: String,
    pub method: String,
    pub seen: Seen,
}

/// What is found out of a request on its way in, so that its line has it whatever comes of it.
#[derive(Default)]
pub struct Seen {
    /// The request.
    pub request_id: String,
    /// The user, once the token is verified.
    pub user_id: OnceLock<String>,
    /// The lab that the request names, whether it may or not; else the one that it works in.
    pub lab_id: OnceLock<u64>,
}

/// Why a request failed, as the log has it.
pub(crate) struct Failure {
    pub code: Code,
    pub cause: Option<String>,
}

/// Says that a system administrator looked into a lab: a line of the log, and a metric in CloudWatch's embedded format,
/// which an alarm stands on.
pub(crate) fn break_glass(stage: Stage, lab: LabId, user: &Subject, request_id: &str) {
    tracing::warn!(lab.id = lab.get(), user.id = user.as_str(), request.id = request_id, "break-glass");
    println!("{}", break_glass_metric(stage));
}

fn break_glass_metric(stage: Stage) -> Value {
    json!({
        "_aws": {
            "Timestamp": Timestamp::now().epoch_seconds() * 1000,
            "CloudWatchMetrics": [{
                "Namespace": "LHCMS", "Dimensions": [["stage"]], "Metrics": [{"Name": "BreakGlass", "Unit": "Count"}],
            }],
        },
        "stage": stage.as_str(),
        "BreakGlass": 1,
    })
}

/// Writes the request line. A failure's cause is logged here, once, and nowhere else.
pub(crate) fn request(line: &Line, response: &Response, failure: Option<&Failure>, took: Duration) {
    let status = response.status().as_u16();
    let code = failure.map(|failure| failure.code.as_str());
    let cause = failure.and_then(|failure| failure.cause.as_deref());
    let took_ms = took.as_micros() as f64 / 1000.0;
    macro_rules! line {
        ($level:expr) => {
            tracing::event!(
                $level,
                function = line.function,
                request.id = line.seen.request_id,
                request.method = line.method,
                response.status = status,
                lab.id = line.seen.lab_id.get(),
                user.id = line.seen.user_id.get(),
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
    fn the_metric_counts_and_tells_the_stage_and_nothing_else() {
        let mut metric = break_glass_metric(Stage::Prod);
        assert!(metric["_aws"]["Timestamp"].take().is_i64());
        let named = json!({"Namespace": "LHCMS", "Dimensions": [["stage"]], "Metrics": [{"Name": "BreakGlass", "Unit": "Count"}]});
        let expected = json!({"_aws": {"Timestamp": null, "CloudWatchMetrics": [named]}, "stage": "prod", "BreakGlass": 1});
        assert_eq!(metric, expected);
    }
}
