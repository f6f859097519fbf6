//! One line of the archive.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{base::time::Timestamp, wire_enum};

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

impl ArchiveEntry {
    /// The text of a member; `None` without one.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }

    /// The number in a member; `None` without one.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.members.get(name)?.as_u64()
    }
}
