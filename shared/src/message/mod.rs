//! The messages that tell other systems of changes: a change of a live case as a thin message without patient data.

mod item;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    base::{CaseId, LabId, time::Timestamp},
    case::workflow::Status,
    wire_enum,
};

wire_enum! {
    /// What has happened.
    MessageType {
        CaseCreated = "case.created", CaseUpdated = "case.updated", CaseStatusChanged = "case.status_changed",
        CaseCommented = "case.commented", CaseDeleted = "case.deleted", CaseRestored = "case.restored",
        WebhookTest = "webhook.test",
    }
}

pub(crate) use item::CaseImages;

/// The version of the messages' schema. It rises only if a member changes its meaning or goes.
const SCHEMA: u32 = 1;

/// A message, as receivers get it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// What has happened.
    #[serde(rename = "type")]
    pub kind: MessageType,
    /// When it happened. The same in every delivery of the message.
    pub timestamp: Timestamp,
    /// The version of the schema.
    pub schema: u32,
    /// Where it happened.
    pub data: MessageData,
}

/// The lab, and the case if the message is of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MessageData {
    /// The lab.
    pub lab_id: LabId,
    /// The case; `None` for a test.
    #[serde(flatten)]
    pub case: Option<CaseChange>,
}

/// The change of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CaseChange {
    /// The case.
    pub case_id: CaseId,
    /// Its name for people.
    pub case_number: String,
    /// Its version after the change.
    pub version: u32,
    /// The status before the change; `null` if the case did not exist or was deleted.
    pub status_from: Option<Status>,
    /// The status after the change; `null` if the case is deleted.
    pub status_to: Option<Status>,
}

impl Message {
    /// The message of a change of a case.
    pub fn of_case(kind: MessageType, timestamp: Timestamp, lab_id: LabId, case: CaseChange) -> Self {
        Self { kind, timestamp, schema: SCHEMA, data: MessageData { lab_id, case: Some(case) } }
    }

    /// The message that tests a webhook.
    pub fn test(lab_id: LabId, timestamp: Timestamp) -> Self {
        let data = MessageData { lab_id, case: None };
        Self { kind: MessageType::WebhookTest, timestamp, schema: SCHEMA, data }
    }

    /// The message's id: the same in every delivery, and in the order of time.
    pub fn delivery_id(&self) -> DeliveryId {
        let digits: String = self.timestamp.to_string().chars().filter(char::is_ascii_alphanumeric).collect();
        DeliveryId(match &self.data.case {
            Some(CaseChange { case_id, version, .. }) => format!("{digits}-{case_id}-{version}"),
            None => format!("{digits}-test"),
        })
    }
}

/// The id of a message, such as `20261128T224106123Z-42-7`: its time, case and version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct DeliveryId(String);

/// No id is longer.
const MAX_ID_LENGTH: usize = 40;

impl DeliveryId {
    /// Reads the text of a path parameter. `None` for text that cannot be an id.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = (1..=MAX_ID_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_id.then(|| Self(text.to_owned()))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_of_a_case_names_it_and_nothing_of_the_patient() {
        let case = CaseChange {
            case_id: CaseId::new(42).unwrap(),
            case_number: "DL-2611-42".into(),
            version: 7,
            status_from: Some(Status::Pending),
            status_to: Some(Status::InProgress),
        };
        let at = Timestamp::parse("2026-11-28T22:41:06.123Z").unwrap();
        let message = Message::of_case(MessageType::CaseStatusChanged, at, LabId::new(123).unwrap(), case);
        assert_eq!(message.delivery_id().as_str(), "20261128T224106123Z-42-7");
        let expected = json!({
            "type": "case.status_changed", "timestamp": "2026-11-28T22:41:06.123Z", "schema": 1,
            "data": {
                "lab_id": 123, "case_id": 42, "case_number": "DL-2611-42", "version": 7,
                "status_from": "pending", "status_to": "in_progress",
            },
        });
        assert_eq!(serde_json::to_value(&message).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Message>(expected).unwrap(), message);
    }

    #[test]
    fn a_test_names_the_lab_only() {
        let at = Timestamp::parse("2026-11-28T22:41:06.123Z").unwrap();
        let message = Message::test(LabId::new(123).unwrap(), at);
        assert_eq!(message.delivery_id().as_str(), "20261128T224106123Z-test");
        let expected = json!({
            "type": "webhook.test", "timestamp": "2026-11-28T22:41:06.123Z", "schema": 1, "data": {"lab_id": 123},
        });
        assert_eq!(serde_json::to_value(&message).unwrap(), expected);
        assert_eq!(serde_json::from_value::<Message>(expected).unwrap(), message);
    }

    #[test]
    fn only_letters_digits_and_hyphens_can_be_an_id() {
        assert!(DeliveryId::parse("20261128T224106123Z-42-7").is_some());
        for text in ["", "a#b", "a/b", "é", &"1".repeat(41)] {
            assert_eq!(DeliveryId::parse(text), None, "{text}");
        }
    }
}
