//! `make check-data`, `repair`, `import`, `export-lab`, `destroy-lab` and `begin-epoch`. The parameters are variables of the environment, which make passes on: the
//! arguments of a process can be seen by other users of the machine, and a source may have a password.

use std::{collections::BTreeMap, env, path::Path, process::ExitCode, time::Duration};

use lab_data::{begin_epoch, destroy, export, import, repair};
use shared::{
    base::{LabId, time::Timestamp},
    case::{begin_epoch::RestoreFacts, repair::Mode},
    config::{Env, ImportConfig, LabDataConfig, TableConfig, VerificationConfig},
};

const USAGE: &str = "usage: lab-data check|repair|import|export|destroy|begin-epoch";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let done = match env::args().nth(1).as_deref() {
        Some("check") => check(Mode::DryRun).await,
        Some("repair") => check(mode()).await,
        Some("import") => import().await,
        Some("export") => export().await,
        Some("destroy") => destroy().await,
        Some("begin-epoch") => begin_epoch().await,
        _ => Err(USAGE.to_owned()),
    };
    done.unwrap_or_else(|error| {
        eprintln!("lab-data: {error}");
        ExitCode::from(2)
    })
}

fn mode() -> Mode {
    if variable("DRY_RUN").is_some() { Mode::DryRun } else { Mode::Write }
}

#[allow(clippy::disallowed_methods, reason = "these are the parameters of make, no configuration")]
fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

fn number(name: &str) -> Result<Option<u64>, String> {
    let number = variable(name).map(|number| number.parse());
    number.transpose().map_err(|_| format!("{name} must be a whole number"))
}

fn lab_id() -> Result<LabId, String> {
    let lab = variable("LAB").and_then(|lab| LabId::parse(&lab));
    lab.ok_or_else(|| "LAB must be the id of a lab, such as LAB=123".to_owned())
}

fn show(line: String) {
    eprintln!("lab-data: {line}");
}

/// Fails if a fault is left.
async fn check(mode: Mode) -> Result<ExitCode, String> {
    let lab = lab_id()?;
    let config = VerificationConfig::read(Env::process()).map_err(|error| error.to_string())?;
    let report = repair::run(&config, lab, mode, show).await?;
    print!("{}", repair::text(&report, mode));
    let left = if mode == Mode::Write { report.unmended() } else { report.faults.len() };
    Ok(if left == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn import() -> Result<ExitCode, String> {
    let source = variable("SOURCE").ok_or("SOURCE must be a file or the URL of a database")?;
    if Path::new(&source).is_dir() {
        return import_folder(Path::new(&source)).await;
    }
    let options = import::Options {
        source: import::Source::parse(&source)?,
        config: ImportConfig::read(Env::process()).map_err(|error| error.to_string())?,
        mode: mode(),
        lab_codes: lab_codes()?,
    };
    let report = import::run(&options, show).await;
    let report = report.map_err(|error| format!("{error}\nRun it again: it goes on where it stopped."))?;
    print!("{}", report.text());
    if options.mode == Mode::DryRun {
        println!("This was a dry run: nothing was written.");
    }
    if !report.set_aside.is_empty() {
        let path = variable("SET_ASIDE").unwrap_or_else(|| "import-set-aside.ndjson".to_owned());
        report.write_set_aside(Path::new(&path))?;
        println!("What was set aside, and why, is in {path}.");
    }
    Ok(ExitCode::SUCCESS)
}

fn lab_data_config() -> Result<LabDataConfig, String> {
    LabDataConfig::read(Env::process()).map_err(|error| error.to_string())
}

async fn import_folder(folder: &Path) -> Result<ExitCode, String> {
    let (manifest, missing) = import::folder::run(&lab_data_config()?, folder, mode(), show).await?;
    let verb = if mode() == Mode::Write { "were" } else { "would be" };
    print!("{}", manifest.text());
    println!("{missing} of these items {verb} written; the others were there already.");
    Ok(ExitCode::SUCCESS)
}

async fn export() -> Result<ExitCode, String> {
    let folder = variable("TO").ok_or("TO must be the name of a new folder")?;
    let manifest = export::run(&lab_data_config()?, lab_id()?, Path::new(&folder)).await?;
    print!("{}", manifest.text());
    Ok(ExitCode::SUCCESS)
}

/// Without `CONFIRM` it prints the plan only.
async fn destroy() -> Result<ExitCode, String> {
    let (config, lab) = (lab_data_config()?, lab_id()?);
    let Some(code) = variable("CONFIRM") else {
        let (manifest, code) = destroy::plan(&config, lab).await?;
        print!("{}", manifest.text());
        println!(
            "CONFIRM={code} BY=name destroys all of this data of lab {lab} for ever. Nothing was changed."
        );
        return Ok(ExitCode::SUCCESS);
    };
    let by = variable("BY").ok_or("BY must be the name of the person who confirms the plan")?;
    let path = variable("CERTIFICATE").unwrap_or_else(|| format!("lab-{lab}-destroyed.json"));
    let certificate = destroy::run(&config, lab, &code, &by, Path::new(&path)).await?;
    print!("{}", certificate.destroyed.text());
    println!("The data of lab {lab} is destroyed. The certificate is {path}.");
    Ok(ExitCode::SUCCESS)
}

async fn begin_epoch() -> Result<ExitCode, String> {
    let restored_to = variable("RESTORED_TO").and_then(|time| Timestamp::parse(&time));
    let restored_to = restored_to
        .filter(|time| *time < Timestamp::now())
        .ok_or("RESTORED_TO must be the time of the restore, such as 2026-11-24T09:00:00Z")?;
    let table = TableConfig::alone(Env::process()).map_err(|error| error.to_string())?;
    let facts = RestoreFacts {
        former: variable("FROM").map(|name| TableConfig { name, ..table.clone() }),
        table,
        restored_to,
        margin: number("MARGIN_SECONDS")?.map_or(RestoreFacts::MARGIN, Duration::from_secs),
        spare_ids: number("SPARE_IDS")?.unwrap_or(RestoreFacts::SPARE_IDS),
    };
    let labs = begin_epoch::run(&facts).await?;
    print!("{}", begin_epoch::text(&labs));
    print!("{}", begin_epoch::commands(&facts.table.name));
    Ok(ExitCode::SUCCESS)
}

/// Reads `LAB_CODES`, such as `123=RIVERSIDE,456=HILLTOP`.
fn lab_codes() -> Result<BTreeMap<LabId, String>, String> {
    let text = variable("LAB_CODES").unwrap_or_default();
    let pairs = text.split(',').map(str::trim).filter(|pair| !pair.is_empty());
    let code = |pair: &str| {
        let (lab, code) = pair.split_once('=')?;
        Some((LabId::parse(lab.trim())?, code.trim().to_owned()))
    };
    let codes =
        pairs.map(|pair| code(pair).ok_or("LAB_CODES must be like 123=RIVERSIDE,456=HILLTOP".to_owned()));
    codes.collect()
}
