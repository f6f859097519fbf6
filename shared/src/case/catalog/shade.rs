//! Tooth colours: the shade guides with their values, and the levels of translucency.

use serde::Serialize;

/// A shade guide whose values are checked.
pub struct Guide {
    /// Its name.
    pub name: &'static str,
    /// How its values are made up.
    pub description: &'static str,
    /// Its values.
    pub values: &'static [&'static str],
}

entries! {
    /// A maker's shade guide; without an entry, any text is taken as its value.
    ShadeSystem: Option<Guide> {
        VitaClassical = "vita_classical" => Some(Guide {
            name: "VITA classical A1-D4",
            description: "Sixteen shades in four hues: A reddish brown, B reddish yellow, C grey, D reddish grey.",
            values: &[
                "A1", "A2", "A3", "A3.5", "A4", "B1", "B2", "B3", "B4", "C1", "C2", "C3", "C4", "D2", "D3", "D4",
            ],
        }),
        Vita3dMaster = "vita_3d_master" => Some(Guide {
            name: "VITA 3D-Master",
            description: "Shades by value (0 light to 5 dark), hue (L yellowish, M medium, R reddish) and chroma \
                          (1 pale to 3 intense). Group 0 is for bleached teeth.",
            values: &[
                "0M1", "0M2", "0M3", "1M1", "1M2", "2L1.5", "2L2.5", "2M1", "2M2", "2M3", "2R1.5", "2R2.5", "3L1.5",
                "3L2.5", "3M1", "3M2", "3M3", "3R1.5", "3R2.5", "4L1.5", "4L2.5", "4M1", "4M2", "4M3", "4R1.5",
                "4R2.5", "5M1", "5M2", "5M3",
            ],
        }),
        IvoclarChromascop = "ivoclar_chromascop" => Some(Guide {
            name: "Ivoclar Chromascop",
            description: "Twenty shades in five groups: 100 white, 200 yellow, 300 light brown, 400 grey, \
                          500 dark brown.",
            values: &[
                "110", "120", "130", "140", "210", "220", "230", "240", "310", "320", "330", "340", "410", "420",
                "430", "440", "510", "520", "530", "540",
            ],
        }),
        ShofuVintage = "shofu_vintage" => None,
        DentsplyTrubyte = "dentsply_trubyte" => None,
        Custom = "custom" => None,
    }
}

/// A level of translucency.
#[derive(Serialize)]
pub struct Level {
    /// Its name.
    pub name: &'static str,
    /// What it does, and where it is used.
    pub description: &'static str,
}

entries! {
    /// How much light a restoration lets through.
    Translucency: Level {
        HighTranslucent = "high_translucent" => Level {
            name: "High translucency",
            description: "Lets much light through, like enamel; for veneers, inlays and front teeth on \
                          undiscoloured stumps.",
        },
        LowTranslucent = "low_translucent" => Level {
            name: "Low translucency",
            description: "Lets some light through, like dentine; for most crowns and bridges.",
        },
        Opaque = "opaque" => Level {
            name: "Opaque",
            description: "Hides what is below; for discoloured stumps and metal posts or abutments.",
        },
    }
}
