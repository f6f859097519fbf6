//! The generated Rust files.

use contract::{Contract, Operation, pascal, snake};

use crate::{Kind, Output};

/// Where the operations are.
const OPERATIONS: &str = "shared/src/auth/operation.rs";
/// Where the tests find every function.
const REGISTRY: &str = "tests/harness/registry.rs";

/// The longest line, as in `rustfmt.toml`.
const MAX_WIDTH: usize = 110;

const GENERATED: &str = "Generated from openapi.yaml by `make generate`; do not edit.";

/// The operations that need an access token, with the values of the contract that the code needs.
pub(crate) fn operations(contract: &Contract) -> Output {
    let operations: Vec<&Operation> =
        contract.operations().iter().filter(|operation| !operation.is_public()).collect();
    let lines = |line: &dyn Fn(&Operation) -> String| -> String {
        operations.iter().map(|operation| line(operation)).collect()
    };
    let names = lines(&|of| format!("        {} = {:?},\n", pascal(&of.id), of.id));
    let arms = |value: &dyn Fn(&Operation) -> String| {
        lines(&|of| format!("            Self::{} => {},\n", pascal(&of.id), value(of)))
    };
    let permissions = arms(&|of| format!("Permission::{}", pascal(&of.permission)));
    let routes = arms(&|of| format!("{:?}", format!("{} {}", of.method, of.path)));
    let patient_data = arms(&|of| of.patient_data.to_string());
    let cursors = arms(&|of| of.cursors.to_string());
    let uses = |name: &str| arms(&|of| of.uses.iter().any(|it| it == name).to_string());
    let (files, webhook_keys, webhook_queue) = (uses("files"), uses("webhook_keys"), uses("webhook_queue"));
    let realtime = uses("realtime");
    let public = contract.operations().iter().filter(|operation| operation.is_public());
    let public: String = public
        .map(|of| format!("    ({:?}, {:?}),\n", of.id, format!("{} {}", of.method, of.path)))
        .collect();
    let content = format!(
        "\
//! The operations that need an access token, each with its permission. Together with the permissions of the roles, this is
//! the complete access control. {GENERATED}

use super::Permission;
use crate::{{config::Needs, wire_enum}};

wire_enum! {{
    /// An operation of the contract, by its `operationId`.
    Operation {{
{names}    }}
}}

impl Operation {{
    /// The permission that a caller needs: `x-permission` in the contract.
    pub const fn permission(self) -> Permission {{
        match self {{
{permissions}        }}
    }}

    /// Its method and path for audit records. They are those of the contract and contain nothing from the request.
    pub const fn route(self) -> &'static str {{
        match self {{
{routes}        }}
    }}

    /// Whether it reads or changes patient data, so that a rejected attempt needs an audit record as well:
    /// `x-patient-data` in the contract.
    pub const fn has_patient_data(self) -> bool {{
        match self {{
{patient_data}        }}
    }}

    /// Whether its responses have cursors, so that its function needs the key for them.
    pub const fn has_cursors(self) -> bool {{
        match self {{
{cursors}        }}
    }}

    /// Whether its function works with the bucket of files: `x-uses` in the contract.
    pub const fn uses_files(self) -> bool {{
        match self {{
{files}        }}
    }}

    /// Whether its function encrypts or decrypts the secrets of webhooks: `x-uses` in the contract.
    pub const fn uses_webhook_keys(self) -> bool {{
        match self {{
{webhook_keys}        }}
    }}

    /// Whether its function sends messages to webhooks: `x-uses` in the contract.
    pub const fn uses_webhook_queue(self) -> bool {{
        match self {{
{webhook_queue}        }}
    }}

    /// Whether its function writes to the table of WebSocket connections: `x-uses` in the contract.
    pub const fn uses_realtime(self) -> bool {{
        match self {{
{realtime}        }}
    }}

    /// What its function needs besides the rest of the configuration.
    pub const fn needs(self) -> Needs {{
        Needs {{
            cursor_key: self.has_cursors(),
            files: self.uses_files(),
            webhook_keys: self.uses_webhook_keys(),
            webhook_queue: self.uses_webhook_queue(),
            realtime: self.uses_realtime(),
        }}
    }}
}}

/// The operations that need no access token, for the log: `operationId`, and method and path.
pub(crate) const PUBLIC_OPERATIONS: &[(&str, &str)] = &[
{public}];
"
    );
    Output::whole(OPERATIONS, content)
}

/// The `main.rs` of a function.
pub(crate) fn entry_point(name: &str, kind: &Kind<'_>) -> Output {
    let handler = format!("{}::handler", snake(name));
    let (uses, call) = match kind {
        Kind::Lab(operation) => (
            "shared::{auth::Operation, runtime}",
            format!("runtime::run(Operation::{}, {handler})", pascal(&operation.id)),
        ),
        Kind::Public => ("shared::runtime", format!("runtime::run_public({handler})")),
        Kind::Probe => ("shared::runtime", format!("runtime::run_probe({handler})")),
    };
    let content = format!(
        "\
//! The Lambda entry point. {GENERATED}

use std::process::ExitCode;

use {uses};

fn main() -> ExitCode {{
    {call}
}}
"
    );
    Output::whole(format!("functions/{name}/src/main.rs"), content)
}

/// The `lib.rs` of a new function: a handler that fails until it is written.
pub(crate) fn handler(name: &str, kind: &Kind<'_>, operations: &[&Operation]) -> Output {
    let served: Vec<String> = operations.iter().map(|of| format!("`{} {}`", of.method, of.path)).collect();
    let summary = operations.first().map_or("", |operation| &operation.summary);
    let (uses, parameters) = match kind {
        Kind::Lab(_) => ("\n    lab::LabScope,", "_lab: LabScope, _req: Request"),
        Kind::Public | Kind::Probe => ("", "_req: Request"),
    };
    let content = format!(
        "\
//! {}: {summary}.

use shared::{{
    base::error::Error,
    http::{{self, Request}},{uses}
}};

/// Answers 500 until it is written.
pub async fn handler({parameters}) -> http::Result {{
    Err(Error::internal(\"{name} is not written yet\"))
}}
",
        served.join(", ")
    );
    Output::once(format!("functions/{name}/src/lib.rs"), content)
}

/// The list of all functions, as the tests start them.
pub(crate) fn registry(functions: &[(&str, Kind<'_>)]) -> Output {
    let line = |(name, kind): &(&str, Kind<'_>)| {
        let handler = format!("{}::handler", snake(name));
        let start = match kind {
            Kind::Lab(operation) => format!("start.lab(Operation::{}, {handler})", pascal(&operation.id)),
            Kind::Public => format!("start.public({handler})"),
            Kind::Probe => format!("start.probe({handler})"),
        };
        let line = format!("        ({name:?}, {start}),\n");
        // As rustfmt writes it.
        if line.trim_end().len() <= MAX_WIDTH {
            line
        } else {
            format!("        (\n            {name:?},\n            {start},\n        ),\n")
        }
    };
    let lines: String = functions.iter().map(line).collect();
    let content = format!(
        "\
//! Every function with its handler. {GENERATED}

use std::collections::BTreeMap;

use shared::auth::Operation;

use super::service::{{AnyFunction, Start}};

/// Starts every function.
pub(super) fn functions(start: &Start) -> BTreeMap<&'static str, Box<dyn AnyFunction>> {{
    BTreeMap::from([
{lines}    ])
}}
"
    );
    Output::whole(REGISTRY, content)
}
