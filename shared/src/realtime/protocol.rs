//! The messages over the WebSocket, as `RealtimeRequest` and `RealtimeMessage` in the contract.

use serde::Serialize;
use serde_json::Value;

use super::connection::CaseFilter;
use crate::{
    base::{
        CaseId, LabId,
        error::{Error, ErrorCode},
        field_error::{FieldError, Invalid},
        private::Secret,
        time::Timestamp,
        validate::{Checked, Fields, FromObject, case_id, distinct, one_of, string},
        wire_enum::WireEnum,
    },
    case::workflow::Status,
    http, wire_enum,
};

/// The longest message of a client, in bytes.
const MAX_BYTES: usize = 4096;
/// The most cases that a client can name.
const MAX_CASES: usize = 50;
/// No ticket is longer.
const MAX_TICKET_LENGTH: usize = 100;
/// The most changes in one message. So a message has less than 32 KiB, and API Gateway counts it as one.
pub(super) const MAX_CHANGES: usize = 100;

wire_enum! {
    /// What a client asks for.
    Action { Subscribe = "subscribe", Renew = "renew", Ping = "ping" }
}

/// A message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ClientMessage {
    /// Asks for signals of a lab.
    Subscribe { lab_id: LabId, filter: CaseFilter },
    /// Keeps the connection.
    Renew { ticket: Secret },
    /// Shows that the connection works.
    Ping,
}

impl ClientMessage {
    /// Reads a message.
    ///
    /// # Errors
    /// Payload too large; malformed JSON; validation, with all errors.
    pub(super) fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_BYTES {
            let detail = "A message must not be larger than 4,096 bytes.";
            return Err(Error::new(ErrorCode::PayloadTooLarge, detail));
        }
        http::parse(text.as_bytes())
    }
}

impl FromObject for ClientMessage {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        match fields.required("action", one_of::<Action>)? {
            Action::Subscribe => {
                let lab_id = fields.required("lab_id", lab_id);
                let statuses: Option<Vec<Status>> =
                    fields.optional_but_not_null("statuses", distinct(1..=Status::ALL.len(), one_of));
                let case_ids: Option<Vec<CaseId>> =
                    fields.optional_but_not_null("case_ids", distinct(1..=MAX_CASES, case_id));
                let (statuses, case_ids) = (statuses.unwrap_or_default(), case_ids.unwrap_or_default());
                Some(Self::Subscribe { lab_id: lab_id?, filter: CaseFilter { statuses, case_ids } })
            }
            Action::Renew => {
                let ticket = fields.required("ticket", string(1..=MAX_TICKET_LENGTH))?;
                Some(Self::Renew { ticket: Secret::new(ticket.expose().as_str()) })
            }
            Action::Ping => Some(Self::Ping),
        }
    }
}

fn lab_id(value: &Value) -> Checked<LabId> {
    let number = value.as_u64().and_then(LabId::new);
    number.ok_or_else(|| Invalid::format("lab_id", "must be a lab's id"))
}

/// A message of the service.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerMessage<'a> {
    /// Each later change of a case that matches makes a signal.
    Subscribed { lab_id: LabId, expires_at: Timestamp, cursor: &'a str },
    /// The connection lasts longer.
    Renewed { expires_at: Timestamp },
    /// The connection works.
    Pong { expires_at: Timestamp },
    /// The message of the client was not accepted.
    Error {
        code: &'static str,
        detail: &'a str,
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        errors: &'a [FieldError],
    },
    /// Cases have changed.
    Changes { lab_id: LabId, changes: &'a [ChangedVersion], cursor: &'a str },
}

/// A case and the version that it has since a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct ChangedVersion {
    pub case_id: CaseId,
    pub version: u32,
}

