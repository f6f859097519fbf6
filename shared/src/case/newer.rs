//! What a newer release has written into a case and this release does not understand. While two releases run side by side,
//! and after a roll-back, the older one shows it as it is and keeps it when it writes the case.

use std::{borrow::Cow, collections::BTreeMap};

use aws_sdk_dynamodb::types::AttributeValue;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::{
    RemakeReason,
    catalog::{CaseType, ProcedureType},
    item,
    model::Priority,
    workflow::Status,
};
use crate::{
    base::{error::Error, wire_enum::WireEnum},
    table::{Item, text},
};

/// The members that are objects.
const OBJECTS: [&str; 5] = ["patient_info", "fixed_prosthetic", "denture", "night_guard", "implant"];
/// The members whose values decide about counters and indexes. A case with a newer value of them cannot be written.
const DECIDING: [&str; 2] = ["status", "priority"];

/// Attributes of a case's item: members with values that this release does not know, and attributes that are no members.
#[derive(Clone, Default, PartialEq)]
pub(super) struct Newer(BTreeMap<String, AttributeValue>);

impl Newer {
    /// Reads a member of the case; keeps an object that this release does not understand.
    ///
    /// # Errors
    /// Internal, when the attribute has another type.
    pub(super) fn read<T: DeserializeOwned + Default>(
        &mut self,
        name: &'static str,
        value: AttributeValue,
    ) -> Result<T, Error> {
        if !OBJECTS.contains(&name) || !value.is_m() {
            return from_value(value);
        }
        let kept = value.clone();
        Ok(from_value(value).unwrap_or_else(|_| {
            self.0.insert(name.to_owned(), kept);
            T::default()
        }))
    }

    /// Keeps the value of an enumeration that this release does not know. Returns what to read instead: nothing, but some
    /// status, because every case has one.
    pub(super) fn known(&mut self, name: &str, value: AttributeValue) -> Option<AttributeValue> {
        let Ok(member) = value.as_s() else { return Some(value) };
        let is_known = match name {
            "status" => Status::parse(member).is_some(),
            "priority" => Priority::parse(member).is_some(),
            "procedure_type" => ProcedureType::parse(member).is_some(),
            "case_type" => CaseType::parse(member).is_some(),
            "remake_reason_code" => RemakeReason::parse(member).is_some(),
            _ => true,
        };
        if is_known {
            return Some(value);
        }
        self.0.insert(name.to_owned(), value);
        (name == "status").then(|| text(Status::Pending.as_str()))
    }

    /// Keeps an attribute that is no member of a case, unless this release writes it itself.
    pub(super) fn keep(&mut self, name: String, value: AttributeValue) {
        if !item::is_own(&name) {
            self.0.insert(name, value);
        }
    }

    /// The value of a member as it is, if this release does not understand it.
    pub(super) fn json(&self, name: &str) -> Option<Value> {
        // Nearly every case has none.
        if self.0.is_empty() {
            return None;
        }
        serde_dynamo::from_attribute_value(self.0.get(name)?.clone()).ok()
    }

    /// Whether the case has a value of this member that this release does not know.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// The patient's id in a newer object, for the index of patients.
    pub(super) fn patient_id(&self) -> Option<&str> {
        self.0.get("patient_info")?.as_m().ok()?.get("patient_id")?.as_s().ok().map(String::as_str)
    }

    /// Puts everything into the item of the case.
    pub(super) fn extend(&self, item: &mut Item) {
        item.extend(self.0.iter().map(|(name, value)| (name.clone(), value.clone())));
    }

    /// What belongs to the dentist's order, which a remake repeats.
    pub(super) fn of_order(&self) -> Self {
        let is_of_order =
            |name: &str| OBJECTS.contains(&name) || ["procedure_type", "case_type"].contains(&name);
        Self(
            self.0
                .iter()
                .filter(|(name, _)| is_of_order(name))
                .map(|(n, v)| (n.clone(), v.clone()))
                .collect(),
        )
    }

    /// The object of an update without the members that repeat what is kept. Other values replace what is kept.
    pub(super) fn updated_by<'o>(&mut self, object: &'o Map<String, Value>) -> Cow<'o, Map<String, Value>> {
        if self.0.is_empty() {
            return Cow::Borrowed(object);
        }
        let mut changed = object.clone();
        for (name, value) in object {
            match self.json(name) {
                Some(kept) if kept == *value => drop(changed.remove(name)),
                Some(_) => drop(self.0.remove(name)),
                None => {}
            }
        }
        Cow::Owned(changed)
    }

    /// Whether counters and indexes depend on a value that this release does not know.
    pub(super) fn is_deciding(&self) -> bool {
        DECIDING.iter().any(|name| self.has(name))
    }

    /// Checks that this release can write the case.
    ///
    /// # Errors
    /// Conflict.
    pub(super) fn check_writable(&self) -> Result<(), Error> {
        if !self.is_deciding() {
            return Ok(());
        }
        let detail =
            "A newer release has changed the case, and this one cannot change it. Try again in a minute.";
        Err(Error::conflict(detail))
    }
}

/// Reads the value of an attribute.
///
/// # Errors
/// Internal, when it has another type.
pub(super) fn from_value<T: DeserializeOwned>(value: AttributeValue) -> Result<T, Error> {
    serde_dynamo::from_attribute_value(value)
        .map_err(|_| Error::internal("an attribute of a case has another type"))
}
