//! The layers of `shared`: each imports only those before it. `shared/src/lib.rs` lists them in their order.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::harness::spec::root;

/// A source file of `shared`: its path below `src`, and its text without tests.
struct Source {
    path: String,
    text: String,
}

#[test]
fn no_layer_of_shared_imports_a_later_one() {
    let layers = layers();
    let sources = sources(&root().join("shared/src"));
    assert!(sources.len() > 60, "{} files are read", sources.len());
    assert_eq!(upward_imports(&layers, &sources), [""; 0]);
    let modules = sources.iter().map(|source| layer_of(&source.path));
    let unlisted: Vec<&str> =
        modules.filter(|module| *module != "lib" && !layers.iter().any(|layer| layer == module)).collect();
    assert_eq!(unlisted, [""; 0], "shared/src/lib.rs does not list these layers");
}

#[test]
fn an_import_of_a_later_layer_is_reported_with_both_files() {
    let layers = ["base", "http", "case"].map(str::to_owned);
    let source = |path: &str, text: &str| Source { path: path.to_owned(), text: text.to_owned() };
    let sources = [
        source("base/error.rs", "use crate::{\n    base::ids::CaseId,\n    http::{self, Response},\n};\n"),
        source(
            "http/mod.rs",
            "use crate::base::error::Error;\nfn f() -> crate::case::model::Case { todo() }\n",
        ),
        source(
            "case/mod.rs",
            "pub use crate::{base::error::Error, http::Request};\n// crate::lab is only a comment\n",
        ),
        source("case/model.rs", ""),
    ];
    assert_eq!(
        upward_imports(&layers, &sources),
        [
            "base/error.rs (layer base) imports http/mod.rs (layer http)",
            "http/mod.rs (layer http) imports case/model.rs (layer case)",
        ]
    );
}

/// The layers in their order, as the list in `shared/src/lib.rs` has them.
fn layers() -> Vec<String> {
    let text = fs::read_to_string(root().join("shared/src/lib.rs")).unwrap();
    let entries = text.lines().filter_map(|line| {
        let (number, entry) = line.strip_prefix("//! ")?.split_once(". ")?;
        number.parse::<u8>().ok()?;
        Some(
            entry.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| !word.is_empty())?.to_owned(),
        )
    });
    entries.collect()
}

fn sources(folder: &Path) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut folders: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                folders.push(path);
            } else if name.ends_with(".rs") && !name.ends_with("tests.rs") {
                let text = fs::read_to_string(&path).unwrap();
                let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap().to_owned();
                let path = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                sources.push(Source { path, text });
            }
        }
    }
    sources.sort_by(|one, other| one.path.cmp(&other.path));
    sources
}

fn layer_of(path: &str) -> &str {
    path.split('/').next().unwrap().trim_end_matches(".rs")
}

/// Each import of a later layer, with the file that has it and the file that it imports.
fn upward_imports(layers: &[String], sources: &[Source]) -> Vec<String> {
    let rank = |layer: &str| layers.iter().position(|known| known == layer);
    let mut found = Vec::new();
    for source in sources {
        let from = layer_of(&source.path);
        for import in imports(&source.text) {
            let to = import.split("::").next().unwrap();
            if rank(from).zip(rank(to)).is_some_and(|(from, to)| to > from) {
                let file = file_of(&import, sources);
                found.push(format!("{} (layer {from}) imports {file} (layer {to})", source.path));
            }
        }
    }
    // A use tree may name several things of one file.
    found.dedup();
    found
}

/// The file of an imported path: the longest part of it that is a module.
fn file_of(import: &str, sources: &[Source]) -> String {
    let parts: Vec<&str> = import.split("::").collect();
    let candidates = (1..=parts.len()).rev().flat_map(|length| {
        let module = parts[..length].join("/");
        [format!("{module}.rs"), format!("{module}/mod.rs")]
    });
    let is_there = |path: &String| sources.iter().any(|source| source.path == *path);
    candidates.into_iter().find(is_there).unwrap_or_else(|| import.to_owned())
}

/// Every path below `crate::` that the text names, in `use` trees and elsewhere.
fn imports(text: &str) -> Vec<String> {
    let code: String = text.lines().map(|line| line.split("//").next().unwrap().to_owned() + "\n").collect();
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        expand("", rest, &mut paths);
    }
    paths
}

/// Adds the paths of the use tree that `tree` begins with, behind `prefix`; returns where the tree ends.
fn expand(prefix: &str, tree: &str, paths: &mut Vec<String>) -> usize {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let name_end = tree.find(|c: char| !is_name(c)).unwrap_or(tree.len());
    let path = format!("{prefix}{}", &tree[..name_end]);
    let rest = &tree[name_end..];
    if let Some(inner) = rest.strip_prefix("::") {
        return name_end + 2 + expand(&format!("{path}::"), inner, paths);
    }
    let Some(inner) = rest.strip_prefix('{').filter(|_| name_end == 0) else {
        paths.push(path);
        return name_end;
    };
    let mut at = 0;
    loop {
        at += inner[at..].len() - inner[at..].trim_start_matches([',', ' ', '\n']).len();
        if inner[at..].starts_with('}') || inner[at..].is_empty() {
            return 1 + at + 1;
        }
        let used = expand(prefix, &inner[at..], paths);
        if used == 0 {
            return 1 + at;
        }
        at += used;
    }
}
