//! The costs of requests in a large lab. docs/data-model.md has a table with the DynamoDB calls and capacity units of each
//! request; this test checks every row.

use std::{collections::BTreeMap, fs};

use jiff::{Timestamp, ToSpan, civil::Date};
use serde_json::{Value, json};

use crate::harness::{
    Service,
    proxy::RecordedCall,
    spec::{SPEC, root},
    today,
};

const CASES: u64 = 20_000;
const SHARDS: u64 = 16;
/// The heading of the section in docs/data-model.md, and the head of its table.
const SECTION: &str = "## What a request costs in a large lab";
const HEAD: &str = "| request | calls | read units | write units | KiB |";

/// Every tenth case is open; the open statuses alternate.
fn status(id: u64) -> &'static str {
    let open = ["pending", "in_progress", "on_hold", "quality_check", "completed", "returned"];
    if id.is_multiple_of(10) { open[(id / 10 % 6) as usize] } else { "delivered" }
}

/// A lab with 20,000 cases, written into the table as the service would write it: cases, change log, statistics.
async fn large_lab() -> Service {
    let service = Service::start_with(&[("LINKSHUB_BASE_URL", "")]).await;
    let example = SPEC["components"]["examples"]["NewCrown"]["value"].clone();
    service.create("admin", example).await;
    let template = service.typed_item(123, "CASE#0000000001").await;
    let start: Timestamp = "2026-01-01T08:00:00.000Z".parse().unwrap();
    let mut items = Vec::new();
    let mut shards = BTreeMap::<u64, BTreeMap<&str, u64>>::new();
    for id in 1..=CASES {
        let at = format!("{:.3}", start + (id as i64 * 20).minutes());
        let (due, text) =
            (format!("2026-{:02}-{:02}", 1 + id % 12, 1 + id % 28), |text: String| json!({"S": text}));
        let mut case = template.clone();
        for (name, value) in [
            ("sk", text(format!("CASE#{id:010}"))),
            ("id", json!({"N": id.to_string()})),
            ("live_id", json!({"N": id.to_string()})),
            ("case_number", text(format!("RIVERSIDE-202611-{id}"))),
            ("status", text(status(id).into())),
            ("status_key", text(format!("123#{}", status(id)))),
            ("due_date", text(due.clone())),
            ("due_key", text(format!("{due}#{id:010}"))),
            ("created_at", text(at.clone())),
            ("updated_at", text(at.clone())),
            ("status_changed_at", text(at.clone())),
            ("update_key", text(format!("{at}#{id:010}"))),
            ("doctor_id", text(format!("doctor_{}", id % 200))),
            ("assigned_to", text(format!("tech_{}", id % 10))),
            ("search", text(format!("patient {id}\nzirconia crown, tooth 14\nriverside-202611-{id}"))),
        ] {
            case[name] = value;
        }
        items.push(case);
        let (shard, number) = (id % SHARDS, (id - 1) / SHARDS + 1);
        items.push(json!({"lab_id": {"S": "123"}, "sk": {"S": format!("CHANGE#{shard:02}#{number:012}")},
            "case_id": {"N": id.to_string()}, "version": {"N": "1"}, "at": {"S": at}}));
        *shards.entry(shard).or_default().entry(status(id)).or_default() += 1;
    }
    let today: Date = today().parse().unwrap();
    for (shard, counts) in shards {
        let mut item = json!({"lab_id": {"S": "123"}, "sk": {"S": format!("STATS#{shard:02}")}});
        item["last_change"] = json!({"N": (CASES / SHARDS).to_string()});
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
        "lab_id": {"S": "123"}, "sk": {"S": "COUNTER"}, "last_id": {"N": CASES.to_string()}, "registry": {"S": "labs"},
    }));
    service.put_typed_items(&items).await;
    service
}

/// A row of the table: the request, and its calls to DynamoDB.
fn row(request: &str, calls: &[RecordedCall]) -> String {
    let mut names = BTreeMap::<&str, usize>::new();
    let (mut read, mut write) = (0.0, 0.0);
    for call in calls {
        *names.entry(&call.name).or_default() += 1;
        let is_read = ["GetItem", "BatchGetItem", "Query"].contains(&call.name.as_str());
        *(if is_read { &mut read } else { &mut write }) += call.units;
    }
    let names: Vec<String> = names.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let kib = calls.iter().map(|call| call.answer_bytes).sum::<usize>().div_ceil(1024);
    format!("| `{request}` | {} | {read} | {write} | {kib} |", names.join(", "))
}

/// Sends the request of a row and returns its calls to DynamoDB.
async fn cost(service: &Service, request: &str, places: &BTreeMap<&str, String>) -> Vec<RecordedCall> {
    let mut words = request.splitn(3, ' ');
    let (method, mut path) = (words.next().unwrap(), words.next().unwrap().to_owned());
    for (place, value) in places {
        path = path.replace(&format!("{{{place}}}"), value);
    }
    service.dynamodb.record_calls();
    let call = service.as_user("admin", method, &path);
    let reply = match words.next() {
        Some(body) => call.json(serde_json::from_str(body).unwrap()).send().await,
        None => call.send().await,
    };
    reply.expect_success();
    service.dynamodb.take_recorded_calls()
}

#[tokio::test]
async fn requests_in_a_lab_of_twenty_thousand_cases_cost_what_the_data_model_says() {
    let text = fs::read_to_string(root().join("docs/data-model.md")).unwrap();
    let section = text.split_once(SECTION).expect("the section on costs").1;
    let table = section.split_once(HEAD).expect("the table of costs").1;
    let stated: Vec<&str> = table.lines().skip(2).take_while(|line| line.starts_with('|')).collect();
    assert!(stated.len() > 10);

    let service = large_lab().await;
    let first = service.as_user("admin", "GET", "/api/v1/cases").send().await.expect(200);
    let newest = service.as_user("admin", "GET", "/api/v1/cases/changes?since=now").send().await.expect(200);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let places = BTreeMap::from([
        ("cursor", text(&first["pagination"]["next_cursor"])),
        ("since", text(&newest["next_cursor"])),
    ]);
    let mut counted = Vec::new();
    for line in &stated {
        let request = line.split('`').nth(1).expect("a request between backticks");
        counted.push(row(request, &cost(&service, request, &places).await));
    }
    assert_eq!(stated, counted, "as counted:\n{HEAD}\n|---|---|---|---|---|\n{}\n", counted.join("\n"));
}
