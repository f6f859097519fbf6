//! The labs of the benchmark. The real functions fill three small labs; all others are copies of their items, with other
//! ids, so that the benchmark need not know what items and indexes a case has.

use std::collections::BTreeMap;

use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use jiff::ToSpan;
use local::{Error, Result, table::Api};
use serde_json::{Map, Value, json};

use crate::{
    lambda::Environment,
    operation::{Operation, RARE_NAME, Requests, new_case},
    run::Bench,
    stack::{FIRST_LAB, SOURCE_LABS},
};

/// Copied cases get ids from here on. Like the ids in the source labs, they have six digits.
const FIRST_CASE: u64 = 100_001;
/// The patients with [`RARE_NAME`] in each lab.
const RARE: usize = 3;
/// The items that no measured operation reads: the history, the feed, and stored responses.
const LEFT_OUT: [&str; 3] = ["EVENT#", "CHANGE#", "IDEMPOTENCY#"];
/// The items whose numbers are sums over cases.
const SUMS: [&str; 2] = ["STATS#", "DAY#"];
/// An attribute of such an item that is no sum.
const LAST_CHANGE: &str = "last_change";

/// How many cases of each kind a lab has, as copies of the source labs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// All cases.
    pub(crate) cases: u64,
    open_copies: u64,
    closed_copies: u64,
}

impl Size {
    /// 1,000 cases, 200 of them open.
    pub(crate) const SMALL: Self = Self { cases: 1_000, open_copies: 1, closed_copies: 4 };
    /// 20,000 cases, 2,000 of them open.
    pub(crate) const MEDIUM: Self = Self { cases: 20_000, open_copies: 10, closed_copies: 90 };
    /// 100,000 cases, 2,000 of them open.
    pub(crate) const LARGE: Self = Self { cases: 100_000, open_copies: 10, closed_copies: 490 };
}

/// A filled lab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lab {
    pub(crate) id: i64,
    /// The newest of the copied cases.
    pub(crate) read_case: u64,
    /// A case that the benchmark changes.
    pub(crate) changed_case: u64,
}

impl Lab {
    /// The requests of the lab's admin.
    pub(crate) fn requests(&self, bench: &Bench) -> Result<Requests> {
        Requests::new(&bench.root, bench.stack.authorization(self.id), self.read_case, self.changed_case)
    }
}

/// A source lab.
#[derive(Clone, Copy)]
struct Source {
    lab: i64,
    /// The id before its first case.
    before: u64,
    cases: u64,
}

const OPEN: Source = Source { lab: SOURCE_LABS[0], before: 810_000, cases: 200 };
const CLOSED: Source = Source { lab: SOURCE_LABS[1], before: 820_000, cases: 200 };

/// What the labs are copied from.
pub(crate) struct Labs<'a> {
    bench: &'a Bench,
    open: Items,
    closed: Items,
    next_lab: i64,
}

/// The items of a source lab that are copied.
#[derive(Default)]
struct Items {
    /// By case, as JSON text.
    cases: BTreeMap<u64, Vec<String>>,
    sums: Vec<Map<String, Value>>,
    /// Items of the lab itself, as JSON text.
    others: Vec<String>,
}

impl<'a> Labs<'a> {
    /// Fills the source labs with the real functions.
    pub(crate) async fn start(bench: &'a Bench) -> Result<Self> {
        let Bench { root, stack, functions, .. } = bench;
        let api = Api::new(stack.dynamodb());
        for source in [OPEN, CLOSED] {
            set_counter(&api, stack.table(), source.lab, source.before).await?;
            let requests = Requests::new(root, stack.authorization(source.lab), 0, 0)?;
            // Without LinksHub every doctor is accepted.
            let environment = |name| stack.environment(name, &[("LINKSHUB_BASE_URL", "")]);
            let create = functions.launch(Operation::Create.function(), environment("create"));
            let mut create = Environment::start(&create).await?;
            let change = functions.launch(Operation::Status.function(), environment("change"));
            let mut change = Environment::start(&change).await?;
            for number in 0..source.cases {
                let (body, path) = typical_case(source, number);
                let event = requests.event(Operation::Create.function(), None, "", Some(body));
                let case = expect(201, create.invoke(&event).await?)?["id"].as_u64().unwrap_or_default();
                for status in path {
                    let body = json!({"status": status, "reason": "The dentist wishes so"});
                    let event = requests.event(Operation::Status.function(), Some(case), "", Some(body));
                    expect(200, change.invoke(&event).await?)?;
                }
            }
        }
        let (mut open, mut closed) = (Items::default(), Items::default());
        for item in scan(&api, stack.table()).await? {
            let text = item.to_string();
            match [OPEN, CLOSED].map(|source| text.contains(&source.lab.to_string())) {
                [true, _] => open.add(OPEN, item, text),
                [_, true] => closed.add(CLOSED, item, text),
                _ => {}
            }
        }
        Ok(Self { bench, open, closed, next_lab: FIRST_LAB })
    }

