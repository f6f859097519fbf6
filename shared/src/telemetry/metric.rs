//! Metrics in CloudWatch's embedded metric format: a JSON line of the log, from which CloudWatch reads the metric.
//!
//! See <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>.

use std::{io::Write, sync::OnceLock};

use serde_json::{Map, Value, json};
use tracing_subscriber::fmt::MakeWriter;

use crate::base::time::Timestamp;

/// The namespace of all metrics of this service.
const NAMESPACE: &str = "LHCMS";

type Output = Box<dyn Fn(&[u8]) + Send + Sync>;

/// Where the lines go. Nothing is written before logging has started.
static OUTPUT: OnceLock<Output> = OnceLock::new();

/// Sets where the lines go. Only the first call has an effect, as for the log.
pub(super) fn write_into(lines: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) {
    // A log line that cannot be written cannot be reported either.
    let _ = OUTPUT.set(Box::new(move |line| drop(lines.make_writer().write_all(line))));
}

/// Makes the line that counts one occurrence. `dimensions` are the metric's dimensions: a few values for each, because each
/// combination is a metric of its own. `properties` are only in the log.
pub(super) fn count(
    metric: &str,
    dimensions: &[(&str, &str)],
    properties: Map<String, Value>,
) -> Map<String, Value> {
    let names: Vec<&str> = dimensions.iter().map(|(name, _)| *name).collect();
    let mut line = properties;
    line.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    line.insert(metric.to_owned(), json!(1));
    line.insert(
        "_aws".to_owned(),
        json!({
            "Timestamp": Timestamp::now().epoch_seconds() * 1000,
            "CloudWatchMetrics": [
                {"Namespace": NAMESPACE, "Dimensions": [names], "Metrics": [{"Name": metric, "Unit": "Count"}]},
            ],
        }),
    );
    line
}

/// Writes a line, at every log level, in one piece.
pub(super) fn write(line: Map<String, Value>) {
    if let Some(output) = OUTPUT.get() {
        output(format!("{}\n", Value::Object(line)).as_bytes());
    }
}
