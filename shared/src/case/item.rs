//! Converts cases to items of the table and back.

pub(super) use crate::table::{from_item, to_item};

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Map, Value};

use super::{
    Case, CaseFields,
    due_info::{DueInfo, DueList, NOBODY},
    members,
    thread::WAITING_ID,
};
use crate::{
    base::{canonical, error::Error, search_text, time::Timestamp, wire_enum::WireEnum},
    table::{Item, hash_without, key, keys, number, text},
};

/// The attribute with the hash of the newest event, for the next event.
const LAST_EVENT_HASH: &str = "last_event_hash";
/// The attribute with the time at which DynamoDB removes an item.
pub(super) const EXPIRES_AT: &str = "expires_at";
/// The attributes of the indexes. Only live cases have them.
const INDEX_KEYS: [&str; 9] = [
    "live_id",
    "status_key",
    "due_key",
    "update_key",
    "doctor_key",
    "assignee_key",
    "patient_key",
    "due",
    "info",
];
/// How many of them items of the release before have: the first ones.
const EARLIER_INDEX_KEYS: usize = 4;
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
    let mut item = members_of(case)?;
    case.thread.add_index_key(case.id, &mut item);
    item.extend(key(case.lab_id, &keys::case(case.id)));
    item.extend(index_keys(case).map(|(name, value)| (name.to_owned(), value)));
    item.insert(SEARCH.to_owned(), text(search_text(case)));
    Ok(item)
}

/// The item of a deleted case, without keys of indexes. It expires at `expires_at`, in seconds since the Unix epoch.
pub(super) fn deleted(case: &Case, expires_at: i64) -> Result<Item, Error> {
    let mut item = members_of(case)?;
    item.extend(key(case.lab_id, &keys::deleted(case.id)));
    item.insert(EXPIRES_AT.to_owned(), number(expires_at));
    item.insert(SEARCH.to_owned(), text(search_text(case)));
    Ok(item)
}

/// The state of a case, live or deleted. A case without comments has no attributes of comments.
fn members_of(case: &Case) -> Result<Item, Error> {
    let mut item = to_item(case)?;
    if case.comment_count == 0 {
        item.remove("comment_count");
    }
    if !case.waiting_for_answer {
        item.remove("waiting_for_answer");
    }
    case.thread.extend(&mut item)?;
    case.newer.extend(&mut item);
    Ok(item)
}

/// The attributes of the indexes that the item of a live case has. They follow from the case, so they are no part of its
/// sealed state, and a missing one can be added at any time.
pub(super) fn index_keys(case: &Case) -> impl Iterator<Item = (&'static str, AttributeValue)> {
    let part = |part: &str| text(keys::part_of_lab(case.lab_id, part));
    let CaseFields { doctor_id, assigned_to, patient_info, due_date, .. } = &case.fields;
    let patient_id = patient_info.as_ref().and_then(|patient| patient.expose().patient_id.as_deref());
    let patient_id = patient_id.or_else(|| case.newer.patient_id());
    let values = [
        Some(number(case.id)),
        Some(part(case.status.as_str())),
        Some(text(keys::due(*due_date, case.id))),
        Some(text(keys::update(case.updated_at, case.id))),
        doctor_id.as_deref().map(part),
        Some(part(assigned_to.as_deref().unwrap_or(NOBODY))),
        patient_id.map(part),
        Some(part(DueList::of(case.status).as_str())),
        Some(text(DueInfo::of(case).to_string())),
    ];
    INDEX_KEYS.into_iter().zip(values).filter_map(|(name, value)| Some((name, value?)))
}

impl Case {
    /// Reads a case that this release may correct.
    ///
    /// # Errors
    /// Internal, when the item is no case; conflict, when counters and indexes depend on a value of a newer release.
    pub(crate) fn correctable(item: Item) -> Result<Self, Error> {
        let case = members::from_item(item)?;
        case.newer.check_writable().map(|()| case)
    }

    /// The attributes of the indexes that the item of this live case lacks or has with another value, and those that it should
    /// not have.
    pub(crate) fn index_key_changes(
        &self,
        item: &Item,
    ) -> (Vec<(&'static str, AttributeValue)>, Vec<&'static str>) {
        let expected: HashMap<&str, AttributeValue> = index_keys(self).collect();
        let removed =
            INDEX_KEYS.into_iter().filter(|name| item.contains_key(*name) && !expected.contains_key(name));
        (index_keys(self).filter(|(name, value)| item.get(*name) != Some(value)).collect(), removed.collect())
    }
}

/// Whether the item of a case has the keys that its content requires: the sort key and the index keys of a live case, or the
/// sort key of a deleted case and no index keys. The item of a live case may be of the release before, which had fewer indexes, or
/// have a status of a newer one, whose keys are not known.
pub(super) fn has_its_keys(item: &Item, case: &Case) -> bool {
    let is_at = |sk: String| item.get("sk").and_then(|found| found.as_s().ok()) == Some(&sk);
    if !case.is_live() {
        return is_at(keys::deleted(case.id)) && !INDEX_KEYS.iter().any(|name| item.contains_key(*name));
    }
    let is_earlier = !INDEX_KEYS[EARLIER_INDEX_KEYS..].iter().any(|name| item.contains_key(*name));
    let count = if is_earlier { EARLIER_INDEX_KEYS } else { INDEX_KEYS.len() };
    if case.newer.is_deciding() {
        return is_at(keys::case(case.id));
    }
    let expected: HashMap<&str, AttributeValue> = index_keys(case).collect();
    is_at(keys::case(case.id))
        && !item.contains_key(EXPIRES_AT)
        && INDEX_KEYS[..count].iter().all(|name| item.get(*name) == expected.get(name))
}

/// The SHA-256, in hexadecimal, of the whole state of a case: all attributes of its item, known or not, except the keys, the
/// attributes of the indexes, the text for searches, and the hash of the last event. An attribute without a value is not
/// stored, so a new field of a later release does not change the hash of cases that do not have it.
pub(super) fn state_hash(item: &Item) -> String {
    hash_without(item, is_outside_state)
}

/// The same hash of an item as JSON.
pub(super) fn hash_of_state(item: &Map<String, Value>) -> String {
    canonical::hash_of_members(item.iter().filter(|(name, _)| !is_outside_state(name)))
}

/// Whether this release writes the attribute itself, besides the members of the case.
pub(super) fn is_own(name: &str) -> bool {
    is_outside_state(name) || [EXPIRES_AT, WAITING_ID].contains(&name)
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
pub(super) fn search_text(case: &Case) -> String {
    let CaseFields { patient_name, case_name, .. } = &case.fields;
    let names = [patient_name, case_name].into_iter().flatten().map(|name| name.expose().as_str());
    search_text::fold(&names.chain([case.case_number.as_str()]).collect::<Vec<_>>().join("\n"))
}
