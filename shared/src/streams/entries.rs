//! Which changes the archive keeps, and what it keeps of each: who, when, what and which fields, but no patient data.

use serde_json::{Map, Value};

use super::change::{Change, Image, Kind};
use crate::{
    archive::{ArchiveEntry, ChangeKind, ItemKind},
    audit::AuditRecord,
    base::time::Timestamp,
    case::disposal,
    table::keys,
};

/// The members of an event in the archive. The field names are among them as `fields`.
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
    disposal::ERASED_AT,
];
/// The members of an audit record that its reader does not know.
const SEAL_MEMBERS: [&str; 2] = ["key_id", "mac"];

/// The entry of a change; `None` for a change that the archive does not keep.
pub(super) fn of_change(change: &Change, audit_table: &str) -> Option<ArchiveEntry> {
    let (item, members) = if change.table == audit_table {
        let names = AuditRecord::COLUMNS.into_iter().filter(|name| *name != "at").chain(SEAL_MEMBERS);
        (ItemKind::AuditRecord, members(change.image(), names))
    } else if change.sk.starts_with(keys::EVENT_PREFIX) {
        let mut members = members(change.image(), EVENT_MEMBERS.into_iter());
        members.insert("fields".to_owned(), fields(change.image()));
        (ItemKind::Event, members)
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
        members,
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

fn members<'a>(image: &Image, names: impl Iterator<Item = &'a str>) -> Map<String, Value> {
    names.filter_map(|name| Some((name.to_owned(), image.get(name)?.clone()))).collect()
}

/// The names of the fields that an event changed. Anything else in their place could be a value.
fn fields(image: &Image) -> Value {
    let is_name = |name: &str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    let changes = image.get("changes").and_then(Value::as_array);
    let names = changes.into_iter().flatten().filter_map(|change| change.get("field")?.as_str());
    names.filter(|name| is_name(name)).collect()
}
