//! The kinds of case (`case_type`), and the values that the details of each take.

use super::{ProcedureType, details as d, material as m};
use crate::base::wire_enum::WireEnum;

/// What the catalogue tells of a kind of case.
pub struct Kind {
    /// Its name.
    pub name: &'static str,
    /// What is made in it.
    pub description: &'static str,
    /// What is made when neither the request nor the details say; `None` leaves it open.
    pub usual_procedure: Option<ProcedureType>,
    /// The values that its details take, under the names that the public list gives them.
    pub values: &'static [(&'static str, &'static [&'static str])],
}

entries! {
    /// The kind of case: it says which dental details belong to it.
    CaseType: Kind {
        FixedProsthetic = "fixed_prosthetic" => Kind {
            name: "Fixed prosthetic",
            description: "Crowns, bridges, inlays, onlays and veneers, cemented or bonded to prepared teeth or \
                          implants.",
            usual_procedure: None,
            values: &[
                ("subtypes", d::FixedProstheticType::NAMES),
                ("materials", m::FixedProstheticMaterial::NAMES),
                ("preparation_types", d::PreparationType::NAMES),
                ("margin_types", d::MarginType::NAMES),
                ("occlusion_types", d::OcclusionType::NAMES),
            ],
        },
        Denture = "denture" => Kind {
            name: "Denture",
            description: "Removable complete and partial dentures, resting on the mucosa, on teeth or on implants.",
            usual_procedure: Some(ProcedureType::Denture),
            values: &[
                ("subtypes", d::DentureType::NAMES),
                ("materials", m::DentureMaterial::NAMES),
                ("tooth_materials", d::ToothMaterial::NAMES),
                ("clasp_designs", d::ClaspDesign::NAMES),
                ("retention_types", d::RetentionType::NAMES),
            ],
        },
        NightGuard = "night_guard" => Kind {
            name: "Night guard",
            description: "Occlusal splints that protect teeth and joints from grinding and clenching.",
            usual_procedure: Some(ProcedureType::NightGuard),
            values: &[
                ("subtypes", d::NightGuardType::NAMES),
                ("materials", m::NightGuardMaterial::NAMES),
                ("thicknesses", d::Thickness::NAMES),
                ("arches", d::Arch::NAMES),
                ("designs", d::NightGuardDesign::NAMES),
                ("special_features", d::SpecialFeature::NAMES),
            ],
        },
        Implant = "implant" => Kind {
            name: "Implant",
            description: "Abutments and restorations on dental implants. The subtypes are the values of \
                          `restoration_type`.",
            usual_procedure: Some(ProcedureType::Implant),
            values: &[
                ("subtypes", d::RestorationType::NAMES),
                ("materials", &[]),
                ("implant_systems", d::ImplantSystem::NAMES),
                ("implant_diameters", d::ImplantDiameter::NAMES),
                ("implant_lengths", d::ImplantLength::NAMES),
                ("platform_types", d::PlatformType::NAMES),
                ("abutment_types", d::AbutmentType::NAMES),
                ("restoration_types", d::RestorationType::NAMES),
                ("tissue_levels", d::TissueLevel::NAMES),
            ],
        },
        Orthodontic = "orthodontic" => Kind {
            name: "Orthodontic",
            description: "Retainers, aligners and other appliances that move or hold teeth.",
            usual_procedure: Some(ProcedureType::Orthodontic),
            values: &[("subtypes", &[]), ("materials", &[])],
        },
        Other = "other" => Kind {
            name: "Other",
            description: "Work that fits none of the other types.",
            usual_procedure: Some(ProcedureType::Other),
            values: &[("subtypes", &[]), ("materials", &[])],
        },
    }
}
