//! Converts cases to items of the table and back.

pub(super) use crate::table::{from_item, to_item};

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use super::{Case, CaseFields, members};
use crate::{
    base::{canonical, error::Error, search_text, time::Timestamp, wire_enum::WireEnum},
    table::{Item, hash_without, key, keys, number, text},
};

/// The attribute with the hash of the newest event, for the next event.
const LAST_EVENT_HASH: &str = "last_event_hash";
/// The attribute with the time at which DynamoDB removes an item.
const EXPIRES_AT: &str = "expires_at";
/// The attributes that are keys of the indexes. Only live cases have them.
const INDEX_KEYS: [&str; 4] = ["live_id", "status_key", "due_key", "update_key"];
/// The attribute with the text for searches.
pub(super) const SEARCH: &str = "search";

/// A case with its other stored values.
pub(super) struct StoredCase {
    pub case: Case,
    pub last_event_hash: Option<String>,
    /// Whether the retention of the deleted case has ended.
    pub is_expired: bool,
}

impl StoredCase {
    pub(super) fn from_item(item: Item) -> Result<Self, Error> {
        let last_event_hash = item.get(LAST_EVENT_HASH).and_then(|hash| hash.as_s().ok()).cloned();
        let is_expired = is_expired(&item);
        Ok(Self { case: members::from_item(item)?, last_event_hash, is_expired })
    }
}

/// The item of a live case, with the keys of all indexes. The hash of its last event is added when the event is made.
pub(super) fn live(case: &Case) -> Result<Item, Error> {
    let mut item = to_item(case)?;
    item.extend(key(case.lab_id, &keys::case(case.id)));
    item.extend(index_keys(case));
    item.insert(SEARCH.to_owned(), text(search_text(case)));
    Ok(item)
}

/// The item of a deleted case, without keys of indexes. It expires at `expires_at`, in seconds since the Unix epoch.
pub(super) fn deleted(case: &Case, expires_at: i64) -> Result<Item, Error> {
    let mut item = to_item(case)?;
    item.extend(key(case.lab_id, &keys::deleted(case.id)));
    item.insert(EXPIRES_AT.to_owned(), number(expires_at));
    item.insert(SEARCH.to_owned(), text(search_text(case)));
    Ok(item)
}

/// The keys of a live case in the indexes.
fn index_keys(case: &Case) -> [(String, AttributeValue); 4] {
    let [live_id, status, due, update] = INDEX_KEYS.map(str::to_owned);
    [
        (live_id, number(case.id)),
        (status, text(keys::status(case.lab_id, case.status.as_str()))),
        (due, text(keys::due(case.fields.due_date, case.id))),
        (update, text(keys::update(case.updated_at, case.id))),
    ]
}

/// Whether the item of a case has the keys that its content requires: the sort key and the index keys of a live case, or the
/// sort key of a deleted case and no index keys.
pub(super) fn has_its_keys(item: &Item, case: &Case) -> bool {
    let is_at = |sk: String| item.get("sk").and_then(|found| found.as_s().ok()) == Some(&sk);
    if case.is_live() {
        is_at(keys::case(case.id))
            && !item.contains_key(EXPIRES_AT)
            && index_keys(case).iter().all(|(name, value)| item.get(name) == Some(value))
    } else {
        is_at(keys::deleted(case.id)) && !INDEX_KEYS.iter().any(|name| item.contains_key(*name))
    }
}

/// The SHA-256, in hexadecimal, of the whole state of a case: all attributes of its item, known or not, except the keys, the
/// text for searches, and the hash of the last event. An attribute without a value is not stored, so a new field of a later
/// release does not change the hash of cases that do not have it.
pub(super) fn state_hash(item: &Item) -> String {
    hash_without(item, is_outside_state)
}

/// The same hash of an item as JSON.
pub(super) fn hash_of_state(item: &Map<String, Value>) -> String {
    canonical::hash_of_members(item.iter().filter(|(name, _)| !is_outside_state(name)))
}

fn is_outside_state(name: &str) -> bool {
    ["lab_id", "sk", LAST_EVENT_HASH, SEARCH].contains(&name) || INDEX_KEYS.contains(&name)
}

/// Adds the hash of the newest event to the item of a case.
pub(super) fn set_last_event(item: &mut Item, hash: &str) {
    item.insert(LAST_EVENT_HASH.to_owned(), text(hash));
}

/// Whether an item has expired. DynamoDB may take days to remove it.
pub(super) fn is_expired(item: &Item) -> bool {
    let end = item.get(EXPIRES_AT).and_then(|end| end.as_n().ok()?.parse::<i64>().ok());
    end.is_some_and(|end| end <= Timestamp::now().epoch_seconds())
}

/// The text for searches, folded. Items of earlier releases have it in lower case only, until their next change.
fn search_text(case: &Case) -> String {
    let CaseFields { patient_name, case_name, .. } = &case.fields;
    let names = [patient_name, case_name].into_iter().flatten().map(|name| name.expose().as_str());
    search_text::fold(&names.chain([case.case_number.as_str()]).collect::<Vec<_>>().join("\n"))
}
