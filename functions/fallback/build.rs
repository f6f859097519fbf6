//! Takes the paths and methods of `openapi.yaml` into the binary, so that the fallback knows what exists.

use std::{env, error::Error, fs, path::Path};

use serde_json::Value;

const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];

fn main() -> Result<(), Box<dyn Error>> {
    let spec = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.yaml");
    println!("cargo:rerun-if-changed={}", spec.display());
    let spec: Value = serde_saphyr::from_str(&fs::read_to_string(spec)?)?;
    let paths = spec["paths"].as_object().ok_or("openapi.yaml has no paths")?;
    let mut routes = String::from("&[\n");
    for (path, operations) in paths {
        let methods: Vec<String> = METHODS
            .iter()
            .filter(|method| operations.get(**method).is_some())
            .map(|method| method.to_uppercase())
            .collect();
        if !methods.is_empty() {
            routes += &format!("    ({path:?}, {:?}),\n", methods.join(", "));
        }
    }
    routes += "]\n";
    #[allow(clippy::disallowed_methods, reason = "cargo's own variable, at build time")]
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("routes.rs"), routes)?;
    Ok(())
}
