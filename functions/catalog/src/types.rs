//! The kinds of case with the values that their details take, straight from the types that validate them.

use serde_json::{Value, json};
use shared::{
    case::{CaseType, ProcedureType, details as d},
    validate::Choice,
};

/// The answer of `GET /api/v1/cases/types`.
pub(crate) fn list() -> Value {
    let case_types: Vec<Value> = CaseType::ALL.iter().copied().map(entry).collect();
    json!({"api_version": "1.0", "case_types": case_types})
}

fn entry(case_type: CaseType) -> Value {
    let (name, description, details) = match case_type {
        CaseType::FixedProsthetic => (
            "Fixed prosthetic",
            "Crowns, bridges, inlays, onlays and veneers, cemented or bonded to prepared teeth or implants.",
            json!({
                "subtypes": names::<d::FixedProstheticType>(),
                "materials": names::<d::FixedProstheticMaterial>(),
                "preparation_types": names::<d::PreparationType>(),
                "margin_types": names::<d::MarginType>(),
                "occlusion_types": names::<d::OcclusionType>(),
            }),
        ),
        CaseType::Denture => (
            "Denture",
            "Removable complete and partial dentures, resting on the mucosa, on teeth or on implants.",
            json!({
                "subtypes": names::<d::DentureType>(),
                "materials": names::<d::DentureMaterial>(),
                "tooth_materials": names::<d::ToothMaterial>(),
                "clasp_designs": names::<d::ClaspDesign>(),
                "retention_types": names::<d::RetentionType>(),
            }),
        ),
        CaseType::NightGuard => (
            "Night guard",
            "Occlusal splints that protect teeth and joints from grinding and clenching.",
            json!({
                "subtypes": names::<d::NightGuardType>(),
                "materials": names::<d::NightGuardMaterial>(),
                "thicknesses": names::<d::Thickness>(),
                "arches": names::<d::Arch>(),
                "designs": names::<d::NightGuardDesign>(),
                "special_features": names::<d::SpecialFeature>(),
            }),
        ),
        CaseType::Implant => (
            "Implant",
            "Abutments and restorations on dental implants. The subtypes are the values of `restoration_type`.",
            json!({
                "subtypes": names::<d::RestorationType>(),
                "materials": [],
                "implant_systems": names::<d::ImplantSystem>(),
                "implant_diameters": names::<d::ImplantDiameter>(),
                "implant_lengths": names::<d::ImplantLength>(),
                "platform_types": names::<d::PlatformType>(),
                "abutment_types": names::<d::AbutmentType>(),
                "restoration_types": names::<d::RestorationType>(),
                "tissue_levels": names::<d::TissueLevel>(),
            }),
        ),
        CaseType::Orthodontic => (
            "Orthodontic",
            "Retainers, aligners and other appliances that move or hold teeth.",
            json!({"subtypes": [], "materials": []}),
        ),
        CaseType::Other => {
            ("Other", "Work that fits none of the other types.", json!({"subtypes": [], "materials": []}))
        }
    };
    let procedures: Vec<&str> = ProcedureType::ALL
        .iter()
        .filter(|procedure| procedure.case_types().contains(&case_type))
        .map(|procedure| procedure.as_str())
        .collect();
    let mut entry = json!({
        "type": case_type, "name": name, "description": description, "procedure_types": procedures,
    });
    if let (Some(entry), Value::Object(details)) = (entry.as_object_mut(), details) {
        entry.extend(details);
    }
    entry
}

fn names<T: Choice>() -> Vec<&'static str> {
    T::ALL.iter().map(|choice| choice.as_str()).collect()
}
