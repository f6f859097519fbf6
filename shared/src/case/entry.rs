//! The entries of a list: cases by their sort keys, read or not.

use aws_sdk_dynamodb::types::AttributeValue;

use super::{Case, Priority, Sort, item::is_expired, members};
use crate::{
    base::{CaseId, error::Error, wire_enum::WireEnum},
    lab::LabScope,
    table::{Consistency, Found, Index, Item, keys},
};

/// A case in the order of a list.
pub(super) struct Entry {
    /// Its sort key within its lab.
    pub key: String,
    /// Its sort key among the cases of several labs.
    pub at: String,
    pub id: CaseId,
    /// The case itself.
    pub case: EntryCase,
}

/// The case of an entry.
pub(super) enum EntryCase {
    /// It is not read yet.
    Unread,
    /// It was deleted meanwhile.
    Gone,
    Read(Box<Case>),
}

/// Reads the cases of entries that have none yet. Those for which there is no time stay unread.
pub(super) async fn read_cases(
    lab: &LabScope,
    deleted: bool,
    entries: impl Iterator<Item = &mut Entry>,
) -> Result<(), Error> {
    let sk = if deleted { keys::deleted } else { keys::case };
    let mut entries: Vec<&mut Entry> =
        entries.filter(|entry| matches!(entry.case, EntryCase::Unread)).collect();
    let sks: Vec<String> = entries.iter().map(|entry| sk(entry.id)).collect();
    let get = async |sks: &[String], consistency| {
        lab.table().get_some(lab.lab_id(), sks, consistency, lab.retry()).await
    };
    let Found { mut items, mut unread } = get(&sks, Consistency::Eventual).await?;
    // An index may have a case that an eventually consistent read does not see yet. Deleted cases are in no index; a search
    // for them looks up live ones as well.
    let mut missing = if deleted { Vec::new() } else { sks.clone() };
    missing.retain(|sk| !items.contains_key(sk) && !unread.contains(sk));
    if lab.has_time_left() || missing.is_empty() {
        let found = get(&missing, Consistency::Strong).await?;
        items.extend(found.items);
        unread.extend(found.unread);
    } else {
        unread.extend(missing);
    }
    for (entry, sk) in entries.iter_mut().zip(sks) {
        entry.case = match items.remove(&sk) {
            Some(item) if is_expired(&item) => EntryCase::Gone,
            Some(item) => read(members::from_item(item)?),
            None if unread.contains(&sk) => EntryCase::Unread,
            None => EntryCase::Gone,
        };
    }
    Ok(())
}

pub(super) fn unread(key: String, id: CaseId) -> Entry {
    Entry { key, at: String::new(), id, case: EntryCase::Unread }
}

pub(super) fn read(case: Case) -> EntryCase {
    EntryCase::Read(Box::new(case))
}

/// Whether the entries of an index have what a list is sorted by.
pub(super) fn has_order(index: Index<'_>, sort: Sort) -> bool {
    match sort {
        Sort::CreatedAt => true,
        Sort::UpdatedAt => index == Index::ByUpdate,
        Sort::DueDate | Sort::Priority => {
            !matches!(index, Index::ByPatient(_) | Index::ByWaiting | Index::ByUpdate)
        }
    }
}

/// Whether the entries of an index have the time of creation.
pub(super) fn has_creation(index: Index<'_>) -> bool {
    !matches!(index, Index::ByPatient(_) | Index::ByWaiting | Index::ByDue(_))
}

/// A case's sort key within its lab.
pub(super) fn key_of(sort: Sort, case: &Case) -> String {
    match sort {
        Sort::CreatedAt => id_key(case.id),
        Sort::DueDate => keys::due(case.fields.due_date, case.id),
        Sort::UpdatedAt => keys::update(case.updated_at, case.id),
        Sort::Priority => urgency_key(case.fields.priority, &keys::due(case.fields.due_date, case.id)),
    }
}

/// The sort key among the cases of several labs.
pub(super) fn at(sort: Sort, key: &str, created_at: &str) -> String {
    (if sort == Sort::CreatedAt { created_at } else { key }).to_owned()
}

pub(super) fn id_key(id: CaseId) -> String {
    format!("{:010}", id.get())
}

pub(super) fn due_key(item: &Item, id: CaseId) -> String {
    let due = item.get("due_date").and_then(|date| date.as_s().ok()?.parse().ok());
    keys::due(due, id)
}

/// The sort key of lists by priority: the most urgent first, then by due date.
pub(super) fn urgency_key(priority: Priority, due_key: &str) -> String {
    let urgency = Priority::ALL.iter().rev().position(|other| *other == priority).unwrap_or_default();
    format!("{urgency}#{due_key}")
}

/// An entry's sort key in its index, as lists in the order of the index have it.
pub(super) fn sort_key(index: Index<'_>, item: &Item) -> Result<String, Error> {
    match index {
        Index::ByUpdate | Index::ByDue(_) => string(item, index.sort_key()).map(str::to_owned),
        _ => {
            let id = id_in(string(item, "sk")?).and_then(CaseId::new);
            id.map(id_key).ok_or_else(|| Error::internal("a sort key without an id"))
        }
    }
}

pub(super) fn string<'i>(item: &'i Item, name: &str) -> Result<&'i str, Error> {
    let value = item.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
    value.map(String::as_str).ok_or_else(|| Error::internal("an item of an index lacks an attribute"))
}

/// The id at the end of a key.
pub(super) fn id_in(key: &str) -> Option<u64> {
    key.rsplit('#').next()?.parse().ok()
}

/// The next greater key. Keys end with an id.
pub(super) fn key_after(key: &str) -> String {
    with_id(key, |id| id.saturating_add(1))
}

/// The next smaller key.
pub(super) fn key_before(key: &str) -> String {
    with_id(key, |id| id.saturating_sub(1))
}

fn with_id(key: &str, change: impl Fn(u64) -> u64) -> String {
    let id = change(id_in(key).unwrap_or(0));
    match key.rsplit_once('#') {
        Some((at, _)) => keys::ordered(at, id),
        None => format!("{id:010}"),
    }
}
