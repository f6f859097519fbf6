//! The costs of requests in labs of different sizes. docs/data-model.md has a table with the DynamoDB calls and capacity units
//! of each request; this test checks every row.

use std::{collections::BTreeMap, fs};

use jiff::{Timestamp, ToSpan, civil::Date};
use serde_json::{Value, json};

use crate::harness::{
    Service,
    proxy::RecordedCall,
    spec::{SPEC, root},
    today,
};

/// The sizes of the labs in the table.
const SIZES: [u64; 2] = [20_000, 100_000];
/// The size of the lab that the largest one is compared with, and how much more the same request may cost there.
const SMALL: u64 = 1_000;
const GROWTH: f64 = 1.2;
/// The most cases that are open: the open work of a lab does not grow with its past.
const MAX_OPEN: u64 = 2_000;
const SHARDS: u64 = 16;
/// The heading of the section in docs/data-model.md, and the head of its table.
const SECTION: &str = "## What a request costs in a large lab";
const HEAD: &str = "| request | calls | read units | write units | KiB |";

/// The most read and write units of requests, by their beginnings. Further filters are not part of a budget.
const BUDGETS: [(&str, f64, f64); 24] = [
    ("GET /api/v1/cases?q=", 12.0, 1.0),
    ("POST /api/v1/cases/search {", 12.0, 1.0),
    ("GET /api/v1/cases?status=", 12.0, 1.0),
    ("GET /api/v1/cases?doctor_id=", 12.0, 1.0),
    ("GET /api/v1/cases?assigned_to=", 12.0, 1.0),
    ("GET /api/v1/cases?unassigned=", 12.0, 1.0),
    ("GET /api/v1/cases?patient_id=", 12.0, 1.0),
    ("GET /api/v1/cases?case_number=", 12.0, 1.0),
    ("GET /api/v1/cases?sort=due_date", 12.0, 1.0),
    ("GET /api/v1/cases?overdue=", 12.0, 1.0),
    ("GET /api/v1/cases?sort=due_date&overdue=", 12.0, 1.0),
    ("GET /api/v1/cases/stats", 30.0, 0.0),
    ("POST /api/v1/cases {", 12.0, 20.0),
    ("PUT /api/v1/cases/", 12.0, 20.0),
    ("PATCH /api/v1/cases/", 12.0, 20.0),
    ("POST /api/v1/cases/{newest}/comments {", 12.0, 20.0),
    ("DELETE /api/v1/cases/{newest}/comments/", 12.0, 20.0),
    ("GET /api/v1/cases/{newest}/comments", 12.0, 1.0),
    ("POST /api/v1/cases/{newest}/attachments {", 12.0, 20.0),
    ("GET /api/v1/cases/{newest}/attachments", 12.0, 1.0),
    ("GET /api/v1/cases?waiting_for_answer=", 12.0, 1.0),
    ("GET /api/v1/webhooks", 12.0, 0.0),
    ("POST /api/v1/webhooks {", 12.0, 20.0),
    ("PUT /api/v1/webhooks/", 12.0, 20.0),
];
/// Parts of requests that cost by the number of open cases, of which the small lab has fewer, or by all cases of a doctor.
const BY_SOME_CASES: [&str; 5] =
    ["/stats", "sort=priority", "doctor_7&status=", "on_hold&assigned_to=", "doctor_8&sort="];

/// The statuses of open cases alternate.
fn status(id: u64, cases: u64) -> &'static str {
    let open = ["pending", "in_progress", "on_hold", "quality_check", "completed", "returned"];
    if is_open(id, cases) { open[(id % 6) as usize] } else { "delivered" }
}

/// The newest cases are open.
fn is_open(id: u64, cases: u64) -> bool {
    id > cases - MAX_OPEN.min(cases / 2)
}

