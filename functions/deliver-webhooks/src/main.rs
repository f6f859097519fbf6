//! The Lambda entry point.

use std::process::ExitCode;

use shared::runtime;

fn main() -> ExitCode {
    runtime::run_deliveries(deliver_webhooks::handler)
}
