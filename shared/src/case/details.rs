//! The dental details of a case: the dentist's order, for each kind of work. A stored object with a member of a newer release is
//! kept as it is, so no type here accepts unknown members.

use serde::{Deserialize, Serialize};

use super::{
    catalog::{details::*, material::*},
    shade::Shade,
};
use crate::{
    base::{
        private::Private,
        validate::{Fields, FromObject, distinct, one_of, reference, text, whole},
    },
    wire_enum,
};

/// Teeth in the universal numbering system, 1 (upper right third molar) to 32 (lower right third molar).
const TEETH: std::ops::RangeInclusive<u8> = 1..=32;

/// A crown, bridge, inlay, onlay or veneer.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedProsthetic {
    /// The kind of restoration.
    #[serde(rename = "type")]
    pub kind: FixedProstheticType,
    /// Its material.
    pub material: FixedProstheticMaterial,
    /// The teeth it covers, universal numbers.
    pub tooth_numbers: Vec<u8>,
    /// How much of the tooth was prepared.
    pub preparation_type: Option<PreparationType>,
    /// The finish line of the preparation.
    pub margin_type: Option<MarginType>,
    /// Its colour.
    pub shade: Option<Shade>,
    /// The bite that it is made for.
    pub occlusion_type: Option<OcclusionType>,
}

impl FromObject for FixedProsthetic {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let kind = fields.required("type", one_of);
        let material = fields.required("material", one_of);
        let tooth_numbers = fields.required("tooth_numbers", distinct(1..=32, whole(TEETH)));
        let preparation_type = fields.optional("preparation_type", one_of).value();
        let margin_type = fields.optional("margin_type", one_of).value();
        let shade = fields.nested("shade").value();
        let occlusion_type = fields.optional("occlusion_type", one_of).value();
        Some(Self {
            kind: kind?,
            material: material?,
            tooth_numbers: tooth_numbers?,
            preparation_type,
            margin_type,
            shade,
            occlusion_type,
        })
    }
}

/// A complete or partial denture.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denture {
    /// The kind of denture.
    #[serde(rename = "type")]
    pub kind: DentureType,
    /// The base's material.
    pub material: DentureMaterial,
    /// The teeth's material.
    pub tooth_material: Option<ToothMaterial>,
    /// The teeth's colour.
    pub shade: Option<Shade>,
    /// How it is attached to teeth.
    pub clasp_design: Option<ClaspDesign>,
    /// What keeps it in place.
    pub retention_type: Option<RetentionType>,
}

impl FromObject for Denture {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let kind = fields.required("type", one_of);
        let material = fields.required("material", one_of);
        let tooth_material = fields.optional("tooth_material", one_of).value();
        let shade = fields.nested("shade").value();
        let clasp_design = fields.optional("clasp_design", one_of).value();
        let retention_type = fields.optional("retention_type", one_of).value();
        Some(Self { kind: kind?, material: material?, tooth_material, shade, clasp_design, retention_type })
    }
}

/// A night guard.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NightGuard {
    /// The kind of guard.
    #[serde(rename = "type")]
    pub kind: NightGuardType,
    /// Its material.
    pub material: NightGuardMaterial,
    /// Its thickness.
    pub thickness: Option<Thickness>,
    /// The jaw that wears it.
    pub arch: Arch,
    /// The surface that it covers and guides.
    pub design: Option<NightGuardDesign>,
    /// Its extras.
    pub special_features: Option<Vec<SpecialFeature>>,
}

impl FromObject for NightGuard {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let kind = fields.required("type", one_of);
        let material = fields.required("material", one_of);
        let thickness = fields.optional("thickness", one_of).value();
        let arch = fields.required("arch", one_of);
        let design = fields.optional("design", one_of).value();
        let special_features = fields.optional("special_features", distinct(1..=4, one_of)).value();
        Some(Self { kind: kind?, material: material?, thickness, arch: arch?, design, special_features })
    }
}

/// An implant and its restoration.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Implant {
    /// The maker.
    pub implant_system: ImplantSystem,
    /// Its diameter.
    pub implant_diameter: ImplantDiameter,
    /// Its length.
    pub implant_length: ImplantLength,
    /// How the abutment is connected to it.
    pub platform_type: Option<PlatformType>,
    /// The part between implant and restoration.
    pub abutment_type: Option<AbutmentType>,
    /// The restoration on it.
    pub restoration_type: Option<RestorationType>,
    /// The tooth it replaces, universal number.
    pub tooth_number: u8,
    /// The position of its shoulder.
    pub tissue_level: Option<TissueLevel>,
}

impl FromObject for Implant {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let implant_system = fields.required("implant_system", one_of);
        let implant_diameter = fields.required("implant_diameter", one_of);
        let implant_length = fields.required("implant_length", one_of);
        let platform_type = fields.optional("platform_type", one_of).value();
        let abutment_type = fields.optional("abutment_type", one_of).value();
        let restoration_type = fields.optional("restoration_type", one_of).value();
        let tooth_number = fields.required("tooth_number", whole(TEETH));
        let tissue_level = fields.optional("tissue_level", one_of).value();
        Some(Self {
            implant_system: implant_system?,
            implant_diameter: implant_diameter?,
            implant_length: implant_length?,
            platform_type,
            abutment_type,
            restoration_type,
            tooth_number: tooth_number?,
            tissue_level,
        })
    }
}

wire_enum! {
    /// The patient's gender, from the dentist.
    Gender { Male = "male", Female = "female", Other = "other" }
}

/// The data of the patient that the work needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatientInfo {
    /// The dentist's id for the patient.
    pub patient_id: Option<String>,
    /// The age in years.
    pub age: Option<u8>,
    /// The gender, from the dentist.
    pub gender: Option<Gender>,
    /// Allergies and other conditions.
    pub medical_history: Option<Private<String>>,
}

impl FromObject for PatientInfo {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        Some(Self {
            patient_id: fields.optional("patient_id", reference).value(),
            age: fields.optional("age", whole(0..=130)).value(),
            gender: fields.optional("gender", one_of).value(),
            medical_history: fields.optional("medical_history", text(0..=4000)).value(),
        })
    }
}
