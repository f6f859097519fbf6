//! The events of a case's history. Each version of a case has one event, which the same transaction writes. An event holds
//! the hash of the event before it and the hash of the case after the change, and it has a seal. So only the service can
//! make an event, and the verification finds every change that was made in another way.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Case, fields};
use crate::{
    base::{
        CaseId, LabId, canonical,
        error::Error,
        private::Private,
        seal::{Seal, SealKeys, Sealed},
        time::Timestamp,
        wire_enum::Stored,
    },
    wire_enum,
};

wire_enum! {
    /// The kind of an event.
    Action { Created = "created", Updated = "updated", StatusChanged = "status_changed", Deleted = "deleted",
        Restored = "restored", Remade = "remade",
        Imported = "imported",
        Commented = "commented", CommentEdited = "comment_edited", CommentRemoved = "comment_removed",
        FileAdded = "file_added", FileScanned = "file_scanned", FileRemoved = "file_removed",
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
    pub action: Stored<Action>,
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
    /// The hash of the whole case after the change: [`state_hash`](super::item::state_hash). Events of earlier releases have
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_hash: Option<String>,
    /// The place of the change in the lab's change log: shard and number. Events of earlier releases have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_entry: Option<String>,
    /// SHA-256, in hexadecimal, of all members above in their canonical form.
    #[serde(default)]
    pub hash: String,
    /// The id of the key of the seal. Events of earlier releases have no seal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The seal of the lab and the hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<String>,
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
    /// Computes the hash, and seals it for the lab.
    pub(super) fn sealed(mut self, keys: &SealKeys, lab: LabId) -> Result<Self, Error> {
        self.hash = self.computed_hash()?;
        let seal = keys.seal(Sealed::Event, &[&lab.to_string(), &self.hash]);
        let Seal { key_id, mac } = seal.ok_or_else(|| Error::internal("no key for seals"))?;
        (self.key_id, self.mac) = (Some(key_id), Some(mac));
        Ok(self)
    }

    /// Computes the hash of the event's content: all members except the hash and the seal.
    pub fn computed_hash(&self) -> Result<String, Error> {
        let mut members = match serde_json::to_value(self) {
            Ok(Value::Object(members)) => members,
            _ => return Err(Error::internal("an event does not serialize")),
        };
        for outside in ["hash", "key_id", "mac"] {
            members.remove(outside);
        }
        Ok(canonical::hash(&Value::Object(members)))
    }

    /// Whether the hash fits the content, and the seal fits the hash. An event of an earlier release has no seal.
    pub(crate) fn is_authentic(&self, keys: &SealKeys, lab: LabId) -> Result<bool, Error> {
        let message = [&*lab.to_string(), &*self.hash];
        let is_sealed = self.seal().is_none_or(|seal| keys.verify(Sealed::Event, &message, &seal).is_ok());
        Ok(is_sealed && self.computed_hash()? == self.hash)
    }

    /// The seal; `None` for an event of an earlier release.
    pub(super) fn seal(&self) -> Option<Seal> {
        let (key_id, mac) = (self.key_id.clone(), self.mac.clone());
        (key_id.is_some() || mac.is_some())
            .then(|| Seal { key_id: key_id.unwrap_or_default(), mac: mac.unwrap_or_default() })
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
