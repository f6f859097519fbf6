//! What requests cost in labs of three sizes, and with one and many labs.

use std::time::Instant;

use local::Result;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    calls::{Calls, Recorder},
    cold::{milliseconds, percentile, succeed},
    labs::{Lab, Labs, Size},
    lambda::Environment,
    operation::{Operation, RARE_NAME, Requests},
    run::{Bench, progress},
    usage::Usage,
};

/// The timed requests of each row.
const TIMED: usize = 20;
/// The labs of the comparison with one lab.
const MANY_LABS: usize = 1_000;
/// The timed requests of that comparison.
const PER_LAB_RUN: usize = 1_000;

/// A request in labs of three sizes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) request: String,
    /// By the size of the lab, the smallest first.
    pub(crate) labs: Vec<Cost>,
}

/// The cost of a request in one lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Cost {
    pub(crate) cases: u64,
    /// The status of the response. The rest counts only if it is a success.
    pub(crate) status: u16,
    pub(crate) calls: Calls,
    pub(crate) p50_ms: f64,
}

/// A get with one lab, and with many.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ManyLabs {
    pub(crate) labs: usize,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) cpu_ms: f64,
}

/// The name of a request, its function, its case, its query and its body.
type Request = (&'static str, &'static str, Option<u64>, String, Option<Value>);

/// The requests of the table, except the changes.
fn reads(case_number: &str, lab: Lab) -> Vec<Request> {
    let list = |name, query: &str| (name, "list-cases", None, query.to_owned(), None);
    let search = |name, query: &str| (name, "search-cases", None, String::new(), Some(json!({"q": query})));
    let number = case_number;
    vec![
        ("get", "get-case", Some(lab.read_case), String::new(), None),
        list("newest 20", ""),
        list("by status", "status=in_progress"),
        list("by 3 statuses", "status=pending,in_progress,on_hold"),
        list("by doctor", "doctor_id=doctor_007"),
        list("by assignee", "assigned_to=3"),
        list("by patient id", "patient_id=patient_003"),
        list("by case number", &format!("case_number={number}")),
        list("due in a month", "due_from=2099-12-01&due_to=2099-12-31"),
        list("overdue", "overdue=true"),
        list("by status, by due date", "status=in_progress&sort=due_date"),
        list("by last change", "sort=updated_at"),
        list("page 20", "page=20"),
        search("search, 3 hits", RARE_NAME),
        search("search, no hit", "Nobodyhasthisname"),
        ("stats", "case-stats", None, String::new(), None),
    ]
}

/// Fills labs of three sizes and measures the requests in each.
pub(crate) async fn measure(bench: &Bench, labs: &mut Labs<'_>) -> Result<Vec<Row>> {
    let mut rows = Vec::<Row>::new();
    for size in [Size::SMALL, Size::MEDIUM, Size::LARGE] {
        let began = Instant::now();
        let lab = labs.add(size).await?;
        progress(&format!("a lab of {} cases, filled in {} s", size.cases, began.elapsed().as_secs()));
        let mut requests = lab.requests(bench)?;
        for (name, function, case, query, body) in reads(&case_number(bench, &requests, lab).await?, lab) {
            let cost =
                cost(bench, size, function, || requests.event(function, case, &query, body.clone())).await?;
            add(&mut rows, name, cost);
        }
        for operation in [Operation::Create, Operation::Update, Operation::Status] {
            let cost = cost(bench, size, operation.function(), || requests.next(operation)).await?;
            add(&mut rows, operation.name(), cost);
        }
    }
    Ok(rows)
}

fn add(rows: &mut Vec<Row>, request: &str, cost: Cost) {
    match rows.iter_mut().find(|row| row.request == request) {
        Some(row) => row.labs.push(cost),
        None => rows.push(Row { request: request.to_owned(), labs: vec![cost] }),
    }
}

async fn cost(bench: &Bench, size: Size, function: &str, mut event: impl FnMut() -> Value) -> Result<Cost> {
    let launch = bench.functions.launch(function, bench.stack.environment(function, &[]));
    let mut recorder = Recorder::start(&launch, bench.stack.dynamodb()).await?;
    // The first request fills caches; UMS is no part of the figures.
    recorder.send(&event()).await?;
    let (calls, answer) = recorder.send(&event()).await?;
    let mut cost = Cost { cases: size.cases, status: answer.status, calls, p50_ms: 0.0 };
    if !(200..300).contains(&answer.status) {
        return Ok(cost);
    }
    let mut environment = Environment::start(&launch).await?;
    succeed(environment.invoke(&event()).await?)?;
    let mut times = Vec::new();
    for _ in 0..TIMED {
        times.push(succeed(environment.invoke(&event()).await?)?.latency);
    }
    cost.p50_ms = percentile(&mut times, 50);
    Ok(cost)
}

/// The number of the lab's case that is read.
async fn case_number(bench: &Bench, requests: &Requests, lab: Lab) -> Result<String> {
    let mut environment = Environment::start(&bench.launch(Operation::Get)).await?;
    let event = requests.event("get-case", Some(lab.read_case), "", None);
    let case = succeed(environment.invoke(&event).await?)?.json();
    Ok(case["case_number"].as_str().unwrap_or_default().to_owned())
}

/// Measures a get with one lab, and with many, one request of each after the other: each user's first request asks UMS.
pub(crate) async fn measure_many_labs(bench: &Bench, labs: &mut Labs<'_>) -> Result<Vec<ManyLabs>> {
    let mut all = Vec::new();
    for _ in 0..MANY_LABS {
        all.push(labs.add_tiny().await?.requests(bench)?);
    }
    let mut figures = Vec::new();
    for count in [1, MANY_LABS] {
        let mut environment = Environment::start(&bench.launch(Operation::Get)).await?;
        succeed(environment.invoke(&all[0].next(Operation::Get)).await?)?;
        let before = Usage::of(environment.id()?)?;
        let mut times = Vec::new();
        for index in 0..PER_LAB_RUN {
            let event = all[index % count].next(Operation::Get);
            times.push(succeed(environment.invoke(&event).await?)?.latency);
        }
        let cpu = Usage::of(environment.id()?)?.cpu - before.cpu;
        figures.push(ManyLabs {
            labs: count,
            p50_ms: percentile(&mut times, 50),
            p99_ms: percentile(&mut times, 99),
            cpu_ms: milliseconds(cpu / u32::try_from(PER_LAB_RUN).unwrap_or(1)),
        });
    }
    Ok(figures)
}
