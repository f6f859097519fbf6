//! The Lambda entry point.

use std::process::ExitCode;

use shared::{lab::Operation, runtime};

fn main() -> ExitCode {
    runtime::run(Operation::BulkUpdateStatus, bulk_update_status::handler)
}
