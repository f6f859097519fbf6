//! The line of a request: its log line and its metrics in one. See ADR 36.

use std::time::Duration;

use serde::{Serialize, Serializer, ser::SerializeMap};

use super::{
    context::LogContext,
    metric::{Directive, Metadata, Unit, Value},
    usage::Incident,
};
use crate::{
    base::{COMMIT, error::ErrorCode, time::Timestamp, wire_enum::WireEnum},
    config::Stage,
};

/// Why a request failed, for the log.
pub(crate) struct Failure {
    pub code: ErrorCode,
    pub cause: Option<String>,
}

/// A request that is over.
pub(super) struct RequestLine<'a> {
    pub stage: Stage,
    pub context: &'a LogContext,
    pub status: u16,
    pub failure: Option<&'a Failure>,
    pub took: Duration,
    pub at: Timestamp,
}

impl RequestLine<'_> {
    /// The metrics by operation and for the whole stage.
    fn of_operation(&self) -> [Value; 4] {
        [
            Value::count("Requests", 1),
            Value::new("Latency", Unit::Milliseconds, milliseconds(self.took)),
            Value::count("ServerErrors", u64::from(self.status >= 500)),
            Value::count("ClientErrors", u64::from((400..500).contains(&self.status))),
        ]
    }

    /// The metrics for the whole stage only. A metric whose value is 0 is left out.
    fn of_stage(&self) -> Vec<Value> {
        let usage = &self.context.usage;
        let is_limited = self.failure.is_some_and(|failure| failure.code == ErrorCode::TooManyRequests);
        let all = [
            Value::count("ColdStarts", u64::from(self.context.is_cold)),
            Value::count("DynamoDbCalls", usage.dynamodb.count()),
            Value::new("DynamoDbTime", Unit::Milliseconds, usage.dynamodb.milliseconds()),
            Value::new("ReadUnits", Unit::Count, usage.read_units()),
            Value::new("WriteUnits", Unit::Count, usage.write_units()),
            Value::count("DynamoDbConflicts", usage.of(Incident::DynamoDbConflict)),
            Value::count("DynamoDbRetries", usage.of(Incident::DynamoDbRetry)),
            Value::count("UmsCalls", usage.ums.count()),
            Value::new("UmsTime", Unit::Milliseconds, usage.ums.milliseconds()),
            Value::count("UmsFailures", usage.ums.failures()),
            Value::count("LinksHubCalls", usage.linkshub.count()),
            Value::new("LinksHubTime", Unit::Milliseconds, usage.linkshub.milliseconds()),
            Value::count("LinksHubFailures", usage.linkshub.failures()),
            Value::count("CircuitOpen", usage.of(Incident::CircuitOpen)),
            Value::count("AuditFailures", usage.of(Incident::AuditFailure)),
            Value::count("StaleKeys", usage.of(Incident::StaleKeys)),
            Value::count("RateLimited", u64::from(is_limited)),
            Value::count("Panics", usage.of(Incident::Panic)),
        ];
        all.into_iter().filter(|value| value.number > 0.0).collect()
    }
}

impl Serialize for RequestLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let context = self.context;
        let (of_operation, of_stage) = (self.of_operation(), self.of_stage());
        let errors = [Value::count("Errors", 1)];
        let directives = [
            Some(Directive::new(&[&["stage", "operation"], &["stage"]], &of_operation)),
            Some(Directive::new(&[&["stage"]], &of_stage)).filter(|_| !of_stage.is_empty()),
            self.failure.map(|_| Directive::new(&[&["stage", "code"]], &errors)),
        ];
        let code = self.failure.map(|failure| failure.code.as_str());

        let mut line = serializer.serialize_map(None)?;
        line.serialize_entry("timestamp", &self.at)?;
        line.serialize_entry("level", if self.status >= 500 { "ERROR" } else { "INFO" })?;
        line.serialize_entry("message", "request")?;
        line.serialize_entry("stage", self.stage.as_str())?;
        line.serialize_entry("operation", context.operation)?;
        line.serialize_entry("function", &context.function)?;
        line.serialize_entry("commit", COMMIT)?;
        line.serialize_entry("request.id", &context.request_id)?;
        optional(&mut line, "request.gateway_id", context.gateway_id.as_ref())?;
        line.serialize_entry("trace.id", &format_args!("{}", context.trace))?;
        line.serialize_entry("request.method", &context.method)?;
        line.serialize_entry("request.route", context.route)?;
        line.serialize_entry("response.status", &self.status)?;
        optional(&mut line, "lab.id", context.lab_id.get())?;
        optional(&mut line, "user.id", context.user_id.get())?;
        optional(&mut line, "code", code)?;
        optional(&mut line, "error.code", code)?;
        optional(&mut line, "error.cause", self.failure.and_then(|failure| failure.cause.as_deref()))?;
        line.serialize_entry("took_ms", &milliseconds(self.took))?;
        line.serialize_entry("cold_start", &context.is_cold)?;
        for value in of_operation.iter().chain(&of_stage).chain(errors.iter().filter(|_| code.is_some())) {
            line.serialize_entry(value.name, value)?;
        }
        line.serialize_entry("_aws", &Metadata::new(self.at, &directives))?;
        line.end()
    }
}

fn optional<M: SerializeMap>(
    line: &mut M,
    name: &'static str,
    value: Option<impl Serialize>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| line.serialize_entry(name, &value))
}

fn milliseconds(time: Duration) -> f64 {
    time.as_micros() as f64 / 1000.0
}
