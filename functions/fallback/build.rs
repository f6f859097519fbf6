//! Takes the paths and methods of `openapi.yaml` into the binary, so that the fallback knows what exists.

use std::{env, error::Error, fs, path::Path};

use contract::Contract;

fn main() -> Result<(), Box<dyn Error>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../openapi.yaml");
    println!("cargo:rerun-if-changed={}", file.display());
    let contract = Contract::read(&file)?;
    let mut routes = String::from("&[\n");
    for path in contract.paths() {
        routes += &format!("    ({path:?}, {:?}),\n", contract.methods(path).join(", "));
    }
    routes += "]\n";
    #[allow(clippy::disallowed_methods, reason = "cargo's own variable, at build time")]
    let out = env::var("OUT_DIR")?;
    fs::write(Path::new(&out).join("routes.rs"), routes)?;
    Ok(())
}
