//! `make soak`: mixed load for a while. At its end memory is flat, no request has failed, and the statistics and lists equal
//! a recount of the table.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::future::try_join_all;
use local::{Error, Result, table::Api};
use serde_json::{Value, json};

use crate::{
    labs::{Lab, Labs, Size, call, expect},
    lambda::Environment,
    machine,
    operation::{Operation, Requests},
    run::{Bench, progress},
    usage::Usage,
};

/// The operations of the environments.
const ENVIRONMENTS: [Operation; 8] = [
    Operation::Get,
    Operation::Get,
    Operation::List20,
    Operation::Create,
    Operation::Update,
    Operation::Status,
    Operation::Search,
    Operation::Stats,
];
/// The pause of a client between two requests. Without it the history of one case would have a million versions.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the memory is read.
const SAMPLE: Duration = Duration::from_secs(10);
/// How much memory may grow after the first fifth of the time: by a tenth, and by what an allocator keeps for later.
const GROWTH: f64 = 1.1;
const GROWTH_KIB: u64 = 1024;

/// What an environment did.
struct Outcome {
    operation: Operation,
    requests: u64,
    /// How many responses there were with a status that is no success.
    failures: BTreeMap<u16, u64>,
    /// The memory in KiB at times since the start.
    memory: Vec<(Duration, u64)>,
}

/// Runs the load for this time.
pub(crate) async fn run(bench: &Bench, time: Duration) -> Result<()> {
    let mut labs = Labs::start(bench).await?;
    let lab = labs.add(Size::SMALL).await?;
    progress(&format!("{} environments for {} s", ENVIRONMENTS.len(), time.as_secs()));
    let began = Instant::now();
    let outcomes =
        try_join_all(ENVIRONMENTS.map(|operation| load(bench, lab, operation, began, time))).await?;
    let mut faults = Vec::new();
    for outcome in &outcomes {
        println!("{}", outcome.describe());
        faults.extend(outcome.faults(time));
    }
    progress("recounting");
    faults.extend(recount(bench, lab).await?);
    match &faults[..] {
        [] => {
            println!("memory is flat, no request failed, the statistics and lists are exact");
            Ok(())
        }
        faults => Err(Error::new(format!("the soak found faults:\n  {}", faults.join("\n  ")))),
    }
}

async fn load(
    bench: &Bench,
    lab: Lab,
    operation: Operation,
    began: Instant,
    time: Duration,
) -> Result<Outcome> {
    let mut environment = Environment::start(&bench.launch(operation)).await?;
    // Each kind of change has a case of its own: clients that change the same case get 409.
    let lab =
        if operation == Operation::Update { Lab { changed_case: lab.changed_case - 1, ..lab } } else { lab };
    let mut requests = lab.requests(bench)?;
    let mut outcome = Outcome { operation, requests: 0, failures: BTreeMap::new(), memory: Vec::new() };
    let mut next_sample = Duration::ZERO;
    while began.elapsed() < time {
        let answer = environment.invoke(&requests.next(operation)).await?;
        outcome.requests += 1;
        if !(200..300).contains(&answer.status) {
            *outcome.failures.entry(answer.status).or_default() += 1;
        }
        if began.elapsed() >= next_sample {
            outcome.memory.push((began.elapsed(), Usage::of(environment.id()?)?.memory_kib));
            next_sample += SAMPLE;
        }
        tokio::time::sleep(PAUSE).await;
    }
    outcome.memory.push((began.elapsed(), Usage::of(environment.id()?)?.memory_kib));
    Ok(outcome)
}

impl Outcome {
    /// The most memory until the first fifth of the time is over, and after it.
    fn peaks(&self, time: Duration) -> (u64, u64) {
        let peak = |is_early: bool| {
            let samples = self.memory.iter().filter(|(at, _)| (*at <= time / 5) == is_early);
            samples.map(|(_, kib)| *kib).max().unwrap_or(0)
        };
        (peak(true), peak(false))
    }

