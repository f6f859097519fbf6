//! The shade systems whose values are checked, and the levels of translucency.

use serde_json::{Value, json};
use shared::{
    case::shade::{ShadeSystem, Translucency},
    validate::Choice,
};

/// The answer of `GET /api/v1/cases/shades`.
pub(crate) fn list() -> Value {
    json!({
        "api_version": "1.0",
        "shade_systems": {
            "vita_classical": {
                "name": "VITA classical A1-D4",
                "description": "Sixteen shades in four hues: A reddish brown, B reddish yellow, C grey, D reddish grey.",
                "shades": {"A": series("A"), "B": series("B"), "C": series("C"), "D": series("D")},
            },
            "vita_3d_master": {
                "name": "VITA 3D-Master",
                "description": "Shades by value (0 light to 5 dark), hue (L yellowish, M medium, R reddish) and chroma \
                                (1 pale to 3 intense). Group 0 is for bleached teeth.",
                "sample_shades": ShadeSystem::Vita3dMaster.values(),
            },
            "ivoclar_chromascop": {
                "name": "Ivoclar Chromascop",
                "description": "Twenty shades in five groups: 100 white, 200 yellow, 300 light brown, 400 grey, \
                                500 dark brown.",
                "shades": ShadeSystem::IvoclarChromascop.values(),
            },
        },
        "translucency_levels": Translucency::ALL.iter().map(level).collect::<serde_json::Map<_, _>>(),
    })
}

/// The shades of VITA classical that have this hue.
fn series(hue: &str) -> Vec<&'static str> {
    let values = ShadeSystem::VitaClassical.values().unwrap_or_default();
    values.iter().copied().filter(|value| value.starts_with(hue)).collect()
}

fn level(translucency: &Translucency) -> (String, Value) {
    let (name, description) = match translucency {
        Translucency::HighTranslucent => (
            "High translucency",
            "Lets much light through, like enamel; for veneers, inlays and front teeth on undiscoloured stumps.",
        ),
        Translucency::LowTranslucent => {
            ("Low translucency", "Lets some light through, like dentine; for most crowns and bridges.")
        }
        Translucency::Opaque => {
            ("Opaque", "Hides what is below; for discoloured stumps and metal posts or abutments.")
        }
    };
    (translucency.as_str().to_owned(), json!({"name": name, "description": description}))
}
