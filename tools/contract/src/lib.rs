//! The one reader of `openapi.yaml`. The generator, the local gateway, the build scripts and the tests ask it which
//! operations exist, which function serves each, and which operation a request belongs to.

mod names;
mod ordered;
mod route;

use std::{collections::BTreeSet, fmt, fs, path::Path};

use serde::Deserialize;
use serde_json::Value;

use ordered::Ordered;

pub use names::{kebab, pascal, snake};
pub use route::Route;

/// The function that answers every request that belongs to no operation.
pub const FALLBACK: &str = "fallback";

/// The functions that AWS calls for another reason than a request. No operation of the contract names them.
pub const TRIGGERED: [&str; 6] =
    ["deliver-webhooks", "process-streams", "push-changes", "realtime", "scan-results", "verify-histories"];

/// The permission of an operation that needs no login.
const PUBLIC: &str = "public";

/// What the function of an operation can need besides the rest of the configuration.
pub const USES: [&str; 4] = ["files", "webhook_keys", "webhook_queue", "realtime"];

/// The methods that an operation can have, as OpenAPI writes them.
const METHODS: [&str; 6] = ["get", "head", "post", "put", "patch", "delete"];

/// The contract: the operations, and the document that they stand in.
pub struct Contract {
    operations: Vec<Operation>,
    document: Value,
}

/// One operation of the contract.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The `operationId`.
    pub id: String,
    /// The method in capitals, as in a request.
    pub method: String,
    /// The path with its parameters, as in `/api/v1/cases/{id}`.
    pub path: String,
    /// The function that serves it, which is its crate and its folder: `x-function`, or the id with hyphens.
    pub function: String,
    /// `x-permission`: what the caller must be permitted, or `public`.
    pub permission: String,
    /// `x-patient-data`, true if not given: the operation is about patients, so that a refused attempt is recorded too.
    pub patient_data: bool,
    /// `x-uses`: what the function needs besides the rest, of [`USES`].
    pub uses: Vec<String>,
    /// Whether a response has a cursor for the next one: the member `next_cursor` or the header `X-Next-Cursor`.
    pub cursors: bool,
    /// The summary.
    pub summary: String,
}

impl Operation {
    /// Whether anybody may call it, without a token.
    pub fn is_public(&self) -> bool {
        self.permission == PUBLIC
    }

    /// The names of the path's parameters, in order.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.path.split('/').filter_map(route::parameter)
    }
}

/// Why the contract cannot be read. The text names the file or the operation.
#[derive(Debug)]
pub struct Error(String);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Contract {
    /// Reads the file.
    ///
    /// # Errors
    /// No such file; not YAML; an operation without `operationId` or `x-permission`.
    pub fn read(file: &Path) -> Result<Self, Error> {
        let fail = |error: &dyn fmt::Display| Error(format!("{}: {error}", file.display()));
        let text = fs::read_to_string(file).map_err(|error| fail(&error))?;
        Self::parse(&text).map_err(|error| fail(&error))
    }

    /// Reads the text of the contract.
    ///
    /// # Errors
    /// Not YAML; an operation without `operationId` or `x-permission`, or with an unknown `x-uses`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        /// The paths a second time, in the order of the file.
        #[derive(Deserialize)]
        struct Paths {
            paths: Ordered<Ordered<Value>>,
        }

        let document = parse_yaml(text)?;
        let Paths { paths } = yaml(text)?;
        let mut operations = Vec::new();
        for (path, item) in &paths.0 {
            for (method, operation) in &item.0 {
                if METHODS.contains(&method.as_str()) {
                    operations.push(operation_of(method, path, operation, &document)?);
                }
            }
        }
        Ok(Self { operations, document })
    }

    /// Every operation, in the order of the file. The gateway's `$default` route is not an operation.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The paths that have an operation, in the order of the file.
    pub fn paths(&self) -> Vec<&str> {
        let mut paths: Vec<&str> = self.operations.iter().map(|operation| operation.path.as_str()).collect();
        // The operations of a path stand together.
        paths.dedup();
        paths
    }

    /// The functions with the operations that each serves, in the order of the file. `fallback` serves none.
    pub fn functions(&self) -> Vec<(&str, Vec<&Operation>)> {
        let mut functions: Vec<(&str, Vec<&Operation>)> = Vec::new();
        for operation in &self.operations {
            match functions.iter_mut().find(|(name, _)| *name == operation.function) {
                Some((_, operations)) => operations.push(operation),
                None => functions.push((&operation.function, vec![operation])),
            }
        }
        functions
    }

    /// The whole document.
    pub fn document(&self) -> &Value {
        &self.document
    }

    /// What the document says of an operation.
    pub fn details(&self, operation: &Operation) -> &Value {
        &self.document["paths"][&operation.path][operation.method.to_lowercase()]
    }
}

/// Reads YAML 1.2, so that a plain `yes` or `on` is the string that OpenAPI takes it for.
///
/// # Errors
/// Not YAML, or a repeated key.
pub fn parse_yaml(text: &str) -> Result<Value, Error> {
    yaml(text)
}

fn yaml<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, Error> {
    serde_saphyr::from_str_with_options(text, serde_saphyr::options! { strict_booleans: true })
        .map_err(|error| Error(error.to_string()))
}

fn operation_of(method: &str, path: &str, operation: &Value, document: &Value) -> Result<Operation, Error> {
    let text = |name: &str| operation[name].as_str().map(str::to_owned);
    let needed = |name: &str| text(name).ok_or_else(|| Error(format!("{method} {path} has no {name}")));
    let id = needed("operationId")?;
    let uses: Vec<String> = operation["x-uses"]
        .as_array()
        .map(|uses| uses.iter().map(|it| it.as_str().unwrap_or_default().to_owned()).collect())
        .unwrap_or_default();
    if let Some(unknown) = uses.iter().find(|it| !USES.contains(&it.as_str())) {
        return Err(Error(format!("{method} {path} uses {unknown}, which is not known")));
    }
    let function = text("x-function").unwrap_or_else(|| kebab(&id));
    Ok(Operation {
        function,
        method: method.to_uppercase(),
        path: path.to_owned(),
        permission: needed("x-permission")?,
        patient_data: operation["x-patient-data"].as_bool().unwrap_or(true),
        uses,
        cursors: names_cursor(document, &operation["responses"], &mut BTreeSet::new()),
        summary: text("summary").unwrap_or_default(),
        id,
    })
}

/// The schema of errors. It has a cursor for the one operation whose readers can be told to start again, which has others as well.
const PROBLEM: &str = "#/components/schemas/Problem";

/// Whether the value, or what it refers to, has a member for a cursor. Errors do not count. `seen` are the references that were
/// followed already.
fn names_cursor(document: &Value, value: &Value, seen: &mut BTreeSet<String>) -> bool {
    match value {
        Value::Array(values) => values.iter().any(|value| names_cursor(document, value, seen)),
        Value::Object(members) => members.iter().any(|(name, value)| match value.as_str() {
            Some(reference) if name == "$ref" => {
                let target = reference.strip_prefix('#').and_then(|path| document.pointer(path));
                reference != PROBLEM
                    && seen.insert(reference.to_owned())
                    && target.is_some_and(|target| names_cursor(document, target, seen))
            }
            _ => name == "next_cursor" || name == "X-Next-Cursor" || names_cursor(document, value, seen),
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
