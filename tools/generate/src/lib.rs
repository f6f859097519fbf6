//! What follows from `openapi.yaml`: the gateway's definition, the operations with their permissions, the functions'
//! entry points, the routes of `cargo lambda watch`, the tests' registry, and a table in the documents.

mod documents;
mod events;
mod gateway;
mod manifests;
mod rust;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use contract::{Contract, Operation};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The function that is given a probe of what the service needs, instead of nothing or a lab.
const PROBE: &str = "health";

/// A file of the project that is generated, as a whole or in part.
pub struct Output {
    /// Its path from the root of the project.
    pub path: String,
    /// What the whole file should be.
    pub content: String,
    /// Whether the file is only a start: it is written once, and then belongs to whoever edits it.
    pub once: bool,
}

impl Output {
    fn whole(path: impl Into<String>, content: String) -> Self {
        Self { path: path.into(), content, once: false }
    }

    fn once(path: impl Into<String>, content: String) -> Self {
        Self { path: path.into(), content, once: true }
    }

    /// A part of a file: the lines between `generated NAME: begin` and `generated NAME: end`.
    fn part(root: &Path, path: &str, name: &str, lines: &str) -> Result<Self> {
        let text = fs::read_to_string(root.join(path)).map_err(|error| format!("{path}: {error}"))?;
        let content = replaced(&text, name, lines).ok_or_else(|| {
            format!("{path} needs a line with `generated {name}: begin` and one with `generated {name}: end`")
        })?;
        Ok(Self::whole(path, content))
    }
}

/// The text with other lines between two markers.
fn replaced(text: &str, name: &str, lines: &str) -> Option<String> {
    let (begin, end) = (format!("generated {name}: begin"), format!("generated {name}: end"));
    let start = text.find(&begin)?;
    let start = start + text[start..].find('\n')? + 1;
    let end = start + text[start..].find(&end)?;
    // The line of the marker begins where its comment begins.
    let end = text[..end].rfind('\n')? + 1;
    Some(format!("{}{lines}{}", &text[..start], &text[end..]))
}

/// How a function is started.
enum Kind<'a> {
    /// Behind a login, with the one operation that it serves.
    Lab(&'a Operation),
    /// Anybody may call it.
    Public,
    /// Anybody may call it, and it is given the probe.
    Probe,
}

/// Every function with the way in which it is started, by name.
fn functions(contract: &Contract) -> Result<Vec<(&str, Kind<'_>)>> {
    let mut functions = vec![(contract::FALLBACK, Kind::Public)];
    for (name, operations) in contract.functions() {
        let kind = match operations[..] {
            [only] if !only.is_public() => Kind::Lab(only),
            _ if operations.iter().all(|operation| operation.is_public()) => {
                if name == PROBE {
                    Kind::Probe
                } else {
                    Kind::Public
                }
            }
            // Its permission is bound where it starts.
            _ => {
                return Err(
                    format!("{name} must serve one operation, because one of them needs a login").into()
                );
            }
        };
        functions.push((name, kind));
    }
    functions.sort_unstable_by_key(|(name, _)| *name);
    Ok(functions)
}

/// Every generated file.
///
/// # Errors
/// The contract cannot be read, or it asks for what cannot be generated; a file lacks its markers.
pub fn outputs(root: &Path) -> Result<Vec<Output>> {
    let contract = Contract::read(&root.join("openapi.yaml"))?;
    let functions = functions(&contract)?;
    let mut outputs = vec![
        gateway::definition(&contract)?,
        rust::operations(&contract),
        manifests::router(root, &contract)?,
        manifests::test_dependencies(root, &functions)?,
        rust::registry(&functions),
        documents::operations(root, &contract)?,
    ];
    let served = contract.functions();
    for (name, kind) in &functions {
        let operations = served.iter().find(|(other, _)| other == name).map_or(&[][..], |(_, of)| of);
        outputs.push(manifests::of_function(name));
        outputs.push(rust::entry_point(name, kind));
        outputs.push(rust::handler(name, kind, operations));
        if let [first, ..] = operations {
            outputs.push(events::of_function(&contract, name, first)?);
        }
    }
    Ok(outputs)
}

/// Whether the file is as it should be.
pub fn is_current(root: &Path, output: &Output) -> bool {
    match fs::read_to_string(root.join(&output.path)) {
        Ok(text) => output.once || text == output.content,
        Err(_) => false,
    }
}

/// Writes the file, and the folder that it is in.
///
/// # Errors
/// The file system says no.
pub fn write(root: &Path, output: &Output) -> io::Result<()> {
    let file = root.join(&output.path);
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(file, &output.content)
}

/// The root of the project.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_lines_between_the_markers_are_replaced() {
        let text = "a\n  # generated x: begin (make generate)\nold\n  # generated x: end\nb\n";
        let expected = "a\n  # generated x: begin (make generate)\nnew\n  # generated x: end\nb\n";
        assert_eq!(replaced(text, "x", "new\n").as_deref(), Some(expected));
        assert_eq!(replaced(expected, "x", "new\n").as_deref(), Some(expected));
        assert_eq!(replaced(text, "y", "new\n"), None);
    }

    #[test]
    fn a_function_behind_a_login_serves_one_operation() {
        let text = "
paths:
  /a: {get: {operationId: getA, x-permission: read}}
  /b: {get: {operationId: getB, x-permission: PERMISSION, x-function: get-a}}
";
        for permission in ["read", "public"] {
            let contract = Contract::parse(&text.replace("PERMISSION", permission)).unwrap();
            let error = functions(&contract).err().unwrap().to_string();
            assert_eq!(error, "get-a must serve one operation, because one of them needs a login");
        }
    }
}
