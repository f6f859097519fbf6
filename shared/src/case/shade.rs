//! Tooth colours: the systems, and the values of those that the catalogue lists.

use serde::{Deserialize, Serialize};

use crate::{
    choices,
    http::FromObject,
    validate::{Choice, Fields, choice, text},
};

choices! {
    /// A maker's shade guide.
    ShadeSystem {
        VitaClassical = "vita_classical", Vita3dMaster = "vita_3d_master", IvoclarChromascop = "ivoclar_chromascop",
        ShofuVintage = "shofu_vintage", DentsplyTrubyte = "dentsply_trubyte", Custom = "custom",
    }
}

impl ShadeSystem {
    /// The values of the system; `None` for those whose guide the catalogue does not list, where any text is taken.
    pub fn values(self) -> Option<&'static [&'static str]> {
        match self {
            // VITA classical A1-D4 shade guide: 16 shades in four hues.
            ShadeSystem::VitaClassical => Some(&[
                "A1", "A2", "A3", "A3.5", "A4", "B1", "B2", "B3", "B4", "C1", "C2", "C3", "C4", "D2", "D3",
                "D4",
            ]),
            // VITA Toothguide 3D-MASTER: lightness group, hue (L, M, R), chroma; with the bleached shades 0M1-0M3.
            ShadeSystem::Vita3dMaster => Some(&[
                "0M1", "0M2", "0M3", "1M1", "1M2", "2L1.5", "2L2.5", "2M1", "2M2", "2M3", "2R1.5", "2R2.5",
                "3L1.5", "3L2.5", "3M1", "3M2", "3M3", "3R1.5", "3R2.5", "4L1.5", "4L2.5", "4M1", "4M2",
                "4M3", "4R1.5", "4R2.5", "5M1", "5M2", "5M3",
            ]),
            // Ivoclar Chromascop: five hue groups (100 to 500) of four shades each.
            ShadeSystem::IvoclarChromascop => Some(&[
                "110", "120", "130", "140", "210", "220", "230", "240", "310", "320", "330", "340", "410",
                "420", "430", "440", "510", "520", "530", "540",
            ]),
            _ => None,
        }
    }
}

choices! {
    /// How much light a restoration lets through.
    Translucency {
        HighTranslucent = "high_translucent", LowTranslucent = "low_translucent", Opaque = "opaque",
    }
}

/// The colour of a restoration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shade {
    /// The dentist's own id of it.
    pub shade_id: Option<String>,
    /// The shade guide.
    pub shade_system: ShadeSystem,
    /// The value in that guide.
    pub shade_value: String,
    /// In words.
    pub shade_description: Option<String>,
    /// How much light it lets through.
    pub translucency: Option<Translucency>,
    /// Further wishes.
    pub notes: Option<String>,
}

impl FromObject for Shade {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let shade_id = fields.optional("shade_id", text(1..=128)).value();
        let shade_system: Option<ShadeSystem> = fields.required("shade_system", choice);
        let shade_value = fields.required("shade_value", text(1..=64));
        let shade_description = fields.optional("shade_description", text(0..=500)).value();
        let translucency = fields.optional("translucency", choice).value();
        let notes = fields.optional("notes", text(0..=1000)).value();
        let (shade_system, shade_value) = (shade_system?, shade_value?);
        if shade_system.values().is_some_and(|values| !values.contains(&shade_value.as_str())) {
            fields.fault("shade_value", format!("is not a shade of {}", shade_system.as_str()));
        }
        Some(Self { shade_id, shade_system, shade_value, shade_description, translucency, notes })
    }
}
