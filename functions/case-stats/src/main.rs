//! The Lambda entry point.

use std::process::ExitCode;

use shared::{lab::Operation, runtime};

fn main() -> ExitCode {
    runtime::run(Operation::CaseStats, case_stats::handler)
}
