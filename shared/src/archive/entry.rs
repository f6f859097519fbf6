//! One line of the archive: who, when, what and which fields, but no patient data.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{audit::AuditRecord, base::time::Timestamp, wire_enum};

/// The attribute of an event whose patient data was erased: the time of the erasure.
pub(crate) const ERASED_AT: &str = "erased_at";
/// The members of an event in the archive. The names of its fields are there as `fields`.
const EVENT_MEMBERS: [&str; 12] = [
    "case_id",
    "version",
    "action",
    "user_id",
    "request_id",
    "previous_hash",
    "hash",
    "state_hash",
    "key_id",
    "mac",
    "log_entry",
    ERASED_AT,
];
/// The members of an audit record's item that its reader does not know.
const SEAL_MEMBERS: [&str; 2] = ["key_id", "mac"];

wire_enum! {
    /// What happened to an item. Only `added` and `erased` are part of normal operation.
    ChangeKind {
        Added = "added",
        Changed = "changed",
        Removed = "removed",
        Erased = "erased",
    }
}

wire_enum! {
    /// The kinds of archived items: an event of a history, or an audit record.
    ItemKind { Event = "event", AuditRecord = "audit_record" }
}

/// One change of an archived item.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ArchiveEntry {
    /// The id of the change in the table's stream. A change that is delivered again has the same id.
    pub stream_id: String,
    /// When DynamoDB made the change, to the second.
    pub changed_at: Timestamp,
    /// What happened.
    pub change: ChangeKind,
    /// The kind of the item.
    pub item: ItemKind,
    /// The partition key: the lab's id as text.
    pub lab_id: String,
    /// The sort key.
    pub sk: String,
    /// The item's time: of the event, or of the audit record.
    pub at: Timestamp,
    /// The item's other members, after the change. For a removed item: before it.
    #[serde(flatten)]
    pub members: Map<String, Value>,
}

/// The members of an item that the archive keeps.
pub(crate) fn members(kind: ItemKind, item: &Map<String, Value>) -> Map<String, Value> {
    let pick = |name: &str| Some((name.to_owned(), item.get(name)?.clone()));
    match kind {
        ItemKind::AuditRecord => {
            // `at` is a member of every entry.
            let names = AuditRecord::COLUMNS.into_iter().filter(|name| *name != "at");
            names.chain(SEAL_MEMBERS).filter_map(pick).collect()
        }
        ItemKind::Event => {
            let mut members: Map<String, Value> = EVENT_MEMBERS.into_iter().filter_map(pick).collect();
            members.insert(FIELDS.to_owned(), fields(item));
            members
        }
    }
}

/// The member of an event's entry with the names of the changed fields.
pub(crate) const FIELDS: &str = "fields";

/// The names of the fields that an event changed. Anything else in their place could be a value.
fn fields(event: &Map<String, Value>) -> Value {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let changes = event.get("changes").and_then(Value::as_array);
    let names = changes.into_iter().flatten().filter_map(|change| change.get("field")?.as_str());
    names.filter(|name| is_name(name)).collect()
}
