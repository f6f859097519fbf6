//! Checks the documents against the code: permissions, and the tests that they name as evidence.

use std::fs;

use shared::{
    auth::{ATTRIBUTES, BREAK_GLASS, Operation, Permission, ROLES},
    base::wire_enum::WireEnum,
};

use crate::harness::spec::root;

fn document(name: &str) -> String {
    fs::read_to_string(root().join("docs").join(name)).unwrap()
}

/// What each permission is given to, as docs/security.md shows it.
fn permission_table() -> String {
    let roles: Vec<&str> = ROLES.iter().map(|(role, _)| *role).collect();
    let mut table = format!("| permission | {} | UMS attribute | break-glass |\n", roles.join(" | "));
    table += &format!("|{}\n", "---|".repeat(roles.len() + 3));
    let mark = |granted: &[Permission], permission| if granted.contains(&permission) { "yes" } else { "" };
    let admin = ROLES.iter().find(|(role, _)| *role == "admin").expect("the role that may do everything");
    for &permission in admin.1 {
        let roles: Vec<&str> = ROLES.iter().map(|(_, granted)| mark(granted, permission)).collect();
        let attributes = ATTRIBUTES.iter().filter(|(_, granted)| granted.contains(&permission));
        let attributes: Vec<String> = attributes.map(|(name, _)| format!("`{name}`")).collect();
        table += &format!(
            "| {} | {} | {} | {} |\n",
            permission.as_str(),
            roles.join(" | "),
            attributes.join(", "),
            mark(BREAK_GLASS, permission),
        );
    }
    table
}

/// Which permission each operation needs, as docs/security.md shows it.
fn operation_table() -> String {
    let mut table = "| operation | method and path | permission |\n|---|---|---|\n".to_owned();
    for operation in Operation::ALL {
        let (name, route) = (operation.as_str(), operation.route());
        table += &format!("| {name} | `{route}` | {} |\n", operation.permission().as_str());
    }
    table
}

#[test]
fn the_permissions_in_the_documents_are_those_of_the_code() {
    for table in [permission_table(), operation_table()] {
        assert!(document("security.md").contains(&table), "docs/security.md should have:\n{table}");
    }
}

/// The names of all tests below a folder.
fn tests_below(folder: &str, names: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let name = format!("{folder}/{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            tests_below(&name, names);
        } else if name.ends_with(".rs") || name.ends_with(".py") {
            let text = fs::read_to_string(root().join(&name)).unwrap();
            let functions = text.lines().filter_map(|line| {
                let line = line.trim_start();
                let rest = ["async fn ", "fn ", "def "].iter().find_map(|start| line.strip_prefix(start))?;
                rest.split_once('(').map(|(name, _)| name.to_owned())
            });
            names.extend(functions);
        }
    }
}

#[test]
fn every_test_that_the_documents_name_as_evidence_exists() {
    let mut tests = Vec::new();
    for folder in ["shared/src", "functions", "local/src", "tests", "tools"] {
        if root().join(folder).is_dir() {
            tests_below(folder, &mut tests);
        }
    }
    for name in ["security.md", "hipaa.md"] {
        let text = document(name);
        // A test name is a sentence: nothing else between backticks has so many underscores and no capitals.
        let is_test = |word: &&str| {
            word.matches('_').count() >= 3
                && word.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        let named: Vec<&str> = text.split('`').skip(1).step_by(2).filter(is_test).collect();
        assert!(named.len() > 15, "{name} names {} tests", named.len());
        for test in named {
            assert!(tests.iter().any(|known| known == test), "{name} names {test}, which is no test");
        }
    }
}
