//! The Lambda entry point.

use std::process::ExitCode;

use shared::{auth::Operation, runtime};

fn main() -> ExitCode {
    runtime::run(Operation::CaseChanges, case_changes::handler)
}