/// A lab with as many cases, written into the table as the service would write them: cases, change log, statistics.
async fn lab_of(cases: u64) -> Service {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    let example = SPEC["components"]["examples"]["NewCrown"]["value"].clone();
    service.create("admin", example).await;
    let template = service.typed_item(123, "CASE#0000000001").await;
    let now = Timestamp::now();
    let today: Date = today().parse().unwrap();
    let mut items = Vec::new();
    let mut shards = BTreeMap::<u64, BTreeMap<&str, u64>>::new();
    for id in 1..=cases {
        let at = format!("{:.3}", now - ((cases - id) as i64 * 20).minutes());
        // Every twentieth open case is overdue.
        let in_days = if is_open(id, cases) { (id % 40) as i64 - 2 } else { -30 };
        let (due, status) = (today + in_days.days(), status(id, cases));
        let list = if is_open(id, cases) { "open" } else { "closed" };
        let (doctor, patient) = (format!("doctor_{}", id % 40), format!("patient_{}", id / 25));
        let assignee = if id.is_multiple_of(10) { String::new() } else { format!("tech_{}", id % 10) };
        let text = |text: String| json!({"S": text});
        // Eight cases have the same last name, and a twentieth of the lab the same first name.
        let (first, last) = (format!("jane{:02}", id % 20), format!("roe{:05}", id / 8));
        let mut case = template.clone();
        for (name, value) in [
            ("sk", text(format!("CASE#{id:010}"))),
            ("id", json!({"N": id.to_string()})),
            ("case_number", text(format!("RIVERSIDE-202611-{id}"))),
            ("status", text(status.into())),
            ("due_date", text(due.to_string())),
            ("created_at", text(at.clone())),
            ("updated_at", text(at.clone())),
            ("status_changed_at", text(at.clone())),
            ("doctor_id", text(doctor.clone())),
            ("assigned_to", text(assignee.clone())),
            ("patient_info", json!({"M": {"patient_id": {"S": patient}, "age": {"N": "42"}}})),
            ("patient_name", text(format!("{first} {last}"))),
            ("search", text(format!("{first} {last}\nzirconia crown, tooth 14\nriverside-202611-{id}"))),
            ("live_id", json!({"N": id.to_string()})),
            ("status_key", text(format!("123#{status}"))),
            ("doctor_key", text(format!("123#{doctor}"))),
            ("assignee_key", text(format!("123#{assignee}"))),
            ("patient_key", text(format!("123#{patient}"))),
            ("due", text(format!("123#{list}"))),
            ("due_key", text(format!("{due}#{id:010}"))),
            ("info", text(format!("#{status}#medium##={assignee}#"))),
            ("update_key", text(format!("{at}#{id:010}"))),
        ] {
            case[name] = value;
        }
        if assignee.is_empty() {
            case.as_object_mut().unwrap().remove("assigned_to");
        }
        items.push(case);
        for word in [&*first, &last, "crown"] {
            items.push(json!({"lab_id": {"S": "123"}, "sk": {"S": format!("TOKEN#{word}#{id:010}")}}));
        }
        let (shard, number) = (id % SHARDS, (id - 1) / SHARDS + 1);
        // No request reads the other entries.
        if number <= 20 {
            items
                .push(json!({"lab_id": {"S": "123"}, "sk": {"S": format!("CHANGE#{shard:02}#{number:012}")},
                "case_id": {"N": id.to_string()}, "version": {"N": "1"}, "at": {"S": at}}));
        }
        *shards.entry(shard).or_default().entry(status).or_default() += 1;
        if items.len() > 10_000 {
            service.load_typed_items(std::mem::take(&mut items));
        }
    }
    for (shard, counts) in shards {
        let mut item = json!({"lab_id": {"S": "123"}, "sk": {"S": format!("STATS#{shard:02}")}});
        item["last_change"] = json!({"N": (cases / SHARDS).to_string()});
        for (status, count) in counts {
            item[status] = json!({"N": count.to_string()});
        }
        items.push(item);
        let mut months = BTreeMap::<String, Value>::new();
        for day in (0..90).map(|days| today - days.days()) {
            let sk = format!("DAYS#{:04}-{:02}#{shard:02}", day.year(), day.month());
            let month = months.entry(sk.clone()).or_insert_with(
                || json!({"lab_id": {"S": "123"}, "sk": {"S": sk}, "expires_at": {"N": "4102444800"}}),
            );
            month[format!("c{:02}", day.day())] = json!({"N": "13"});
            month[format!("r{:02}", day.day())] = json!({"N": "1"});
        }
        items.extend(months.into_values());
    }
    items.push(json!({
        "lab_id": {"S": "123"}, "sk": {"S": "COUNTER"}, "last_id": {"N": cases.to_string()}, "registry": {"S": "labs"},
    }));
    service.load_typed_items(items);
    service
}

/// What a request costs: its calls to DynamoDB, read units, write units, and KiB.
#[derive(Clone, PartialEq)]
struct Cost {
    calls: String,
    read: f64,
    write: f64,
    kib: usize,
}

impl Cost {
    fn of(calls: &[RecordedCall]) -> Self {
        let mut names = BTreeMap::<&str, usize>::new();
        let (mut read, mut write) = (0.0, 0.0);
        for call in calls {
            *names.entry(&call.name).or_default() += 1;
            let is_read = ["GetItem", "BatchGetItem", "Query"].contains(&call.name.as_str());
            *(if is_read { &mut read } else { &mut write }) += call.units;
        }
        let names: Vec<String> = names.iter().map(|(name, count)| format!("{count} {name}")).collect();
        let kib = calls.iter().map(|call| call.answer_bytes).sum::<usize>().div_ceil(1024);
        Self { calls: names.join(", "), read, write, kib }
    }
}

