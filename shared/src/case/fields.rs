//! A table of all fields of a case. It says which fields clients set, which the history reports and which an export has.

/// A field of a case in JSON.
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Who sets it, and where it appears.
    pub kind: FieldKind,
}

/// Who sets a field, and where it appears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// Clients set it.
    Input,
    /// The service sets it, and the history reports when it changes.
    Service,
    /// The service sets it. The history does not report it, because the event has the same value in another member.
    Bookkeeping,
    /// The service computes it for each response and does not store it.
    Derived,
}

use FieldKind::{Bookkeeping, Derived, Input, Service};

const fn field(name: &'static str, kind: FieldKind) -> Field {
    Field { name, kind }
}

/// All fields, in the order of an export's columns.
pub const FIELDS: &[Field] = &[
    field("id", Bookkeeping),
    field("lab_id", Bookkeeping),
    field("case_number", Service),
    field("version", Bookkeeping),
    field("status", Input),
    field("patient_name", Input),
    field("procedure_type", Input),
    field("case_type", Input),
    field("case_name", Input),
    field("description", Input),
    field("notes", Input),
    field("special_instructions", Input),
    field("priority", Input),
    field("rush_order", Input),
    field("due_date", Input),
    field("earliest_due_date", Service),
    field("doctor_id", Input),
    field("product_id", Input),
    field("assigned_to", Input),
    field("patient_info", Input),
    field("fixed_prosthetic", Input),
    field("denture", Input),
    field("night_guard", Input),
    field("implant", Input),
    field("remake_of", Service),
    field("remake_reason_code", Service),
    field("remakes", Service),
    field("comment_count", Bookkeeping),
    field("waiting_for_answer", Service),
    field("created_by", Bookkeeping),
    field("created_at", Bookkeeping),
    field("updated_at", Bookkeeping),
    field("status_changed_at", Bookkeeping),
    field("completed_at", Service),
    field("shipped_at", Service),
    field("delivered_at", Service),
    field("deleted_at", Bookkeeping),
    field("deleted_by", Bookkeeping),
    field("allowed_transitions", Derived),
    field("warnings", Derived),
];

/// The fields that clients cannot set. An update may contain them with their current values.
pub(super) fn read_only() -> impl Iterator<Item = &'static str> {
    names(|kind| kind != Input)
}

/// The fields that the table stores and an export has.
pub(super) fn stored() -> impl Iterator<Item = &'static str> {
    names(|kind| kind != Derived)
}

/// Whether an event lists the field among its changes.
pub(super) fn is_in_history(name: &str) -> bool {
    names(|kind| matches!(kind, Input | Service)).any(|known| known == name)
}

fn names(select: impl Fn(FieldKind) -> bool) -> impl Iterator<Item = &'static str> {
    FIELDS.iter().filter(move |field| select(field.kind)).map(|field| field.name)
}
