//! The rules between a case's fields: procedure, kind of case and dental details have to belong together, and what
//! is not given is derived from what is.

use super::{
    CaseFields,
    catalog::{CaseType, CatalogEntry, ProcedureType},
};
use crate::base::{
    field_error::{FieldCode, FieldError, Invalid},
    wire_enum::WireEnum,
};

/// Which of the two the request itself gives: it wins over the other where they disagree.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Explicit {
    pub procedure_type: bool,
    pub case_type: bool,
}

/// Derives what the request does not say, and returns the errors of what it says.
pub(super) fn settle(case: &mut CaseFields, explicit: Explicit) -> Vec<FieldError> {
    let mut errors = Vec::new();
    // A change of one side alone takes the other side along.
    if explicit.procedure_type && !explicit.case_type && case.procedure_type.is_some() && !agree(case) {
        case.case_type = None;
    }
    if explicit.case_type && !explicit.procedure_type && case.case_type.is_some() && !agree(case) {
        case.procedure_type = None;
    }
    if case.case_type.is_none() {
        case.case_type = derived_case_type(case);
    }
    let Some(case_type) = case.case_type else {
        let detail = "is required, or case_type, or the dental details";
        let alternatives =
            ["procedure_type", "case_type", "fixed_prosthetic", "denture", "night_guard", "implant"];
        let alternatives: Vec<String> = alternatives.iter().map(|name| format!("/{name}")).collect();
        let invalid = Invalid::new(FieldCode::Required, detail).with("any_of", alternatives);
        errors.push(FieldError::new("/procedure_type", invalid));
        return errors;
    };
    let from_details = procedure_of_details(case);
    if !explicit.procedure_type && from_details.is_some() {
        case.procedure_type = from_details;
    }
    if case.procedure_type.is_none() {
        case.procedure_type = from_details.or(case_type.entry().usual_procedure);
    }
    let of_type = |what: &str| {
        Invalid::inconsistent("/case_type", format!("{what} a case of type {}", case_type.as_str()))
    };
    if !agree(case) {
        errors.push(FieldError::new("/procedure_type", of_type("is not made in")));
    } else if from_details.is_some() && from_details != case.procedure_type {
        let invalid = Invalid::inconsistent(
            format!("/{}", case_type.as_str()),
            "is not what the dental details describe",
        );
        errors.push(FieldError::new("/procedure_type", invalid));
    }
    for (name, present, kinds) in details(case) {
        if present && !kinds.contains(&case_type) {
            errors.push(FieldError::new(format!("/{name}"), of_type("does not belong to")));
        }
    }
    errors
}

fn agree(case: &CaseFields) -> bool {
    match (case.procedure_type, case.case_type) {
        (Some(procedure), Some(case_type)) => procedure.entry().case_types.contains(&case_type),
        _ => true,
    }
}

fn derived_case_type(case: &CaseFields) -> Option<CaseType> {
    // The details decide between the kinds that a procedure can be made in.
    let of_details = details(case).into_iter().find(|(_, present, _)| *present).map(|(_, _, kinds)| kinds[0]);
    match case.procedure_type.map(|procedure| procedure.entry().case_types) {
        Some(kinds) => of_details.filter(|kind| kinds.contains(kind)).or(kinds.first().copied()),
        None => of_details,
    }
}

fn procedure_of_details(case: &CaseFields) -> Option<ProcedureType> {
    match case.case_type? {
        CaseType::FixedProsthetic => case.fixed_prosthetic.as_ref().map(|details| details.kind.into()),
        CaseType::Denture => case.denture.as_ref().map(|details| details.kind.into()),
        _ => None,
    }
}

/// Each kind of details: its name, whether the case has it, and the kinds of case that it belongs to, its own first.
/// A crown may sit on an implant and a denture may be held by implants, so those carry implant details as well.
fn details(case: &CaseFields) -> [(&'static str, bool, &'static [CaseType]); 4] {
    use CaseType as C;
    [
        ("fixed_prosthetic", case.fixed_prosthetic.is_some(), &[C::FixedProsthetic, C::Implant]),
        ("denture", case.denture.is_some(), &[C::Denture]),
        ("night_guard", case.night_guard.is_some(), &[C::NightGuard]),
        ("implant", case.implant.is_some(), &[C::Implant, C::FixedProsthetic, C::Denture]),
    ]
}