    /// Makes a lab of this size.
    pub(crate) async fn add(&mut self, size: Size) -> Result<Lab> {
        let lab = self.next();
        let copies = [(CLOSED, &self.closed, size.closed_copies), (OPEN, &self.open, size.open_copies)];
        let last = self.copy(lab, &copies, u64::MAX).await?;
        // The newest cases are the service's own again.
        let create = self.bench.functions.launch(
            Operation::Create.function(),
            self.bench.stack.environment("create", &[("LINKSHUB_BASE_URL", "")]),
        );
        let mut create = Environment::start(&create).await?;
        let requests = Requests::new(&self.bench.root, self.bench.stack.authorization(lab), 0, 0)?;
        let mut changed_case = 0;
        for name in &NAMES[..RARE] {
            let body = new_case(&format!("{RARE_NAME} {name}"));
            let event = requests.event(Operation::Create.function(), None, "", Some(body));
            changed_case = expect(201, create.invoke(&event).await?)?["id"].as_u64().unwrap_or_default();
        }
        Ok(Lab { id: lab, read_case: last, changed_case })
    }

    /// Makes a lab with a few open cases.
    pub(crate) async fn add_tiny(&mut self) -> Result<Lab> {
        let lab = self.next();
        let last = self.copy(lab, &[(OPEN, &self.open, 1)], 5).await?;
        Ok(Lab { id: lab, read_case: last, changed_case: last })
    }

    fn next(&mut self) -> i64 {
        self.next_lab += 1;
        self.next_lab - 1
    }

    /// Copies source labs into a lab, each so many times, and at most so many cases of each. Returns the last id.
    async fn copy(&self, lab: i64, copies: &[(Source, &Items, u64)], most: u64) -> Result<u64> {
        let api = Api::new(self.bench.stack.dynamodb());
        let mut next = FIRST_CASE;
        let mut batch = Batch::new(&api, self.bench.stack.table());
        for (source, items, count) in copies {
            let renamed = |text: &str| text.replace(&source.lab.to_string(), &lab.to_string());
            for _ in 0..*count {
                for (case, texts) in items.cases.iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
                    for text in texts {
                        batch.put(&renamed(text).replace(&case.to_string(), &next.to_string())).await?;
                    }
                    next += 1;
                }
            }
            for text in &items.others {
                batch.put(&renamed(text)).await?;
            }
        }
        for sum in sums(copies) {
            let mut sum = sum;
            sum["lab_id"] = json!({"S": lab.to_string()});
            batch.put(&Value::Object(sum).to_string()).await?;
        }
        batch.finish().await?;
        set_counter(&api, self.bench.stack.table(), lab, next - 1).await?;
        Ok(next - 1)
    }
}

impl Items {
    fn add(&mut self, source: Source, item: Value, text: String) {
        let sort_key = item["sk"]["S"].as_str().unwrap_or_default().to_owned();
        let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| sort_key.starts_with(prefix));
        let case = (source.before + 1..=source.before + source.cases).find(|case| {
            let digits = case.to_string();
            sort_key.contains(&digits) || item["id"]["N"] == digits.as_str()
        });
        match (case, item) {
            _ if starts(&LEFT_OUT) || sort_key == "COUNTER" => {}
            (_, Value::Object(sum)) if starts(&SUMS) => self.sums.push(sum),
            (Some(case), _) => self.cases.entry(case).or_default().push(text),
            (None, _) => self.others.push(text),
        }
    }
}

/// The sums of a lab with so many copies of source labs.
fn sums(copies: &[(Source, &Items, u64)]) -> Vec<Map<String, Value>> {
    let mut sums = BTreeMap::<String, Map<String, Value>>::new();
    for (_, items, count) in copies {
        for item in &items.sums {
            let sum = sums.entry(item["sk"].to_string()).or_default();
            for (name, value) in item {
                let number = value["N"].as_str().and_then(|number| number.parse::<i64>().ok());
                let so_far = sum.get(name).and_then(|value| value["N"].as_str()?.parse::<i64>().ok());
                let value = match number {
                    // The end of the log, and of the life of an item, stay numbers of one copy.
                    Some(number) if name == LAST_CHANGE || name == "expires_at" => {
                        number.max(so_far.unwrap_or(0))
                    }
                    Some(number) => number * i64::try_from(*count).unwrap_or(1) + so_far.unwrap_or(0),
                    None => {
                        sum.insert(name.clone(), value.clone());
                        continue;
                    }
                };
                sum.insert(name.clone(), json!({"N": value.to_string()}));
            }
        }
    }
    sums.into_values().collect()
}

/// Writes items, 25 at a time. DynamoDB works on some batches while others are being made.
struct Batch<'a> {
    api: &'a Api<'a>,
    table: &'a str,
    puts: Vec<Value>,
    sent: FuturesUnordered<BoxFuture<'a, Result<Value>>>,
}

