//! `GET /api/v1/cases/types`, `…/shades` and `…/materials`: what a lab can be asked to make, and of what. Public.

mod shades;
mod types;

use shared::{
    error::Error,
    http::{self, Request},
};

/// What each material is good for, by the kind of work.
const MATERIALS: &str = include_str!("materials.json");

/// Answers 200 with the list that the path names.
pub async fn handler(req: Request) -> http::Result {
    match http::raw_path(&req).trim_end_matches('/') {
        "/api/v1/cases/types" => http::catalogue(types::list().to_string()),
        "/api/v1/cases/shades" => http::catalogue(shades::list().to_string()),
        "/api/v1/cases/materials" => http::catalogue(MATERIALS),
        _ => Err(Error::not_found()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::{
        case::details::{DentureMaterial, FixedProstheticMaterial, NightGuardMaterial},
        validate::Choice,
    };

    fn names<T: Choice>() -> Vec<&'static str> {
        T::ALL.iter().map(|choice| choice.as_str()).collect()
    }

    #[test]
    fn every_material_that_a_case_can_have_is_described() {
        let described: Value = serde_json::from_str(super::MATERIALS).unwrap();
        for (group, materials) in [
            ("crown_bridge", names::<FixedProstheticMaterial>()),
            ("denture_base", names::<DentureMaterial>()),
            ("night_guard", names::<NightGuardMaterial>()),
        ] {
            let mut materials = materials;
            materials.sort_unstable();
            let mut found: Vec<&String> = described["materials"][group].as_object().unwrap().keys().collect();
            found.sort_unstable();
            assert_eq!(found, materials, "{group}");
        }
    }
}
