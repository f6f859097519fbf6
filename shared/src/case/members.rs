//! The members of a case in JSON and in the table: its own and the fields that clients set, side by side in one object. Serde's
//! `flatten` would do the same, but it keeps every member in a buffer first, for each case that is read or written.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    Case, CaseFields,
    item::EXPIRES_AT,
    model::{CaseView, Computed},
    newer::{Newer, from_value},
    thread::Thread,
};
use crate::{base::error::Error, table::Item};

/// Implements reading and writing from the lists of all members, in their order. A member that is missing in the lists, or that
/// does not exist, does not compile.
macro_rules! members {
    (
        required: $($identity:ident)*;
        fields: $($field:ident)*;
        required: $($due:ident)*;
        optional: $($remake:ident)*;
        required: $($state:ident)*;
        optional: $($stamp:ident)*;
    ) => {
        const NAMES: &[&str] = &[
            $(stringify!($identity),)* $(stringify!($field),)* $(stringify!($due),)* $(stringify!($remake),)*
            $(stringify!($state),)* $(stringify!($stamp),)*
        ];

        /// The attributes that a list reads of the items of cases: their keys, the end of deleted ones, and all members. The
        /// attributes of the indexes and of searches would be a quarter of what is read.
        pub(super) const ATTRIBUTES: &[&str] = &[
            "sk", EXPIRES_AT, $(stringify!($identity),)* $(stringify!($field),)* $(stringify!($due),)*
            $(stringify!($remake),)* $(stringify!($state),)* $(stringify!($stamp),)*
        ];

        fn write<S: SerializeStruct>(case: &Case, members: &mut S) -> Result<(), S::Error> {
            let Case { $($identity,)* fields, $($due,)* $($remake,)* $($state,)* $($stamp,)* newer, thread: _ } = case;
            let CaseFields { $($field),* } = fields;
            $(write_member(members, newer, stringify!($identity), $identity)?;)*
            $(write_member(members, newer, stringify!($field), $field)?;)*
            $(write_member(members, newer, stringify!($due), $due)?;)*
            $(write_member(members, newer, stringify!($remake), $remake)?;)*
            $(write_member(members, newer, stringify!($state), $state)?;)*
            $(write_member(members, newer, stringify!($stamp), $stamp)?;)*
            Ok(())
        }

        fn read_item(item: Item) -> Result<Case, Error> {
            let mut fields = CaseFields::default();
            $(let mut $identity = None;)*
            $(let mut $due = None;)*
            $(let mut $remake = Default::default();)*
            $(let mut $state = None;)*
            $(let mut $stamp = Default::default();)*
            let (mut newer, mut thread) = (Newer::default(), Thread::default());
            for (name, value) in item {
                let Some(value) = thread.take(&name, value)? else { continue };
                let Some(value) = newer.known(&name, value) else { continue };
                match name.as_str() {
                    $(stringify!($identity) => $identity = Some(from_value(value)?),)*
                    $(stringify!($field) => fields.$field = newer.read(stringify!($field), value)?,)*
                    $(stringify!($due) => $due = Some(from_value(value)?),)*
                    $(stringify!($remake) => $remake = from_value(value)?,)*
                    $(stringify!($state) => $state = Some(from_value(value)?),)*
                    $(stringify!($stamp) => $stamp = from_value(value)?,)*
                    _ => newer.keep(name, value),
                }
            }
            let missing = || Error::internal("a case lacks an attribute");
            Ok(Case {
                $($identity: $identity.ok_or_else(missing)?,)*
                fields,
                $($due: $due.ok_or_else(missing)?,)*
                $($remake,)*
                $($state: $state.ok_or_else(missing)?,)*
                $($stamp,)*
                thread,
                newer,
            })
        }
    };
}

members! {
    required: id lab_id version status case_number;
    fields: patient_name procedure_type case_type case_name description notes special_instructions priority rush_order due_date
        doctor_id product_id assigned_to patient_info fixed_prosthetic denture night_guard implant;
    required: earliest_due_date;
    optional: remake_of remake_reason_code remakes comment_count waiting_for_answer;
    required: created_by created_at updated_at status_changed_at;
    optional: completed_at shipped_at delivered_at deleted_at deleted_by;
}

/// Reads a case from its item, attribute by attribute, because a list reads many cases, and the general deserializer would
/// copy each item into another map first.
///
/// # Errors
/// Internal, when an attribute is missing or has another type.
pub(super) fn from_item(item: Item) -> Result<Case, Error> {
    read_item(item)
}

fn write_member<S: SerializeStruct, T: Serialize>(
    members: &mut S,
    newer: &Newer,
    name: &'static str,
    value: &T,
) -> Result<(), S::Error> {
    match newer.json(name) {
        Some(newer) => members.serialize_field(name, &newer),
        None => members.serialize_field(name, value),
    }
}

impl Serialize for Case {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut members = serializer.serialize_struct("Case", NAMES.len())?;
        write(self, &mut members)?;
        members.end()
    }
}

impl Serialize for CaseView<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Computed { allowed_transitions, warnings } = &self.computed;
        let mut members = serializer.serialize_struct("Case", NAMES.len() + 2)?;
        write(self.case, &mut members)?;
        members.serialize_field("allowed_transitions", allowed_transitions)?;
        members.serialize_field("warnings", warnings)?;
        members.end()
    }
}
