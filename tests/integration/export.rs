//! Exports: files for spreadsheets and other systems, in parts.

use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use crate::harness::Service;

#[tokio::test]
async fn csv_has_one_row_per_case_and_no_cell_that_a_spreadsheet_computes() {
    let service = Service::start().await;
    let formula = "=HYPERLINK(\"http://evil.example\",\"x\")";
    let first = service
        .create(
            "admin",
            json!({"procedure_type": "Crown", "patient_name": formula, "notes": "two\nlines, \"quoted\""}),
        )
        .await;
    service
        .create(
            "admin",
            json!({"procedure_type": "Bridge", "patient_info": {"age": 41}, "case_name": "-1+2"}),
        )
        .await;
    let reply = service.as_user("admin", "GET", "/api/v1/cases/export?order=asc").send().await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("text/csv; charset=utf-8")));
    assert_eq!(reply.header("content-disposition"), Some("attachment; filename=\"cases.csv\""));
    assert_eq!((reply.header("cache-control"), reply.header("x-next-cursor")), (Some("no-store"), None));
    let mut csv = csv::Reader::from_reader(&reply.bytes[..]);
    let names = csv.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 2);
    let cell = |row: usize, name: &str| {
        rows[row].get(names.iter().position(|column| column == name).unwrap()).unwrap().to_owned()
    };
    assert_eq!(cell(0, "id"), "1");
    assert_eq!(cell(0, "patient_name"), format!("'{formula}"));
    assert_eq!(cell(0, "notes"), "two\nlines, \"quoted\"");
    assert_eq!(cell(0, "created_at"), first["created_at"].as_str().unwrap());
    assert_eq!((cell(1, "case_name"), cell(1, "patient_name")), ("'-1+2".to_owned(), String::new()));
    let info: Value = serde_json::from_str(&cell(1, "patient_info")).unwrap();
    assert_eq!(info["age"], 41);
    // Every stored field of a case has a column.
    let derived = ["allowed_transitions", "warnings"];
    let members = first.as_object().unwrap().keys().filter(|name| !derived.contains(&name.as_str()));
    let mut members: Vec<&str> = members.map(String::as_str).collect();
    let mut columns: Vec<&str> = names.iter().collect();
    members.sort_unstable();
    columns.sort_unstable();
    assert_eq!(columns, members);
}

#[tokio::test]
async fn the_parts_of_an_export_join_into_one_file() {
    let service = Service::start().await;
    for _ in 0..7 {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
    let whole = service.as_user("admin", "GET", "/api/v1/cases/export").send().await;
    let (mut parts, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/v1/cases/export?limit=3{cursor}");
        let reply = service.as_user("admin", "GET", &path).send().await;
        assert_eq!(reply.status, 200);
        parts.extend(&reply.bytes);
        match reply.header("x-next-cursor") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(String::from_utf8(parts).unwrap(), String::from_utf8(whole.bytes).unwrap());
}

#[tokio::test]
async fn an_export_of_large_cases_stays_below_the_response_limit() {
    let service = Service::start().await;
    let long = "\"\n".repeat(1000);
    let body = json!({
        "procedure_type": "Crown", "notes": long.repeat(2), "special_instructions": long.repeat(2), "description": long,
    });
    let created = stream::iter(0..450).map(|_| service.create("admin", body.clone()));
    created.buffer_unordered(8).for_each(|_| async {}).await;
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    for part in 1.. {
        let path = format!("/api/v1/cases/export?format=ndjson&limit=1000{cursor}");
        let reply = service.as_user("admin", "GET", &path).send().await;
        // Lambda transfers the body as a JSON string.
        let text = String::from_utf8(reply.bytes.clone()).unwrap();
        assert!(json!(text).to_string().len() < 6 * 1024 * 1024);
        ids.extend(
            text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_u64().unwrap()),
        );
        match reply.header("x-next-cursor") {
            Some(next) => cursor = format!("&cursor={next}"),
            None => {
                assert!(part > 1, "all of it fits into one part");
                break;
            }
        }
    }
    assert_eq!(ids, (1..=450).rev().collect::<Vec<u64>>());
}

#[tokio::test]
async fn all_invalid_parameters_of_an_export_are_reported() {
    let service = Service::start().await;
    let path = "/api/v1/cases/export?format=xls&limit=1001&per_page=5&q=&sort=name";
    let reply = service.as_user("admin", "GET", path).send().await;
    reply.expect_problem(400, "invalid_parameter");
    let mut pointers = reply.pointers();
    pointers.sort_unstable();
    assert_eq!(pointers, ["/query/format", "/query/limit", "/query/per_page", "/query/q", "/query/sort"]);
}
