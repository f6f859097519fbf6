//! The rules between a case's fields: procedure, kind of case and dental details must fit together. Missing values are
//! derived from the others.

use super::{
    CaseFields,
    catalog::{CaseType, CatalogEntry, ProcedureType},
};
use crate::base::{
    field_error::{FieldCode, FieldError, Invalid},
    wire_enum::WireEnum,
};

/// Which of the two fields the request sets. If they do not fit together, the field that the request sets has priority.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Explicit {
    pub procedure_type: bool,
    pub case_type: bool,
}

/// Derives the missing values, and returns the errors of values that do not fit together.
pub(super) fn settle(case: &mut CaseFields, explicit: Explicit) -> Vec<FieldError> {
    let mut errors = Vec::new();
    // If the request changes only one of the fields, the other one is derived again.
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
        let detail = "is required, unless case_type or dental details are given";
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
    let of_type = |relation: &str| {
        Invalid::inconsistent("/case_type", format!("{relation} a case of type {}", case_type.as_str()))
    };
    if !agree(case) {
        errors.push(FieldError::new("/procedure_type", of_type("does not fit")));
    } else if from_details.is_some() && from_details != case.procedure_type {
        let invalid =
            Invalid::inconsistent(format!("/{}", case_type.as_str()), "does not fit the dental details");
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
    // The details decide between the possible kinds of a procedure.
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

/// All dental details: the name, whether the case has them, and the possible kinds of case, the main one first. A crown or
/// a denture may be on implants, so cases of these kinds may have implant details as well.
fn details(case: &CaseFields) -> [(&'static str, bool, &'static [CaseType]); 4] {
    use CaseType as C;
    [
        ("fixed_prosthetic", case.fixed_prosthetic.is_some(), &[C::FixedProsthetic, C::Implant]),
        ("denture", case.denture.is_some(), &[C::Denture]),
        ("night_guard", case.night_guard.is_some(), &[C::NightGuard]),
        ("implant", case.implant.is_some(), &[C::Implant, C::FixedProsthetic, C::Denture]),
    ]
}
