//! What each material is good for, by the kind of work.

use serde::{Serialize, Serializer};
use shared::case::catalog::{
    CatalogEntry,
    material::{DentureMaterial, FixedProstheticMaterial, Material, NightGuardMaterial},
};

#[derive(Serialize)]
pub(crate) struct Materials {
    api_version: &'static str,
    materials: Groups,
}

#[derive(Serialize)]
struct Groups {
    crown_bridge: Group,
    denture_base: Group,
    night_guard: Group,
}

/// The answer of `GET /api/v1/cases/materials`.
pub(crate) fn list() -> Materials {
    let materials = Groups {
        crown_bridge: group::<FixedProstheticMaterial>(),
        denture_base: group::<DentureMaterial>(),
        night_guard: group::<NightGuardMaterial>(),
    };
    Materials { api_version: "1.0", materials }
}

/// Materials by their names: an object in the order of the catalogue.
struct Group(Vec<(&'static str, &'static Material)>);

impl Serialize for Group {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

fn group<T: CatalogEntry<Entry = Material>>() -> Group {
    Group(T::ALL.iter().map(|material| (material.as_str(), material.entry())).collect())
}
