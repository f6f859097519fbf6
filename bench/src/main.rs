//! The benchmark: measures the real release binaries. It is the Lambda service for them (the Runtime API), and gives them
//! an embedded DynamoDB, UMS and LinksHub in another process. docs/performance.md says what is measured and how.

mod budgets;
mod callgrind;
mod calls;
mod chart;
mod cold;
mod cost;
mod functions;
mod harness;
mod labs;
mod lambda;
mod load;
mod machine;
mod operation;
mod report;
mod run;
mod scale;
mod sizes;
mod slow_network;
mod soak;
mod stack;
mod usage;

use std::{
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use local::{Error, Result};
use operation::Operation;
use run::{Bench, Extent};
use tokio::signal::unix::{SignalKind, signal};

const USAGE: &str = "\
usage (the Makefile has the usual calls):
  lhcms-bench run|count RELEASE_FOLDER DEBUG_FOLDER [OPERATION ...]
  lhcms-bench check RELEASE_FOLDER DEBUG_FOLDER
  lhcms-bench soak RELEASE_FOLDER DEBUG_FOLDER MINUTES
  lhcms-bench profile RELEASE_FOLDER DEBUG_FOLDER OPERATION
  lhcms-bench record";

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // Dropping the work ends every process that it has started.
    let outcome = tokio::select! {
        outcome = start(&arguments) => outcome,
        () = interrupted() => Err(Error::new("interrupted")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lhcms-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn start(arguments: &[String]) -> Result<()> {
    let root = root()?;
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let bench = async |release, debug| Bench::start(&root, Path::new(release), Path::new(debug)).await;
    match arguments[..] {
        [extent @ ("run" | "count"), release, debug, ref operations @ ..] => {
            let extent = if extent == "run" { Extent::All } else { Extent::Counts };
            let operations =
                operations.iter().map(|name| Operation::named(name)).collect::<Result<Vec<_>>>()?;
            run::run(&bench(release, debug).await?, extent, &operations).await.map(drop)
        }
        ["check", release, debug] => run::check(&bench(release, debug).await?).await,
        ["profile", release, debug, operation] => {
            run::profile(&bench(release, debug).await?, Operation::named(operation)?).await
        }
        ["soak", release, debug, minutes] => {
            let minutes: f64 = minutes.parse().map_err(|_| Error::new("MINUTES must be a number"))?;
            soak::run(&bench(release, debug).await?, Duration::from_secs_f64(minutes * 60.0)).await
        }
        ["record"] => run::record(&root),
        [stack::PARTS] => stack::run_parts(root).await,
        _ => Err(Error::new(USAGE)),
    }
}

/// The project's folder.
fn root() -> Result<PathBuf> {
    let here = env::current_dir().map_err(|error| Error::new(format!("the working folder: {error}")))?;
    let root = here.ancestors().find(|folder| folder.join("template.yaml").is_file());
    root.map(Path::to_owned).ok_or_else(|| Error::new("run it in the project's folder (`make bench`)"))
}

async fn interrupted() {
    let signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hang_up)] = signals else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
        _ = hang_up.recv() => {}
    }
}
