//! Metrics in CloudWatch's embedded metric format: a JSON line of the log, from which CloudWatch reads the metric.
//!
//! See <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::{io::Write, sync::OnceLock};

use serde::{Serialize, Serializer};
use serde_json::{Map, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::base::time::Timestamp;

/// The namespace of all metrics of this service.
const NAMESPACE: &str = "LHCMS";

type Output = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Where the lines go. Nothing is written before logging has started.
static OUTPUT: OnceLock<Output> = OnceLock::new();

/// The unit of a metric.
#[derive(Clone, Copy, Serialize)]
pub(super) enum Unit {
    Count,
    Milliseconds,
}

/// A metric with its value.
pub(super) struct Value {
    pub name: &'static str,
    unit: Unit,
    pub number: f64,
}

impl Value {
    pub(super) fn new(name: &'static str, unit: Unit, number: f64) -> Self {
        Self { name, unit, number }
    }

    pub(super) fn count(name: &'static str, count: u64) -> Self {
        Self::new(name, Unit::Count, count as f64)
    }
}

/// The number alone, which the line has under the metric's name. Whole numbers have no decimal point.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.number.fract() == 0.0 {
            serializer.serialize_u64(self.number as u64)
        } else {
            serializer.serialize_f64(self.number)
        }
    }
}

/// Sets of dimensions. A metric counts once for each set. Each combination of values is a metric of its own that costs money,
/// so a dimension has few values.
type Dimensions = [&'static [&'static str]];

/// Metrics that have the same dimensions.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Directive<'a> {
    namespace: &'static str,
    dimensions: &'static Dimensions,
    #[serde(serialize_with = "definitions")]
    metrics: &'a [Value],
}

impl<'a> Directive<'a> {
    pub(super) fn new(dimensions: &'static Dimensions, metrics: &'a [Value]) -> Self {
        Self { namespace: NAMESPACE, dimensions, metrics }
    }
}

fn definitions<S: Serializer>(metrics: &[Value], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Definition {
        name: &'static str,
        unit: Unit,
    }
    serializer.collect_seq(metrics.iter().map(|metric| Definition { name: metric.name, unit: metric.unit }))
}

/// The member `_aws` of a line with metrics.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metadata<'a> {
    timestamp: i64,
    #[serde(serialize_with = "present")]
    cloud_watch_metrics: &'a [Option<Directive<'a>>],
}

impl<'a> Metadata<'a> {
    /// The directives that are not `None`.
    pub(super) fn new(at: Timestamp, directives: &'a [Option<Directive<'a>>]) -> Self {
        Self { timestamp: at.epoch_milliseconds(), cloud_watch_metrics: directives }
    }
}

fn present<S: Serializer>(directives: &[Option<Directive<'_>>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(directives.iter().flatten())
}

/// Makes the line that counts one occurrence of something rare. `properties` are only in the log.
pub(super) fn count(
    metric: &'static str,
    dimensions: &[(&str, &str)],
    properties: Map<String, serde_json::Value>,
) -> Map<String, serde_json::Value> {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let mut line = properties;
    line.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    line.insert(metric.to_owned(), json!(1));
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": Timestamp::now().epoch_milliseconds(),
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": [{"Name": metric, "Unit": "Count"}]},
            ],
        }),
    );
    line
}

/// Sets where the lines go. Only the first call has an effect, as for the log.
pub(super) fn write_into(lines: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    // A log line that cannot be written cannot be reported either.
    let _ = OUTPUT.set(Box::new(move |line| drop(lines.make_writer().write_all(line))));
}

/// Writes a line, at every log level, in one piece.
pub(super) fn write(line: &impl Serialize) {
    let Some(output) = OUTPUT.get() else { return };
    // A request's line has about 1,500 bytes.
    let mut text = Vec::with_capacity(2048);
    if serde_json::to_writer(&mut text, line).is_ok() {
        text.push(b'\n');
        output(&text);
    }
}
