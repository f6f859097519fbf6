//! The Lambda entry point.

use std::process::ExitCode;

use shared::{runtime, auth::Operation};

fn main() -> ExitCode {
    runtime::run(Operation::PatchCase, patch_case::handler)
}
