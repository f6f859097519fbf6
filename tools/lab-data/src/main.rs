//! `make check-data` and `make repair`.

use std::{env, process::ExitCode};

use lab_data::repair;
use shared::{
    base::LabId,
    case::repair::Mode,
    config::{Env, VerificationConfig},
};

const USAGE: &str = "usage: lab-data check|repair LAB";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["check", lab] => check(lab, Mode::DryRun).await,
        ["repair", lab] => check(lab, Mode::Write).await,
        _ => Err(USAGE.to_owned()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("lab-data: {error}");
        ExitCode::from(2)
    })
}

fn lab_id(text: &str) -> Result<LabId, String> {
    LabId::parse(text).ok_or_else(|| "LAB must be the id of a lab, such as 123".to_owned())
}

/// Fails if a fault is left.
async fn check(lab: &str, mode: Mode) -> Result<ExitCode, String> {
    let lab = lab_id(lab)?;
    let config = VerificationConfig::read(Env::process()).map_err(|error| error.to_string())?;
    let report = repair::run(&config, lab, mode, |line| eprintln!("lab-data: {line}")).await?;
    print!("{}", repair::text(&report, mode));
    let left = if mode == Mode::Write { report.unmended() } else { report.faults.len() };
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
