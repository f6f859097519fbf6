//! The Lambda entry point.

use std::process::ExitCode;

use shared::{lab::Operation, runtime};

fn main() -> ExitCode {
    runtime::run(Operation::VerifyCaseHistory, verify_case_history::handler)
}
