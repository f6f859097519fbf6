//! The Lambda entry point.

use std::process::ExitCode;

use shared::runtime;

fn main() -> ExitCode {
    runtime::run_socket(realtime::handler)
}
