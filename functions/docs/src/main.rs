//! The Lambda entry point. Generated from openapi.yaml by `make generate`; do not edit.

use std::process::ExitCode;

use shared::runtime;

fn main() -> ExitCode {
    runtime::run_public(docs::handler)
}
