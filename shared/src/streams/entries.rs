//! Which changes the archive keeps.

use serde_json::Value;

use super::change::{Change, Image, Kind};
use crate::{
    archive::{self, ArchiveEntry, ChangeKind, ItemKind},
    base::time::Timestamp,
    case::disposal,
    table::keys,
};

/// The entry of a change; `None` for a change that the archive does not keep.
pub(super) fn of_change(change: &Change, audit_table: &str) -> Option<ArchiveEntry> {
    let item = if change.table == audit_table {
        ItemKind::AuditRecord
    } else if change.sk.starts_with(keys::EVENT_PREFIX) {
        ItemKind::Event
    } else {
        return None;
    };
    if change.is_expiry {
        // Records end in the table after their time. The archive has them.
        return None;
    }
    let kind = match change.kind {
        Kind::Insert => ChangeKind::Added,
        Kind::Modify if disposal::is_erasure(&change.before, &change.after) => ChangeKind::Erased,
        Kind::Modify => ChangeKind::Changed,
        Kind::Remove => ChangeKind::Removed,
    };
    Some(ArchiveEntry {
        stream_id: change.stream_id.clone(),
        changed_at: change.changed_at,
        change: kind,
        item,
        lab_id: change.lab.clone(),
        sk: change.sk.clone(),
        at: time(change, item).unwrap_or(change.changed_at),
        members: archive::members(item, change.image()),
    })
}

/// The item's time. An audit record has it in its key, so that nobody can move it to another day by a change.
fn time(change: &Change, item: ItemKind) -> Option<Timestamp> {
    let of_image = |image: &Image| image.get("at").and_then(Value::as_str).and_then(Timestamp::parse);
    match item {
        ItemKind::AuditRecord => change.sk.split('#').next().and_then(Timestamp::parse),
        // The time before a change, so that the entry is beside those of the untouched event.
        ItemKind::Event => of_image(&change.before).or_else(|| of_image(&change.after)),
    }
}