    fn describe(&self) -> String {
        let memory = |sample: Option<&(Duration, u64)>| sample.map_or(0.0, |(_, kib)| *kib as f64 / 1024.0);
        let peak = self.memory.iter().map(|(_, kib)| *kib).max().unwrap_or(0) as f64 / 1024.0;
        let (first, last) = (memory(self.memory.first()), memory(self.memory.last()));
        let failures: u64 = self.failures.values().sum();
        format!(
            "{:<12} {:>8} requests, {failures} failed; memory {first:.1} MiB at first, {last:.1} at last, {peak:.1} at most",
            self.operation.name(),
            self.requests
        )
    }

    fn faults(&self, time: Duration) -> Vec<String> {
        let name = self.operation.name();
        let failed =
            self.failures.iter().map(|(status, count)| format!("{name}: {count} requests got {status}"));
        let (early, later) = self.peaks(time);
        let grew = (later as f64 > early as f64 * GROWTH && later > early + GROWTH_KIB)
            .then(|| format!("{name}: memory grew from {early} to {later} KiB"));
        failed.chain(grew).collect()
    }
}

/// A case as the table has it.
struct Counted {
    id: u64,
    status: String,
    due: Option<String>,
    assignee: Option<String>,
    doctor: Option<String>,
    is_rush: bool,
    updated: String,
}

impl Counted {
    fn of(item: &Value) -> Self {
        let text = |name: &str| item[name]["S"].as_str().map(str::to_owned);
        Self {
            id: item["id"]["N"].as_str().and_then(|id| id.parse().ok()).unwrap_or_default(),
            status: text("status").unwrap_or_default(),
            due: text("due_date"),
            assignee: text("assigned_to"),
            doctor: text("doctor_id"),
            is_rush: item["rush_order"]["BOOL"] == true,
            updated: text("updated_at").unwrap_or_default(),
        }
    }

    fn is_open(&self) -> bool {
        !["shipped", "delivered", "cancelled"].contains(&self.status.as_str())
    }
}

/// Compares the statistics and the lists of a lab with its items. Returns each difference.
async fn recount(bench: &Bench, lab: Lab) -> Result<Vec<String>> {
    let cases = cases(bench, lab).await?;
    let requests = lab.requests(bench)?;
    let mut faults = Vec::new();

    let mut stats = Environment::start(&bench.launch(Operation::Stats)).await?;
    let stats = expect(200, stats.invoke(&requests.event("case-stats", None, "", None)).await?)?;
    for (name, expected) in statistics(&cases) {
        let found =
            match name {
                "by_status" => counts(
                    stats["by_status"]
                        .as_object()
                        .into_iter()
                        .flatten()
                        .map(|(name, count)| (name.clone(), count)),
                ),
                "by_assignee" => counts(stats["by_assignee"].as_array().into_iter().flatten().map(|entry| {
                    (entry["assigned_to"].as_str().unwrap_or("nobody").to_owned(), &entry["open"])
                })),
                _ => stats[name].clone(),
            };
        if found != expected {
            faults.push(format!("statistics: {name} is {found}, and the table has {expected}"));
        }
    }

    let mut reader = Environment::start(&bench.launch(Operation::List20)).await?;
    for (query, order, matches) in lists() {
        let mut expected: Vec<&Counted> = cases.iter().filter(|case| matches(case)).collect();
        expected.sort_by_key(|case| order(case));
        let expected: Vec<u64> = expected.iter().map(|case| case.id).collect();
        let found = list(&mut reader, &requests, query).await?;
        if found != expected {
            let [missing, added] = [(&expected, &found), (&found, &expected)].map(|(these, those)| {
                let those: BTreeSet<&u64> = those.iter().collect();
                these.iter().filter(|id| !those.contains(id)).count()
            });
            faults.push(format!(
                "the list {query:?} misses {missing} cases and has {added} others, or another order"
            ));
        }
    }
    progress(&format!("{} cases recounted", cases.len()));
    Ok(faults)
}

type Ordering = fn(&Counted) -> (String, i128);
type Matches = fn(&Counted) -> bool;

