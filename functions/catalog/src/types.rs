//! The kinds of case with their procedures, the lead times, and the values that their details take.

use serde_json::{Value, json};
use shared::{
    base::wire_enum::WireEnum,
    case::catalog::{CaseType, CatalogEntry, ProcedureType},
};

/// The answer of `GET /api/v1/cases/types`.
pub(crate) fn list() -> Value {
    let case_types: Vec<Value> = CaseType::ALL.iter().copied().map(entry).collect();
    json!({"api_version": "1.0", "case_types": case_types})
}

fn entry(case_type: CaseType) -> Value {
    let kind = case_type.entry();
    let made_in = |procedure: &ProcedureType| procedure.entry().case_types.contains(&case_type);
    let procedures: Vec<ProcedureType> = ProcedureType::ALL.iter().copied().filter(made_in).collect();
    let mut entry = json!({
        "type": case_type, "name": kind.name, "description": kind.description, "procedure_types": procedures,
        "procedures": procedures.iter().map(lead_time).collect::<Vec<_>>(),
    });
    for (name, values) in kind.values {
        entry[name] = json!(values);
    }
    entry
}

fn lead_time(name: &ProcedureType) -> Value {
    let procedure = name.entry();
    json!({"name": name, "lead_days": procedure.lead_days, "rush_lead_days": procedure.rush_lead_days()})
}
