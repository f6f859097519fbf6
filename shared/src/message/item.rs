//! Turns a change of the item of a case into a message.

use serde_json::{Map, Value};

use super::{CaseChange, Message, MessageType};
use crate::{
    base::{CaseId, LabId, time::Timestamp, wire_enum::WireEnum},
    case::workflow::Status,
};

/// The images of the item of a live case, before and after a change.
pub(crate) struct CaseImages<'a> {
    /// The id of the change, the same in each delivery of the stream.
    pub id: &'a str,
    pub lab: LabId,
    pub case: CaseId,
    /// When the change was made, the same in each delivery of the stream.
    pub changed_at: Timestamp,
    /// The item before; `None` if there was none.
    pub before: Option<&'a Map<String, Value>>,
    /// The item after; `None` if there is none.
    pub after: Option<&'a Map<String, Value>>,
}

impl Message {
    /// The message of a change of an item; `None` for one that does not change the case.
    pub(crate) fn of_item(change: &CaseImages<'_>) -> Option<Self> {
        let version = |item: &Map<String, Value>| u32::try_from(item.get("version")?.as_u64()?).ok();
        let number = |item: &Map<String, Value>, name| item.get(name).and_then(Value::as_u64).unwrap_or(0);
        let text = |item: &Map<String, Value>, name| Some(item.get(name)?.as_str()?.to_owned());
        let (kind, version) = match (change.before, change.after) {
            (None, Some(after)) => match version(after)? {
                1 => (MessageType::CaseCreated, 1),
                later => (MessageType::CaseRestored, later),
            },
            (Some(before), None) => (MessageType::CaseDeleted, version(before)?.checked_add(1)?),
            (Some(before), Some(after)) => {
                let (old, new) = (version(before)?, version(after)?);
                let kind = if before.get("status") != after.get("status") {
                    MessageType::CaseStatusChanged
                } else if number(before, "last_comment_id") < number(after, "last_comment_id") {
                    MessageType::CaseCommented
                } else {
                    MessageType::CaseUpdated
                };
                // A migration leaves the version as it is.
                (new > old).then_some((kind, new))?
            }
            (None, None) => return None,
        };
        let status = |item: Option<&Map<String, Value>>| Status::parse(item?.get("status")?.as_str()?);
        let updated_at =
            |item: Option<&Map<String, Value>>| Timestamp::parse(item?.get("updated_at")?.as_str()?);
        let timestamp = match change.after {
            Some(_) => updated_at(change.after).unwrap_or(change.changed_at),
            // The stream has whole seconds, and a removal is not before the change before it.
            None => {
                updated_at(change.before).map_or(change.changed_at, |before| before.max(change.changed_at))
            }
        };
        let case = CaseChange {
            case_id: change.case,
            case_number: text(change.after.or(change.before)?, "case_number")?,
            version,
            status_from: status(change.before),
            status_to: status(change.after),
        };
        Some(Self::of_case(kind, timestamp, change.lab, case))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(version: u32, status: &str, last_comment_id: u32) -> Value {
        json!({
            "version": version, "status": status, "last_comment_id": last_comment_id, "case_number": "DL-2611-42",
            "updated_at": "2026-11-28T22:41:06.123Z", "patient_name": "Jane Roe",
        })
    }

    fn of(before: Value, after: Value) -> Value {
        let change = CaseImages {
            id: "1",
            lab: LabId::new(123).unwrap(),
            case: CaseId::new(42).unwrap(),
            changed_at: Timestamp::parse("2026-11-28T22:50:00.000Z").unwrap(),
            before: before.as_object(),
            after: after.as_object(),
        };
        serde_json::to_value(Message::of_item(&change)).unwrap()
    }

    fn expected(kind: &str, at: &str, version: u32, from: Value, to: Value) -> Value {
        json!({
            "type": kind, "timestamp": at, "schema": 1,
            "data": {
                "lab_id": 123, "case_id": 42, "case_number": "DL-2611-42", "version": version,
                "status_from": from, "status_to": to,
            },
        })
    }

    #[test]
    fn the_images_say_what_has_happened() {
        let at = "2026-11-28T22:41:06.123Z";
        let (pending, progress) = (json!("pending"), json!("in_progress"));
        for (before, after, found) in [
            (
                json!(null),
                item(1, "pending", 0),
                expected("case.created", at, 1, json!(null), pending.clone()),
            ),
            (
                json!(null),
                item(3, "pending", 0),
                expected("case.restored", at, 3, json!(null), pending.clone()),
            ),
            (
                item(2, "pending", 0),
                json!(null),
                expected("case.deleted", "2026-11-28T22:50:00.000Z", 3, pending.clone(), json!(null)),
            ),
            (
                item(1, "pending", 0),
                item(2, "in_progress", 0),
                expected("case.status_changed", at, 2, pending.clone(), progress),
            ),
            (
                item(1, "pending", 1),
                item(2, "pending", 2),
                expected("case.commented", at, 2, pending.clone(), pending.clone()),
            ),
            (
                item(1, "pending", 1),
                item(2, "pending", 1),
                expected("case.updated", at, 2, pending.clone(), pending.clone()),
            ),
        ] {
            assert_eq!(of(before, after), found);
        }
    }

    #[test]
    fn a_removal_is_not_before_the_change_before_it() {
        let mut before = item(2, "pending", 0);
        before["updated_at"] = json!("2026-11-28T22:50:00.750Z");
        assert_eq!(of(before, json!(null))["timestamp"], "2026-11-28T22:50:00.750Z");
    }

    #[test]
    fn a_change_without_a_new_version_and_an_item_that_is_no_case_have_no_message() {
        assert_eq!(of(item(2, "pending", 0), item(2, "pending", 0)), Value::Null);
        assert_eq!(of(json!(null), json!({"version": "x"})), Value::Null);
        assert_eq!(of(json!(null), json!(null)), Value::Null);
    }
}
