//! The Lambda entry point.

use std::process::ExitCode;

use shared::{lab::Operation, runtime};

fn main() -> ExitCode {
    runtime::run(Operation::GetDoctor, get_doctor::handler)
}
