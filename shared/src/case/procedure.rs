//! What is made, in the field's words (`procedure_type`), and the kind of case that makes it (`case_type`).

use super::details::{Denture, DentureType, FixedProsthetic, FixedProstheticType};
use crate::{
    choices,
    validate::{Checked, Choice, choice},
};

choices! {
    /// The kind of case: it says which dental details belong to it.
    CaseType {
        FixedProsthetic = "fixed_prosthetic", Denture = "denture", NightGuard = "night_guard", Implant = "implant",
        Orthodontic = "orthodontic", Other = "other",
    }
}

choices! {
    /// What is made, in its canonical spelling.
    ProcedureType {
        Crown = "Crown", Bridge = "Bridge", Inlay = "Inlay", Onlay = "Onlay", Veneer = "Veneer",
        ImplantCrown = "Implant Crown", Denture = "Denture", PartialDenture = "Partial Denture",
        NightGuard = "Night Guard", Implant = "Implant", Orthodontic = "Orthodontic", Other = "Other",
    }
}

/// The business days that work takes which has no lead time of its own.
pub(super) const OTHER_LEAD_DAYS: u32 = 5;

impl ProcedureType {
    /// The kinds of case that it can be made in; the first is assumed when the request does not say.
    pub fn case_types(self) -> &'static [CaseType] {
        use ProcedureType as P;
        match self {
            P::Crown | P::Bridge | P::Inlay | P::Onlay | P::Veneer => &[CaseType::FixedProsthetic],
            // The crown is a fixed restoration; the fixture below it makes it an implant case as well.
            P::ImplantCrown => &[CaseType::FixedProsthetic, CaseType::Implant],
            P::Denture | P::PartialDenture => &[CaseType::Denture],
            P::NightGuard => &[CaseType::NightGuard],
            P::Implant => &[CaseType::Implant],
            P::Orthodontic => &[CaseType::Orthodontic],
            P::Other => &[CaseType::Other],
        }
    }

    /// The procedure that a fixed restoration is.
    pub fn of_fixed_prosthetic(details: &FixedProsthetic) -> Self {
        match details.kind {
            FixedProstheticType::Crown => Self::Crown,
            FixedProstheticType::Bridge => Self::Bridge,
            FixedProstheticType::Inlay => Self::Inlay,
            FixedProstheticType::Onlay => Self::Onlay,
            FixedProstheticType::Veneer => Self::Veneer,
            FixedProstheticType::ImplantCrown => Self::ImplantCrown,
        }
    }

    /// The procedure that a denture is.
    pub fn of_denture(details: &Denture) -> Self {
        match details.kind {
            DentureType::PartialUpper | DentureType::PartialLower => Self::PartialDenture,
            _ => Self::Denture,
        }
    }

    /// The business days that the work takes.
    pub fn lead_days(self) -> u32 {
        use ProcedureType as P;
        match self {
            P::Inlay | P::Onlay => 3,
            P::Crown => 5,
            P::Bridge | P::Veneer => 7,
            P::ImplantCrown => 10,
            P::PartialDenture => 14,
            P::Denture => 21,
            P::NightGuard | P::Implant | P::Orthodontic | P::Other => OTHER_LEAD_DAYS,
        }
    }

    /// Reads the name in any case: "crown" is Crown.
    pub fn from_value(value: &serde_json::Value) -> Checked<Self> {
        let canonical = value.as_str().and_then(|name| {
            Self::ALL.iter().copied().find(|known| known.as_str().eq_ignore_ascii_case(name))
        });
        canonical.map_or_else(|| choice(value), Ok)
    }
}
