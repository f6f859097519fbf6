//! The events of a case's history. Each version of a case has one event, which the same transaction writes. Each event
//! holds the hash of the event before it, so verification finds a changed or missing event.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Case, fields};
use crate::{
    base::{CaseId, canonical, error::Error, private::Private, time::Timestamp},
    wire_enum,
};

wire_enum! {
    /// The kind of an event.
    Action { Created = "created", Updated = "updated", StatusChanged = "status_changed", Deleted = "deleted",
        Restored = "restored", Remade = "remade",
    }
}

/// The event of one change of one case. `Debug` shows only its identity, no content.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The case.
    pub case_id: CaseId,
    /// The case's version after the change.
    pub version: u32,
    /// The kind of change.
    pub action: Action,
    /// The time of the change.
    pub at: Timestamp,
    /// The user who made the change.
    pub user_id: String,
    /// The request that made the change; the log has the same id.
    pub request_id: String,
    /// The user's reason, if there is one.
    pub reason: Option<Private<String>>,
    /// All fields that changed.
    pub changes: Vec<Change>,
    /// The hash of the previous version's event; `None` for the first version.
    pub previous_hash: Option<String>,
    /// SHA-256, in hexadecimal, of all other members in their canonical form.
    #[serde(default)]
    pub hash: String,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Event")
            .field("case_id", &self.case_id)
            .field("version", &self.version)
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// The values of a field before and after a change; `null` for no value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The field's name.
    pub field: String,
    /// Its value before.
    pub from: Private<Value>,
    /// Its value after.
    pub to: Private<Value>,
}

impl Event {
    /// Computes the hash and sets it.
    pub fn sealed(mut self) -> Result<Self, Error> {
        self.hash = self.computed_hash()?;
        Ok(self)
    }

    /// Computes the hash of the event's content: all members except `hash`.
    pub fn computed_hash(&self) -> Result<String, Error> {
        let mut members = match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => return Err(Error::internal("an event does not serialize")),
        };
        members.remove("hash");
        Ok(canonical::hash(&Value::Object(members)))
    }
}

/// The result of the verification of a case's history.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The case.
    pub case_id: CaseId,
    /// Whether every event exists and is unchanged.
    pub valid: bool,
    /// The number of events.
    pub events: u32,
    /// The first version with an error.
    pub broken_at: Option<u32>,
    /// The error of that version.
    pub fault: Option<&'static str>,
}

/// Verifies the events of a case in order, one batch after the other.
#[derive(Default)]
pub struct Verifier {
    events: u32,
    last_hash: Option<String>,
    first_error: Option<(u32, &'static str)>,
}

impl Verifier {
    /// Checks the next events.
    pub fn check(&mut self, events: &[Event]) -> Result<(), Error> {
        for event in events {
            self.events = self.events.saturating_add(1);
            if self.first_error.is_none() {
                self.first_error = self.error_of(event)?.map(|error| (self.events, error));
            }
            self.last_hash = Some(event.hash.clone());
        }
        Ok(())
    }

    fn error_of(&self, event: &Event) -> Result<Option<&'static str>, Error> {
        Ok(if event.version != self.events {
            Some("The event of this version is missing.")
        } else if event.previous_hash != self.last_hash {
            Some("The event does not follow the one before it.")
        } else if event.computed_hash()? != event.hash {
            Some("The event was changed.")
        } else {
            None
        })
    }

    /// Returns the result, after the last event. `last_hash` is the hash in the case itself.
    pub fn finish(self, case_id: CaseId, last_hash: Option<&str>) -> Verification {
        let is_missing = self.last_hash.as_deref() != last_hash;
        let missing =
            is_missing.then(|| (self.events.saturating_add(1), "The case names another last event."));
        let error = self.first_error.or(missing);
        Verification {
            case_id,
            valid: error.is_none(),
            events: self.events,
            broken_at: error.map(|(version, _)| version),
            fault: error.map(|(_, detail)| detail),
        }
    }
}

/// Returns the fields that differ between two states of a case. A new case has no state before.
pub fn changes(before: Option<&Case>, after: Option<&Case>) -> Result<Vec<Change>, Error> {
    let (mut before, mut after) = (members(before)?, members(after)?);
    let names: std::collections::BTreeSet<String> = before.keys().chain(after.keys()).cloned().collect();
    let mut changes = Vec::new();
    for field in names.into_iter().filter(|name| fields::is_in_history(name)) {
        let from = Private::new(before.remove(&field).unwrap_or_default());
        let to = Private::new(after.remove(&field).unwrap_or_default());
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
        Err(_) => Err(Error::internal("a case does not serialize")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn chain(length: u32) -> Vec<Event> {
        let mut events: Vec<Event> = Vec::new();
        for version in 1..=length {
            let event = json!({
                "case_id": 7, "version": version, "action": "updated", "at": "2026-11-24T09:30:00.000Z",
                "user_id": "1", "request_id": "r", "reason": null, "changes": [{"field": "notes", "from": null, "to": "x"}],
                "previous_hash": events.last().map(|event| event.hash.clone()),
            });
            events.push(serde_json::from_value::<Event>(event).unwrap().sealed().unwrap());
        }
        events
    }

    fn verified(events: &[Event], last: &Event) -> Verification {
        let mut verifier = Verifier::default();
        events.iter().for_each(|event| verifier.check(std::slice::from_ref(event)).unwrap());
        verifier.finish(CaseId::new(7).unwrap(), Some(&last.hash))
    }

    #[test]
    fn an_unchanged_chain_is_valid() {
        let events = chain(3);
        assert!(verified(&events, &events[2]).valid);
        assert_eq!(events[0].hash.len(), 64);
    }

    #[test]
    fn a_changed_or_missing_event_is_found() {
        let events = chain(3);
        let last = events[2].clone();
        let mut changed = events.clone();
        changed[1].changes[0].to = Private::new(json!("y"));
        assert_eq!(verified(&changed, &last).broken_at, Some(2));
        let mut resealed = events.clone();
        resealed[1].user_id = "2".into();
        resealed[1] = resealed[1].clone().sealed().unwrap();
        assert_eq!(verified(&resealed, &last).broken_at, Some(3));
        let missing = [events[0].clone(), events[2].clone()];
        assert_eq!(verified(&missing, &last).broken_at, Some(2));
        assert_eq!(verified(&events[..2], &last).broken_at, Some(3));
        assert_eq!(verified(&events[1..], &last).broken_at, Some(1));
    }
}