impl<'a> Batch<'a> {
    /// The batches that DynamoDB works on at most.
    const IN_FLIGHT: usize = 4;

    fn new(api: &'a Api<'a>, table: &'a str) -> Self {
        Self { api, table, puts: Vec::new(), sent: FuturesUnordered::new() }
    }

    async fn put(&mut self, item: &str) -> Result<()> {
        let item: Value =
            serde_json::from_str(item).map_err(|error| Error::new(format!("a copy: {error}")))?;
        self.puts.push(json!({"PutRequest": {"Item": item}}));
        if self.puts.len() == 25 { self.send(Self::IN_FLIGHT - 1).await } else { Ok(()) }
    }

    async fn finish(mut self) -> Result<()> {
        if !self.puts.is_empty() {
            self.send(0).await?;
        }
        self.wait(0).await
    }

    /// Sends a batch, and waits until only so many have no answer.
    async fn send(&mut self, most: usize) -> Result<()> {
        let request = json!({"RequestItems": {self.table: std::mem::take(&mut self.puts)}});
        let api = self.api;
        self.sent.push(async move { call(api, "BatchWriteItem", &request).await }.boxed());
        self.wait(most).await
    }

    async fn wait(&mut self, most: usize) -> Result<()> {
        while self.sent.len() > most {
            self.sent.next().await.transpose()?;
        }
        Ok(())
    }
}

async fn set_counter(api: &Api<'_>, table: &str, lab: i64, last: u64) -> Result<()> {
    let update = json!({
        "TableName": table, "Key": {"lab_id": {"S": lab.to_string()}, "sk": {"S": "COUNTER"}},
        "UpdateExpression": "SET last_id = :last", "ExpressionAttributeValues": {":last": {"N": last.to_string()}},
    });
    call(api, "UpdateItem", &update).await.map(drop)
}

/// Every item of a table.
async fn scan(api: &Api<'_>, table: &str) -> Result<Vec<Value>> {
    let (mut items, mut start) = (Vec::new(), Value::Null);
    loop {
        // Few enough items for the client's limit of an answer.
        let mut request = json!({"TableName": table, "Limit": 200});
        if !start.is_null() {
            request["ExclusiveStartKey"] = start;
        }
        let mut page = call(api, "Scan", &request).await?;
        items.extend(page["Items"].as_array_mut().map(std::mem::take).unwrap_or_default());
        start = page["LastEvaluatedKey"].take();
        if start.is_null() {
            return Ok(items);
        }
    }
}

/// Calls DynamoDB directly, as none of the functions.
pub(crate) async fn call(api: &Api<'_>, operation: &str, request: &Value) -> Result<Value> {
    api.call(operation, request).await.map_err(|error| Error::new(format!("{operation} failed: {error:?}")))
}

/// The body of an answer with this status.
pub(crate) fn expect(status: u16, answer: crate::lambda::Answer) -> Result<Value> {
    if answer.status == status {
        return Ok(answer.json());
    }
    let body = String::from_utf8_lossy(&answer.body);
    Err(Error::new(format!("a request was answered {} in place of {status}: {body}", answer.status)))
}

const NAMES: [&str; 12] =
    ["Ada", "Bela", "Chidi", "Dana", "Emil", "Farah", "Goran", "Hana", "Ines", "Jonas", "Kaya", "Liam"];
const LAST_NAMES: [&str; 9] =
    ["Moreau", "Keller", "Okafor", "Svensson", "Brandt", "Lindqvist", "Tanaka", "Novak", "Silva"];

/// A case as labs have them, and the statuses that it goes through after its creation.
fn typical_case(source: Source, number: u64) -> (Value, &'static [&'static str]) {
    let pick = |list: &[&'static str]| list[usize::try_from(number).unwrap_or(0) % list.len()];
    let path: &[&str] = match (source.lab == OPEN.lab, number % 6) {
        (true, 2) => &["on_hold"],
        (true, 3) => &["quality_check"],
        (true, 4) => &["completed"],
        (true, 5) => &["returned"],
        (true, _) => &[],
        (false, _) if number.is_multiple_of(20) => &["cancelled"],
        (false, _) => &["completed", "shipped", "delivered"],
    };
    let days = i64::try_from(number % 60).unwrap_or(0) - if source.lab == OPEN.lab { 10 } else { 80 };
    let due = crate::machine::today() + days.days();
    let mut body = new_case(&format!("{} {}", pick(&NAMES), pick(&LAST_NAMES)));
    if path.is_empty() && number.is_multiple_of(6) {
        body["status"] = json!("pending");
    }
    body["due_date"] = json!(due.to_string());
    body["priority"] = json!(pick(&["low", "medium", "medium", "high"]));
    body["doctor_id"] = json!(format!("doctor_{:03}", number % 20));
    body["assigned_to"] = json!((number % 10 + 1).to_string());
    if number % 10 == 3 {
        body["patient_info"] = json!({"patient_id": format!("patient_{number:03}")});
    }
    (body, path)
}
