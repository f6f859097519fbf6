//! A function whose handler panics, for the drill of the alarms (`make rehearse-alarms`). No function of the service panics by a
//! request that is known.

use std::process::ExitCode;

use shared::{
    auth::Operation,
    http::{self, Request},
    lab::LabScope,
    runtime,
};

fn main() -> ExitCode {
    runtime::run(Operation::GetCase, handler)
}

async fn handler(_: LabScope, _: Request) -> http::Result {
    panic!("the drill of the alarms")
}
