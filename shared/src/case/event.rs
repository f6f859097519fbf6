//! The history of a case: one event for every version of a case, written in the transaction that makes the version. Each event
//! holds the hash of the one before it, so that a changed or missing event shows.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Case, fields};
use crate::{
    base::{CaseId, canonical, error::Error, private::Private, time::Timestamp},
    wire_enum,
};

wire_enum! {
    /// What was done to a case.
    Action { Created = "created", Updated = "updated", StatusChanged = "status_changed", Deleted = "deleted",
        Restored = "restored", Remade = "remade",
    }
}

/// One change of one case. `Debug` shows which one it is, and nothing of what it says.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    pub reason: Option<Private<String>>,
    /// Each field that changed.
    pub changes: Vec<Change>,
    /// The hash of the event of the version before; none for the first.
    pub previous_hash: Option<String>,
    /// SHA-256, in hexadecimal, of all of the above in their canonical form.
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

/// A field's values before and after a change; `null` where there was or is none.
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
    /// The event with its hash.
    pub fn sealed(mut self) -> Result<Self, Error> {
        self.hash = self.computed_hash()?;
        Ok(self)
    }

    /// The hash that the event's content has: of all members but `hash`.
    pub fn computed_hash(&self) -> Result<String, Error> {
        let mut members = match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => return Err(Error::internal("an event does not serialize")),
        };
        members.remove("hash");
        Ok(canonical::hash(&Value::Object(members)))
    }
}

/// What the verification of a case's history found.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// The case.
    pub case_id: CaseId,
    /// Whether every event is there and as it was written.
    pub valid: bool,
    /// How many events there are.
    pub events: u32,
    /// The version at which the chain breaks.
    pub broken_at: Option<u32>,
    /// How it breaks.
    pub fault: Option<&'static str>,
}

/// Verifies the events of a case, some at a time, in order.
#[derive(Default)]
pub struct Verifier {
    events: u32,
    last_hash: Option<String>,
    first_break: Option<(u32, &'static str)>,
}

impl Verifier {
    /// Checks the next events.
    pub fn check(&mut self, events: &[Event]) -> Result<(), Error> {
        for event in events {
            self.events = self.events.saturating_add(1);
            if self.first_break.is_none() {
                self.first_break = self.fault_of(event)?.map(|fault| (self.events, fault));
            }
            self.last_hash = Some(event.hash.clone());
        }
        Ok(())
    }

    fn fault_of(&self, event: &Event) -> Result<Option<&'static str>, Error> {
        Ok(if event.version != self.events {
            Some("The event of this version is missing.")
        } else if event.previous_hash != self.last_hash {
            Some("The event does not follow the one before it.")
        } else if event.computed_hash()? != event.hash {
            Some("The event is not as it was written.")
        } else {
            None
        })
    }

    /// What was found, after the last event; `last_hash` is the one that the case itself keeps.
    pub fn finish(self, case_id: CaseId, last_hash: Option<&str>) -> Verification {
        let forgotten = self.last_hash.as_deref() != last_hash;
        let forgotten =
            forgotten.then(|| (self.events.saturating_add(1), "The case names another last event."));
        let broken = self.first_break.or(forgotten);
        Verification {
            case_id,
            valid: broken.is_none(),
            events: self.events,
            broken_at: broken.map(|(version, _)| version),
            fault: broken.map(|(_, fault)| fault),
        }
    }
}

/// The fields in which two states of a case differ; a new case differs from nothing.
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
    fn an_untouched_chain_is_valid() {
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
