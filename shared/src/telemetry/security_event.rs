//! Security events: what a person who watches for misuse must learn, whatever the log level is.
//!
//! Each event is one line. The log has the user, the lab and the request; the metric has only the stage and the kind of event,
//! so that alarms can watch it. See ADR 25.

use serde_json::{Map, Value, json};

use super::metric;
use crate::{
    base::{
        CaseId,
        error::{Error, ErrorCode},
        time::Timestamp,
        wire_enum::WireEnum,
    },
    config::Stage,
    wire_enum,
};

/// The metric that counts the events. Its dimensions are `stage` and `event`.
const METRIC: &str = "SecurityEvents";

wire_enum! {
    /// The kind of a security event: a request without a valid token of an active user; a request without the permission;
    /// a request for a lab of which the user is not a member; a system administrator reads a lab's data; data leaves as a
    /// file; a history does not verify.
    SecurityEvent {
        Unauthorized = "unauthorized", Forbidden = "forbidden", LabForbidden = "lab_forbidden", BreakGlass = "break_glass",
        Export = "export", VerificationFailed = "verification_failed",
    }
}

impl SecurityEvent {
    /// The event of a request that failed with `code`, if it is one.
    pub(crate) fn of_failure(code: ErrorCode) -> Option<Self> {
        match (code, code.status().as_u16()) {
            (ErrorCode::LabForbidden, _) => Some(Self::LabForbidden),
            (_, 401) => Some(Self::Unauthorized),
            (_, 403) => Some(Self::Forbidden),
            _ => None,
        }
    }
}

/// What the log says about an event: ids, and the code and the detail of a problem. Nothing of it becomes part of the metric.
#[derive(Clone, Copy, Default)]
pub(crate) struct Details<'a> {
    /// The id of the request; `None` in a scheduled run.
    pub request_id: Option<&'a str>,
    /// The user, if the token was verified.
    pub user_id: Option<&'a str>,
    /// The lab that the request names, permitted or not; otherwise the lab of the event.
    pub lab_id: Option<u64>,
    /// The case whose history does not verify.
    pub case_id: Option<CaseId>,
    /// Why the request failed. The log has its code and its detail, which never repeats what a client sent.
    pub failure: Option<&'a Error>,
}

/// Logs and counts an event, at every log level.
pub(crate) fn security_event(stage: Stage, event: SecurityEvent, details: Details<'_>) {
    metric::write(&line(stage, event, details));
}

fn line(stage: Stage, event: SecurityEvent, details: Details<'_>) -> Map<String, Value> {
    let Details { request_id, user_id, lab_id, case_id, failure } = details;
    // The names of the request's log line.
    let properties = [
        ("timestamp", Some(json!(Timestamp::now()))),
        ("level", Some(json!("WARN"))),
        ("message", Some(json!("security event"))),
        ("request.id", request_id.map(Value::from)),
        ("user.id", user_id.map(Value::from)),
        ("lab.id", lab_id.map(Value::from)),
        ("case.id", case_id.map(|id| json!(id))),
        ("error.code", failure.map(|error| error.code().as_str().into())),
        ("error.detail", failure.map(|error| error.report().detail.into())),
    ];
    let properties = properties.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    metric::count(METRIC, &[("stage", stage.as_str()), ("event", event.as_str())], properties.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(failure: &Error) -> Details<'_> {
        Details {
            request_id: Some("request-1"),
            user_id: Some("7"),
            lab_id: Some(123),
            case_id: CaseId::new(42),
            failure: Some(failure),
        }
    }

    #[test]
    fn the_metric_has_the_stage_and_the_event_and_the_log_has_the_rest() {
        let failure = Error::new(ErrorCode::LabForbidden, "No.");
        let mut found = line(Stage::Prod, SecurityEvent::LabForbidden, full(&failure));
        assert!(found.remove("timestamp").unwrap().is_string());
        assert!(found["_aws"]["Timestamp"].take().is_i64());
        let metrics = json!([{
            "Namespace": "LHCMS", "Dimensions": [["stage", "event"]],
            "Metrics": [{"Name": "SecurityEvents", "Unit": "Count"}],
        }]);
        assert_eq!(
            Value::Object(found),
            json!({
                "_aws": {"Timestamp": null, "CloudWatchMetrics": metrics}, "SecurityEvents": 1, "stage": "prod",
                "event": "lab_forbidden", "level": "WARN", "message": "security event", "request.id": "request-1",
                "user.id": "7", "lab.id": 123, "case.id": 42, "error.code": "lab_forbidden",
                "error.detail": "No.",
            })
        );
    }

    #[test]
    fn a_failed_request_is_an_event_if_it_was_not_allowed() {
        for (code, expected) in [
            (ErrorCode::Unauthorized, Some(SecurityEvent::Unauthorized)),
            (ErrorCode::Forbidden, Some(SecurityEvent::Forbidden)),
            (ErrorCode::BreakGlassRequired, Some(SecurityEvent::Forbidden)),
            (ErrorCode::LabForbidden, Some(SecurityEvent::LabForbidden)),
            (ErrorCode::CaseNotFound, None),
            (ErrorCode::ValidationFailed, None),
            (ErrorCode::ServiceUnavailable, None),
        ] {
            assert_eq!(SecurityEvent::of_failure(code), expected, "{code:?}");
        }
    }
}
