//! What is made, in the field's words (`procedure_type`), and how long it takes.

use super::{
    CaseType,
    details::{DentureType, FixedProstheticType},
};
use crate::base::{
    validate::{Checked, one_of},
    wire_enum::WireEnum,
};

/// How a procedure is made.
pub struct Procedure {
    /// The kinds of case that it can be made in; the first is assumed when the request does not say.
    pub case_types: &'static [CaseType],
    /// The business days that it takes.
    pub lead_days: u32,
}

impl Procedure {
    /// The business days that it takes as a rush order: half of them, but at least one.
    pub fn rush_lead_days(&self) -> u32 {
        (self.lead_days / 2).max(1)
    }
}

entries! {
    /// What is made, in its canonical spelling.
    ProcedureType: Procedure {
        Crown = "Crown" => Procedure { case_types: &[CaseType::FixedProsthetic], lead_days: 5 },
        Bridge = "Bridge" => Procedure { case_types: &[CaseType::FixedProsthetic], lead_days: 7 },
        Inlay = "Inlay" => Procedure { case_types: &[CaseType::FixedProsthetic], lead_days: 3 },
        Onlay = "Onlay" => Procedure { case_types: &[CaseType::FixedProsthetic], lead_days: 3 },
        Veneer = "Veneer" => Procedure { case_types: &[CaseType::FixedProsthetic], lead_days: 7 },
        // The crown is a fixed restoration; the fixture below it makes it an implant case as well.
        ImplantCrown = "Implant Crown" => Procedure {
            case_types: &[CaseType::FixedProsthetic, CaseType::Implant],
            lead_days: 10,
        },
        Denture = "Denture" => Procedure { case_types: &[CaseType::Denture], lead_days: 21 },
        PartialDenture = "Partial Denture" => Procedure { case_types: &[CaseType::Denture], lead_days: 14 },
        NightGuard = "Night Guard" => Procedure { case_types: &[CaseType::NightGuard], lead_days: 5 },
        Implant = "Implant" => Procedure { case_types: &[CaseType::Implant], lead_days: 5 },
        Orthodontic = "Orthodontic" => Procedure { case_types: &[CaseType::Orthodontic], lead_days: 5 },
        Other = "Other" => Procedure { case_types: &[CaseType::Other], lead_days: 5 },
    }
}

impl ProcedureType {
    /// Reads the name in any case: "crown" is Crown.
    pub fn from_value(value: &serde_json::Value) -> Checked<Self> {
        let canonical = value.as_str().and_then(|name| {
            Self::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(name))
        });
        canonical.map_or_else(|| one_of(value), Ok)
    }
}

impl From<FixedProstheticType> for ProcedureType {
    fn from(kind: FixedProstheticType) -> Self {
        use FixedProstheticType as F;
        match kind {
            F::Crown => Self::Crown,
            F::Bridge => Self::Bridge,
            F::Inlay => Self::Inlay,
            F::Onlay => Self::Onlay,
            F::Veneer => Self::Veneer,
            F::ImplantCrown => Self::ImplantCrown,
        }
    }
}

impl From<DentureType> for ProcedureType {
    fn from(kind: DentureType) -> Self {
        use DentureType as D;
        match kind {
            D::PartialUpper | D::PartialLower => Self::PartialDenture,
            D::CompleteUpper
            | D::CompleteLower
            | D::CompleteFull
            | D::Immediate
            | D::Conventional
            | D::ImplantSupported => Self::Denture,
        }
    }
}
