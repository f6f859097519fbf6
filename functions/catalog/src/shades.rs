//! The shade systems whose values are checked, and the levels of translucency.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use shared::{
    base::wire_enum::WireEnum,
    case::catalog::{
        CatalogEntry,
        shade::{Guide, ShadeSystem, Translucency},
    },
};

/// The answer of `GET /api/v1/cases/shades`.
pub(crate) fn list() -> Value {
    let systems = ShadeSystem::ALL.iter().filter_map(|system| {
        let guide = system.entry().as_ref()?;
        Some((system.as_str().to_owned(), entry(*system, guide)))
    });
    let levels = Translucency::ALL.iter().map(|level| (level.as_str().to_owned(), json!(level.entry())));
    json!({
        "api_version": "1.0",
        "shade_systems": systems.collect::<Map<_, _>>(),
        "translucency_levels": levels.collect::<Map<_, _>>(),
    })
}

/// Each system has its values under the name and in the form that clients know.
fn entry(system: ShadeSystem, guide: &Guide) -> Value {
    let (member, values) = match system {
        ShadeSystem::VitaClassical => ("shades", json!(series(guide))),
        ShadeSystem::Vita3dMaster => ("sample_shades", json!(guide.values)),
        _ => ("shades", json!(guide.values)),
    };
    json!({"name": guide.name, "description": guide.description, member: values})
}

/// The values by their hue, the letter that they begin with.
fn series(guide: &Guide) -> BTreeMap<&str, Vec<&str>> {
    let mut series = BTreeMap::<_, Vec<_>>::new();
    for value in guide.values {
        series.entry(&value[..1]).or_default().push(*value);
    }
    series
}