/// Queries, the order of their lists, and which cases they have.
fn lists() -> [(&'static str, Ordering, Matches); 7] {
    const NEWEST: Ordering = |case| (String::new(), -i128::from(case.id));
    const DUE: Ordering =
        |case| (case.due.clone().unwrap_or_else(|| "9999-12-31".into()), i128::from(case.id));
    // Oldest first, because text cannot be negated.
    const UPDATED: Ordering = |case| (case.updated.clone(), i128::from(case.id));
    [
        ("limit=100", NEWEST, |_| true),
        ("limit=100&status=in_progress", NEWEST, |case| case.status == "in_progress"),
        ("limit=100&status=on_hold,pending", NEWEST, |case| {
            ["on_hold", "pending"].contains(&case.status.as_str())
        }),
        ("limit=100&doctor_id=doctor_007", NEWEST, |case| case.doctor.as_deref() == Some("doctor_007")),
        ("limit=100&assigned_to=3", NEWEST, |case| case.assignee.as_deref() == Some("3")),
        ("limit=100&status=completed&sort=due_date", DUE, |case| case.status == "completed"),
        ("limit=100&sort=updated_at&order=asc", UPDATED, |_| true),
    ]
}

/// The statistics that follow from the items.
fn statistics(cases: &[Counted]) -> Vec<(&'static str, Value)> {
    let today = machine::today();
    let in_7_days = today.saturating_add(jiff::ToSpan::days(7));
    let [today, in_7_days] = [today, in_7_days].map(|date| date.to_string());
    let open: Vec<&Counted> = cases.iter().filter(|case| case.is_open()).collect();
    let due = |test: &dyn Fn(&String) -> bool| {
        json!(open.iter().filter(|case| case.due.as_ref().is_some_and(test)).count())
    };
    let one = json!(1);
    let by_status = counts(cases.iter().map(|case| (case.status.clone(), &one)));
    let by_assignee =
        counts(open.iter().map(|case| (case.assignee.clone().unwrap_or_else(|| "nobody".into()), &one)));
    vec![
        ("total", json!(cases.len())),
        ("by_status", by_status),
        ("open", json!(open.len())),
        ("overdue", due(&|date| *date < today)),
        ("due_today", due(&|date| *date == today)),
        ("due_in_7_days", due(&|date| (&today..=&in_7_days).contains(&date))),
        ("rush", json!(open.iter().filter(|case| case.is_rush).count())),
        ("by_assignee", by_assignee),
    ]
}

/// Sums by name, without those of 0.
fn counts<'v>(entries: impl Iterator<Item = (String, &'v Value)>) -> Value {
    let mut sums = BTreeMap::<String, u64>::new();
    for (name, count) in entries {
        *sums.entry(name).or_default() += count.as_u64().unwrap_or_default();
    }
    sums.retain(|_, count| *count > 0);
    json!(sums)
}

/// The live cases of a lab, directly from the table.
async fn cases(bench: &Bench, lab: Lab) -> Result<Vec<Counted>> {
    let api = Api::new(bench.stack.dynamodb());
    let (mut cases, mut start) = (Vec::new(), Value::Null);
    loop {
        // Few enough items for the client's limit of an answer.
        let mut query = json!({
            "TableName": bench.stack.table(), "Limit": 200, "ConsistentRead": true,
            "KeyConditionExpression": "lab_id = :lab AND begins_with(sk, :cases)",
            "ExpressionAttributeValues": {":lab": {"S": lab.id.to_string()}, ":cases": {"S": "CASE#"}},
        });
        if !start.is_null() {
            query["ExclusiveStartKey"] = start;
        }
        let mut page = call(&api, "Query", &query).await?;
        cases.extend(page["Items"].as_array().into_iter().flatten().map(Counted::of));
        start = page["LastEvaluatedKey"].take();
        if start.is_null() {
            return Ok(cases);
        }
    }
}

/// The ids of a list, with all its pages.
async fn list(lists: &mut Environment, requests: &Requests, query: &str) -> Result<Vec<u64>> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let event = requests.event("list-cases", None, &format!("{query}{cursor}"), None);
        let page = expect(200, lists.invoke(&event).await?)?;
        ids.extend(page["cases"].as_array().into_iter().flatten().filter_map(|case| case["id"].as_u64()));
        match page["pagination"]["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return Ok(ids),
        }
    }
}
