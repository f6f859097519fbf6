//! `make bench`, `make bench-count` and `make bench-check`: the figures of one run.

use std::{
    fs,
    path::{Path, PathBuf},
};

use local::{Error, Result};
use serde_json::{Value, json};

use crate::{
    budgets::Budgets,
    callgrind,
    calls::{Calls, Recorder},
    cold::{self, succeed},
    cost::{Prices, Use},
    functions::Functions,
    labs::{Lab, Labs, Size},
    lambda::Launch,
    load,
    machine::Machine,
    operation::{Operation, Requests},
    report::{Figures, Report, ResponseSize},
    scale, sizes,
    slow_network::SlowNetwork,
    stack::Stack,
};

/// The function that does nothing.
pub(crate) const FLOOR: &str = "floor";
/// The function with the stock SDK, which makes one GetItem.
const STOCK_SDK: &str = "stock-sdk";

/// The environments of the closed loops.
const ENVIRONMENTS: [usize; 3] = [1, 8, 32];

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
    /// Starts the parts for the binaries in two folders.
    pub(crate) async fn start(root: &Path, release: &Path, debug: &Path) -> Result<Self> {
        let folder = folder(root)?;
        let functions = Functions::in_folders(release, debug);
        Ok(Self { root: root.to_owned(), functions, stack: Stack::start(root).await?, folder })
    }

    /// Starts the function of an operation.
    pub(crate) fn launch(&self, operation: Operation) -> Launch {
        let function = operation.function();
        self.functions.launch(function, self.stack.environment(function, &[]))
    }
}

fn folder(root: &Path) -> Result<PathBuf> {
    let folder = root.join("target/bench");
    fs::create_dir_all(&folder).map_err(|error| Error::new(format!("{}: {error}", folder.display())))?;
    Ok(folder)
}

/// Measures the binaries, prints the report, and writes it to target/bench. With operations, only these are measured, and
/// nothing else.
pub(crate) async fn run(bench: &Bench, extent: Extent, operations: &[Operation]) -> Result<Report> {
    callgrind::require_valgrind()?;
    let budgets = Budgets::read(&bench.root)?;
    let report = measure(bench, extent, operations).await?;
    let tables = format!("{}### Budgets\n\n{}", report.tables(), budgets.table(&report));
    println!("{tables}");
    let json = serde_json::to_string_pretty(&report).map_err(|error| Error::new(error.to_string()))?;
    for (name, text) in [
        ("report.md", tables),
        ("report.json", json),
        ("chart.svg", report.chart(|figure| budgets.budget(figure))),
    ] {
        let file = bench.folder.join(name);
        fs::write(&file, text).map_err(|error| Error::new(format!("{}: {error}", file.display())))?;
        println!("{}", file.display());
    }
    Ok(report)
}

/// Measures what can be counted, and compares it with the references.
pub(crate) async fn check(bench: &Bench) -> Result<()> {
    let report = run(bench, Extent::Counts, &[]).await?;
    let budgets = Budgets::read(&bench.root)?;
    for improvement in budgets.improvements(&report) {
        println!("{improvement}: record it (`make bench-record`)");
    }
    match &budgets.violations(&report)[..] {
        [] => Ok(()),
        violations => Err(Error::new(format!("figures have moved:\n  {}", violations.join("\n  ")))),
    }
}

/// Writes a profile of the warm requests of one operation, for callgrind_annotate. The binary needs its symbols.
pub(crate) async fn profile(bench: &Bench, operation: Operation) -> Result<()> {
    callgrind::require_valgrind()?;
    let mut requests = Labs::start(bench).await?.add(Size::SMALL).await?.requests(bench)?;
    let instructions =
        callgrind::count(&bench.launch(operation), &bench.folder, || requests.next(operation)).await?;
    println!("{instructions:?}\ncallgrind_annotate --inclusive=yes {}/callgrind.out", bench.folder.display());
    Ok(())
}

/// Makes the last report in target/bench the reference, and puts its tables and its chart into the docs.
pub(crate) fn record(root: &Path) -> Result<()> {
    const BEGIN: &str = "<!-- figures: begin (make bench-record) -->\n";
    const END: &str = "<!-- figures: end -->";
    let folder = folder(root)?;
    let read = |file: PathBuf| {
        fs::read_to_string(&file).map_err(|error| Error::new(format!("{}: {error}", file.display())))
    };
    let write = |file: PathBuf, text: String| {
        fs::write(&file, text).map_err(|error| Error::new(format!("{}: {error}", file.display())))
    };
    let report: Report = serde_json::from_str(&read(folder.join("report.json"))?)
        .map_err(|error| Error::new(format!("report.json: {error}; run `make bench` again")))?;
    Budgets::read(root)?.record(root, &report)?;
    let docs = root.join("docs/performance.md");
    let text = read(docs.clone())?;
    let (before, rest) =
        text.split_once(BEGIN).ok_or_else(|| Error::new("the docs have no place for figures"))?;
    let (_, after) = rest.split_once(END).ok_or_else(|| Error::new("the place for figures has no end"))?;
    let tables = read(folder.join("report.md"))?.replace("\n### ", "\n#### ");
    write(docs, format!("{before}{BEGIN}\n#{tables}\n{END}{after}"))?;
    write(root.join("docs/performance.svg"), read(folder.join("chart.svg"))?)
}

