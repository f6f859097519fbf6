//! The Lambda entry point. Generated from openapi.yaml by `make generate`; do not edit.

use std::process::ExitCode;

use shared::{auth::Operation, runtime};

fn main() -> ExitCode {
    runtime::run(Operation::CreateRealtimeTicket, create_realtime_ticket::handler)
}
