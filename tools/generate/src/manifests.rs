//! The generated lines of the manifests.

use std::{collections::BTreeMap, path::Path};

use contract::{Contract, FALLBACK};

use crate::{Kind, Output, Result};

/// The methods that `cargo lambda watch` knows.
const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// The routes of `cargo lambda watch`: for each path its functions, and a line that sends every other method to `fallback`.
/// A line without methods would win over the others of its path, so that this one names them.
pub(crate) fn router(root: &Path, contract: &Contract) -> Result<Output> {
    let mut lines = String::new();
    for path in contract.paths() {
        let mut functions = BTreeMap::<&str, Vec<&str>>::new();
        for operation in contract.operations().iter().filter(|operation| operation.path == path) {
            functions.entry(&operation.function).or_default().push(&operation.method);
        }
        let served: Vec<&str> = functions.values().flatten().copied().collect();
        let mut rows: Vec<(&str, Vec<&str>)> = functions.into_iter().collect();
        rows.sort_by_key(|(_, methods)| METHODS.iter().position(|method| method == &methods[0]));
        rows.push((FALLBACK, METHODS.into_iter().filter(|method| !served.contains(method)).collect()));
        for (function, methods) in rows {
            lines += &format!("  {{ path = {path:?}, methods = {methods:?}, function = {function:?} }},\n");
        }
    }
    Output::part(root, "Cargo.toml", "routes", &lines)
}

/// The functions among the dependencies of the tests.
pub(crate) fn test_dependencies(root: &Path, functions: &[(&str, Kind<'_>)]) -> Result<Output> {
    let line = |(name, _): &(&str, Kind<'_>)| format!("{name} = {{ path = \"../functions/{name}\" }}\n");
    let lines: String = functions.iter().map(line).collect();
    Output::part(root, "tests/Cargo.toml", "functions", &lines)
}

/// The manifest of a new function.
pub(crate) fn of_function(name: &str) -> Output {
    let content = format!(
        "\
[package]
name = \"{name}\"
version.workspace = true
edition.workspace = true
rust-version.workspace = true
license.workspace = true
publish.workspace = true

[lib]
doctest = false
test = false

[[bin]]
name = \"{name}\"
path = \"src/main.rs\"
test = false

[dependencies]
shared.workspace = true

[lints]
workspace = true
"
    );
    Output::once(format!("functions/{name}/Cargo.toml"), content)
}