async fn measure(bench: &Bench, extent: Extent, operations: &[Operation]) -> Result<Report> {
    let machine = Machine::describe();
    progress("filling labs");
    let mut labs = Labs::start(bench).await?;
    // The lists of a lab stay the same, because changes happen in another one.
    let (read, changed) = (labs.add(Size::SMALL).await?, labs.add(Size::SMALL).await?);
    let lab_of = |operation: Operation| if operation.is_change() { changed } else { read };
    let mut report = Report { machine, ..Report::default() };
    let chosen = if operations.is_empty() { &Operation::ALL } else { operations };
    for operation in chosen {
        progress(operation.name());
        report.operations.push(measure_operation(bench, *operation, lab_of(*operation), extent).await?);
    }
    if extent == Extent::Counts || !operations.is_empty() {
        return Ok(report);
    }
    let event = read.requests(bench)?.next(Operation::Get);
    for (function, name) in [(FLOOR, FLOOR), (STOCK_SDK, "stock SDK, GetItem")] {
        progress(name);
        report.operations.push(measure_baseline(bench, function, name, &event).await?);
    }
    for operation in [Operation::Get, Operation::Create, Operation::List20] {
        for count in ENVIRONMENTS {
            progress(&format!("{count} environments: {}", operation.name()));
            report.load.push(load::measure(bench, operation, lab_of(operation), count).await?);
        }
    }
    progress("1,000 labs");
    report.many_labs = scale::measure_many_labs(bench, &mut labs).await?;
    report.scale = scale::measure(bench, &mut labs).await?;
    Ok(report)
}

async fn measure_operation(bench: &Bench, operation: Operation, lab: Lab, extent: Extent) -> Result<Figures> {
    let launch = bench.launch(operation);
    let mut requests = lab.requests(bench)?;
    let (calls, response) = exchange(bench, operation, &launch, &mut requests).await?;
    let mut figures = Figures {
        name: operation.name().to_owned(),
        function: operation.function().to_owned(),
        response: Some(response),
        ..Figures::default()
    };
    let mut event = || requests.next(operation);
    if bench.functions.is_release(operation.function()) {
        figures.instructions = Some(callgrind::count(&launch, &bench.folder, &mut event).await?);
        figures.sizes = Some(sizes::measure(bench, operation.function())?);
    }
    if extent == Extent::All {
        let times = cold::measure(&launch, &mut event).await?;
        let network = SlowNetwork::start(bench.stack.dynamodb(), &bench.folder).await?;
        let slow =
            network.variables().iter().fold(launch.clone(), |launch, (name, value)| launch.with(name, value));
        let slow = cold::measure_slow_network(&slow, &mut event).await?;
        let log_bytes = cold::log_bytes(&launch, &bench.folder, &mut event).await?;
        let used = Use {
            calls: &calls,
            cpu_ms: times.cpu_ms,
            latency_ms: slow.warm_p50_ms,
            response_bytes: response.gzip.unwrap_or(response.plain),
            log_bytes,
        };
        figures.cost = Some(Prices::read()?.of_a_million(&used)?);
        figures.times = Some(times);
        figures.slow_network = Some(slow);
        figures.log_bytes = Some(log_bytes);
    }
    figures.calls = Some(calls);
    Ok(figures)
}

/// One request's calls to DynamoDB, and the size of its response.
async fn exchange(
    bench: &Bench,
    operation: Operation,
    launch: &Launch,
    requests: &mut Requests,
) -> Result<(Calls, ResponseSize)> {
    let mut recorder = Recorder::start(launch, bench.stack.dynamodb()).await?;
    // The first request fills caches.
    succeed(recorder.send(&requests.next(operation)).await?.1)?;
    let (calls, answer) = recorder.send(&requests.next(operation)).await?;
    let plain = succeed(answer)?.body.len() as u64;
    let mut event = requests.next(operation);
    event["headers"]["accept-encoding"] = json!("gzip");
    let compressed = succeed(recorder.send(&event).await?.1)?;
    let gzip = compressed.is_compressed.then_some(compressed.body.len() as u64);
    Ok((calls, ResponseSize { plain, gzip }))
}

/// Measures a function that is no part of the service.
async fn measure_baseline(bench: &Bench, function: &str, name: &str, event: &Value) -> Result<Figures> {
    let launch = bench.functions.launch(function, bench.stack.environment(function, &[]));
    Ok(Figures {
        name: name.to_owned(),
        function: function.to_owned(),
        instructions: Some(callgrind::count(&launch, &bench.folder, || event.clone()).await?),
        times: Some(cold::measure(&launch, || event.clone()).await?),
        sizes: Some(sizes::measure(bench, function)?),
        ..Figures::default()
    })
}

/// Says on the terminal what is measured now.
pub(crate) fn progress(what: &str) {
    eprintln!("lhcms-bench: {what}");
}
