//! Converts cases to items of the table and back.

pub(super) use crate::table::{from_item, to_item};

use super::{Case, CaseFields};
use crate::{
    base::{error::Error, search_text, time::Timestamp, wire_enum::WireEnum},
    table::{Item, key, keys, number, text},
};

/// The attribute with the hash of the newest event, for the next event.
const LAST_EVENT_HASH: &str = "last_event_hash";
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
        Ok(Self { case: from_item(item)?, last_event_hash, is_expired })
    }
}

/// The item of a live case, with the keys of all indexes.
pub(super) fn live(case: &Case, last_event_hash: &str) -> Result<Item, Error> {
    let mut item = to_item(case)?;
    item.extend(key(case.lab_id, &keys::case(case.id)));
    item.insert(LAST_EVENT_HASH.to_owned(), text(last_event_hash));
    item.insert("live_id".to_owned(), number(case.id));
    item.insert("status_key".to_owned(), text(keys::status(case.lab_id, case.status.as_str())));
    item.insert("due_key".to_owned(), text(keys::due(case.fields.due_date, case.id)));
    item.insert("update_key".to_owned(), text(keys::update(case.updated_at, case.id)));
    item.insert(SEARCH.to_owned(), text(search_text(case)));
    Ok(item)
}

/// The item of a deleted case, without keys of indexes. It expires at `expires_at`, in seconds since the Unix epoch.
pub(super) fn deleted(case: &Case, last_event_hash: &str, expires_at: i64) -> Result<Item, Error> {
    let mut item = to_item(case)?;
    item.extend(key(case.lab_id, &keys::deleted(case.id)));
    item.insert(LAST_EVENT_HASH.to_owned(), text(last_event_hash));
    item.insert("expires_at".to_owned(), number(expires_at));
    item.insert(SEARCH.to_owned(), text(search_text(case)));
    Ok(item)
}

/// Whether an item has expired. DynamoDB may take days to remove it.
pub(super) fn is_expired(item: &Item) -> bool {
    let end = item.get("expires_at").and_then(|end| end.as_n().ok()?.parse::<i64>().ok());
    end.is_some_and(|end| end <= Timestamp::now().epoch_seconds())
}

/// The text for searches, folded. Items of earlier releases have it in lower case only, until their next change.
fn search_text(case: &Case) -> String {
    let CaseFields { patient_name, case_name, .. } = &case.fields;
    let names = [patient_name, case_name].into_iter().flatten().map(|name| name.expose().as_str());
    search_text::fold(&names.chain([case.case_number.as_str()]).collect::<Vec<_>>().join("\n"))
}
