//! The history: one event for every version of a case, written in the transaction that makes the version.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    case::{Case, CaseId},
    choices,
    error::Error,
    time::Timestamp,
};

choices! {
    /// What was done to a case.
    Action { Created = "created", Updated = "updated", StatusChanged = "status_changed", Deleted = "deleted" }
}

/// One change of one case.
#[derive(Serialize)]
pub struct Event {
    /// The case.
    pub case_id: CaseId,
    /// The version that the change made.
    pub version: u32,
    /// What was done.
    pub action: Action,
    /// When.
    pub at: Timestamp,
    /// The user who did it.
    pub user_id: String,
    /// The request that did it; the log has the same id.
    pub request_id: String,
    /// Why, where the user said so.
    pub reason: Option<String>,
    /// Each field that changed.
    pub changes: Vec<Change>,
}

/// A field's values before and after a change; `null` where there was or is none.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The field's name.
    pub field: String,
    /// Its value before.
    pub from: Value,
    /// Its value after.
    pub to: Value,
}

/// Fields that every change touches; the event says the same elsewhere.
const BOOKKEEPING: &[&str] =
    &["id", "lab_id", "version", "created_by", "created_at", "updated_at", "status_changed_at"];

/// The fields in which two states of a case differ; a new case differs from nothing.
pub fn changes(before: Option<&Case>, after: Option<&Case>) -> Result<Vec<Change>, Error> {
    let (mut before, mut after) = (members(before)?, members(after)?);
    let names: std::collections::BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    let mut changes = Vec::new();
    for field in names.into_iter().filter(|name| !BOOKKEEPING.contains(&name.as_str())) {
        let from = before.remove(&field).unwrap_or_default();
        let to = after.remove(&field).unwrap_or_default();
        if from != to {
            changes.push(Change { field, from, to });
        }
    }
    Ok(changes)
}

fn members(case: Option<&Case>) -> Result<Map<String, Value>, Error> {
    match case.map(serde_json::to_value).transpose() {
        Ok(Some(Value::Object(members))) => Ok(members),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(Error::internal(format!("a case does not serialize: {error}"))),
    }
}
