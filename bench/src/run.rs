//! `make bench`: all figures of one run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use local::{Error, Result};
use serde_json::json;

use crate::{
    callgrind,
    calls::{Calls, Recorder},
    cold::{self, succeed},
    functions::Functions,
    labs::{Lab, Labs, Size},
    lambda::Launch,
    machine::Machine,
    operation::{Operation, Requests},
    report::{Figures, Report, ResponseSize},
    sizes,
    stack::Stack,
};

/// The parts of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Only what can be counted: instructions, calls, units, bytes, sizes.
    Counts,
    /// Times as well.
    All,
}

/// What all measurements need.
pub(crate) struct Bench {
    pub(crate) root: PathBuf,
    pub(crate) functions: Functions,
    pub(crate) stack: Stack,
    /// The folder for the report and for files of the measurements.
    pub(crate) folder: PathBuf,
}

impl Bench {
    /// Starts the parts for the binaries in a folder.
    pub(crate) async fn start(root: &Path, binaries: &Path) -> Result<Self> {
        callgrind::require_valgrind()?;
        let folder = root.join("target/bench");
        fs::create_dir_all(&folder).map_err(|error| Error::new(format!("{}: {error}", folder.display())))?;
        let functions = Functions::in_folder(binaries);
        Ok(Self { root: root.to_owned(), functions, stack: Stack::start(root).await?, folder })
    }

    /// Starts the function of an operation.
    pub(crate) fn launch(&self, operation: Operation) -> Launch {
        let function = operation.function();
        self.functions.launch(function, self.stack.environment(function, &[]))
    }
}

/// Measures the binaries in a folder, prints the report, and writes it to target/bench.
pub(crate) async fn run(root: &Path, binaries: &Path, extent: Extent) -> Result<()> {
    let bench = Bench::start(root, binaries).await?;
    let report = measure(&bench, &Operation::ALL, extent).await?;
    let (tables, json) = (report.tables(), serde_json::to_string_pretty(&report));
    println!("{tables}");
    for (name, text) in [("report.md", tables), ("report.json", json.unwrap_or_default())] {
        let file = bench.folder.join(name);
        fs::write(&file, text).map_err(|error| Error::new(format!("{}: {error}", file.display())))?;
        println!("{}", file.display());
    }
    Ok(())
}

/// Measures operations.
pub(crate) async fn measure(bench: &Bench, operations: &[Operation], extent: Extent) -> Result<Report> {
    let machine = Machine::describe();
    progress("filling labs");
    let mut labs = Labs::start(bench).await?;
    // The lists of a lab stay the same, because changes happen in another one.
    let (read, changed) = (labs.add(Size::SMALL).await?, labs.add(Size::SMALL).await?);
    let mut figures = Vec::new();
    for operation in operations {
        progress(operation.name());
        let lab = if operation.is_change() { changed } else { read };
        figures.push(measure_operation(bench, *operation, lab, extent).await?);
    }
    Ok(Report { machine, operations: figures })
}

async fn measure_operation(bench: &Bench, operation: Operation, lab: Lab, extent: Extent) -> Result<Figures> {
    let launch = bench.launch(operation);
    let mut requests = lab.requests(bench)?;
    let (calls, response) = exchange(bench, operation, &launch, &mut requests).await?;
    let instructions = callgrind::count(&launch, &bench.folder, || requests.next(operation)).await?;
    let times = match extent {
        Extent::Counts => None,
        Extent::All => Some(cold::measure(&launch, || requests.next(operation)).await?),
    };
    Ok(Figures {
        name: operation.name().to_owned(),
        function: operation.function().to_owned(),
        instructions: Some(instructions),
        times,
        calls: Some(calls),
        response: Some(response),
        sizes: Some(sizes::measure(bench, operation.function())?),
    })
}

/// One request's calls to DynamoDB, and the size of its response.
async fn exchange(
    bench: &Bench,
    operation: Operation,
    launch: &Launch,
    requests: &mut Requests,
) -> Result<(Calls, ResponseSize)> {
    let mut recorder = Recorder::start(launch, bench.stack.dynamodb(), &requests.next(operation)).await?;
    let (calls, answer) = recorder.send(&requests.next(operation)).await?;
    let plain = succeed(answer)?.body.len() as u64;
    let mut event = requests.next(operation);
    event["headers"]["accept-encoding"] = json!("gzip");
    let compressed = succeed(recorder.send(&event).await?.1)?;
    let gzip = compressed.is_compressed.then_some(compressed.body.len() as u64);
    Ok((calls, ResponseSize { plain, gzip }))
}

/// Says on the terminal what is measured now.
pub(crate) fn progress(what: &str) {
    eprintln!("lhcms-bench: {what}");
}