/// A row of the table: the costs in the labs of both sizes, once if they are equal.
fn row(request: &str, [one, other]: [&Cost; 2]) -> String {
    let cell = |one: String, other: String| if one == other { one } else { format!("{one} / {other}") };
    let number = |of: fn(&Cost) -> f64| cell(of(one).to_string(), of(other).to_string());
    format!(
        "| `{request}` | {} | {} | {} | {} |",
        cell(one.calls.clone(), other.calls.clone()),
        number(|cost| cost.read),
        number(|cost| cost.write),
        number(|cost| cost.kib as f64),
    )
}

/// Sends the request of a row and returns its cost.
async fn cost(service: &Service, request: &str, places: &BTreeMap<&str, String>) -> Cost {
    let request = places
        .iter()
        .fold(request.to_owned(), |text, (place, value)| text.replace(&format!("{{{place}}}"), value));
    let mut words = request.splitn(3, ' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    service.dynamodb.record_calls();
    let call = service.as_user("admin", method, path);
    let reply = match words.next() {
        Some(body) => call.json(serde_json::from_str(body).unwrap()).send().await,
        None => call.send().await,
    };
    reply.expect_success();
    Cost::of(&service.dynamodb.take_recorded_calls())
}

/// The costs of all requests in a lab with as many cases.
async fn costs(cases: u64, requests: &[&str]) -> Vec<Cost> {
    let service = lab_of(cases).await;
    let first = service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
    let newest = service.as_user("admin", "GET", "/api/v1/cases/changes?since=now").send().await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let webhook = json!({"url": "https://example.com/hook"});
    let webhook = service.as_user("admin", "POST", "/api/v1/webhooks").json(webhook).send().await.expect(201);
    // The newest case is in_progress, the one before pending, and both are of one patient.
    let places = BTreeMap::from([
        ("cursor", text(&first["pagination"]["next_cursor"])),
        ("since", text(&newest["next_cursor"])),
        ("webhook", text(&webhook["id"])),
        ("newest", (cases - cases % 6).to_string()),
        ("other", (cases - cases % 6 + 1).to_string()),
        ("patient", format!("patient_{}", cases / 25 - 1)),
    ]);
    let mut counted = Vec::new();
    for request in requests {
        counted.push(cost(&service, request, &places).await);
    }
    counted
}

/// The cost of the statistics depends on today: their 90 days lie in four months, as the data model says, or in three.
const STATS_OF_MONTHS: [&str; 2] = [
    "| `GET /api/v1/cases/stats` | 3 Query | 27 | 0 | 220 |",
    "| `GET /api/v1/cases/stats` | 3 Query | 26.5 | 0 | 219 |",
];

#[tokio::test(flavor = "multi_thread")]
async fn requests_cost_what_the_data_model_says_and_no_more_in_an_old_lab() {
    let text = fs::read_to_string(root().join("docs/data-model.md")).unwrap();
    let section = text.split_once(SECTION).expect("the section on costs").1;
    let table = section.split_once(HEAD).expect("the table of costs").1;
    let stated: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    let requests: Vec<&str> =
        stated.iter().map(|line| line.split('`').nth(1).expect("a request between backticks")).collect();

    let small = costs(SMALL, &requests).await;
    let (medium, large) = (costs(SIZES[0], &requests).await, costs(SIZES[1], &requests).await);
    let counted: Vec<String> = requests
        .iter()
        .zip(medium.iter().zip(&large))
        .map(|(request, (one, other))| row(request, [one, other]))
        .map(|row| if row == STATS_OF_MONTHS[1] { STATS_OF_MONTHS[0].to_owned() } else { row })
        .collect();
    assert_eq!(stated, counted, "as counted:\n{HEAD}\n|---|---|---|---|---|\n{}\n", counted.join("\n"));

    for (beginning, read, write) in BUDGETS {
        let is_of_budget =
            |request: &&str| request.strip_prefix(beginning).is_some_and(|rest| !rest.contains('&'));
        let of_budget: Vec<_> =
            requests.iter().zip(&large).filter(|(request, _)| is_of_budget(request)).collect();
        assert!(!of_budget.is_empty(), "{beginning}");
        for (request, cost) in of_budget {
            assert!(cost.read <= read && cost.write <= write, "{request}: {} and {}", cost.read, cost.write);
        }
    }
    for (request, (small, large)) in requests.iter().zip(small.iter().zip(&large)) {
        let is_flat = !BY_SOME_CASES.iter().any(|part| request.contains(part));
        assert!(
            !is_flat || large.read <= GROWTH * small.read,
            "{request}: {} and {}",
            small.read,
            large.read
        );
        assert!(large.write <= GROWTH * small.write, "{request}: {} and {}", small.write, large.write);
    }
}