impl ServerMessage<'_> {
    /// The message of an error.
    pub(super) fn of_error(error: &Error) -> ServerMessage<'_> {
        let report = error.report();
        ServerMessage::Error { code: error.code().as_str(), detail: report.detail, errors: report.errors }
    }

    /// Its JSON.
    pub(super) fn text(&self) -> String {
        // Texts and numbers always serialize.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(message: Value) -> Result<ClientMessage, Value> {
        ClientMessage::parse(&message.to_string())
            .map_err(|error| serde_json::from_str(&ServerMessage::of_error(&error).text()).unwrap())
    }

    #[test]
    fn every_message_of_a_client_is_read() {
        let lab_id = LabId::new(123).unwrap();
        let filter = CaseFilter::default();
        assert_eq!(
            parse(json!({"action": "subscribe", "lab_id": 123})),
            Ok(ClientMessage::Subscribe { lab_id, filter })
        );
        let filter = CaseFilter { statuses: vec![Status::Pending], case_ids: vec![CaseId::new(7).unwrap()] };
        assert_eq!(
            parse(json!({"action": "subscribe", "lab_id": 123, "statuses": ["pending"], "case_ids": [7]})),
            Ok(ClientMessage::Subscribe { lab_id, filter })
        );
        assert_eq!(
            parse(json!({"action": "renew", "ticket": "123.x"})),
            Ok(ClientMessage::Renew { ticket: Secret::new("123.x") })
        );
        assert_eq!(parse(json!({"action": "ping"})), Ok(ClientMessage::Ping));
    }

    #[test]
    fn every_error_of_a_message_is_listed() {
        let found =
            parse(json!({"action": "subscribe", "statuses": ["open"], "case_ids": [], "x": 1})).unwrap_err();
        assert_eq!((&found["type"], &found["code"]), (&json!("error"), &json!("validation_failed")));
        let errors: Vec<_> =
            found["errors"].as_array().unwrap().iter().map(|it| (&it["pointer"], &it["code"])).collect();
        let expected = [
            ("/lab_id", "required"),
            ("/statuses", "one_of"),
            ("/case_ids", "items"),
            ("/x", "unknown_field"),
        ]
        .map(|(pointer, code)| (json!(pointer), json!(code)));
        assert_eq!(errors, expected.each_ref().map(|(pointer, code)| (pointer, code)));
        let found = parse(json!({"action": "listen"})).unwrap_err();
        assert_eq!(found["errors"][0]["pointer"], "/action");
    }

    #[test]
    fn a_text_that_is_no_object_or_too_long_is_rejected() {
        let code = |text: &str| ClientMessage::parse(text).unwrap_err().code();
        assert_eq!(code("ping"), ErrorCode::MalformedJson);
        assert_eq!(code("[]"), ErrorCode::MalformedJson);
        assert_eq!(code(r#"{"action":"ping","action":"ping"}"#), ErrorCode::MalformedJson);
        assert_eq!(
            code(&format!(r#"{{"action":"ping","x":"{}"}}"#, "x".repeat(4096))),
            ErrorCode::PayloadTooLarge
        );
    }

    #[test]
    fn every_message_of_the_service_has_its_type() {
        let (lab_id, expires_at) =
            (LabId::new(123).unwrap(), Timestamp::parse("2026-11-28T22:41:06.123Z").unwrap());
        let changes = [ChangedVersion { case_id: CaseId::new(42).unwrap(), version: 7 }];
        let at = "2026-11-28T22:41:06.123Z";
        for (message, expected) in [
            (
                ServerMessage::Subscribed { lab_id, expires_at, cursor: "c" },
                json!({"type": "subscribed", "lab_id": 123, "expires_at": at, "cursor": "c"}),
            ),
            (ServerMessage::Renewed { expires_at }, json!({"type": "renewed", "expires_at": at})),
            (ServerMessage::Pong { expires_at }, json!({"type": "pong", "expires_at": at})),
            (
                ServerMessage::Changes { lab_id, changes: &changes, cursor: "c" },
                json!({"type": "changes", "lab_id": 123, "changes": [{"case_id": 42, "version": 7}], "cursor": "c"}),
            ),
            (
                ServerMessage::of_error(&Error::unauthorized("Get another ticket.")),
                json!({"type": "error", "code": "unauthorized", "detail": "Get another ticket."}),
            ),
        ] {
            assert_eq!(serde_json::from_str::<Value>(&message.text()).unwrap(), expected);
        }
    }

    #[test]
    fn the_largest_message_counts_as_one() {
        let change = ChangedVersion { case_id: CaseId::new(CaseId::MAX).unwrap(), version: u32::MAX };
        let cursor = "c".repeat(1024);
        let lab_id = LabId::new(u64::MAX).unwrap();
        let message = ServerMessage::Changes { lab_id, changes: &[change; MAX_CHANGES], cursor: &cursor };
        assert!(message.text().len() < 32 * 1024);
    }
}
