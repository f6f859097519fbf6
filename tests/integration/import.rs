//! `make import`: cases of the predecessor's database and of exports become cases of this service, with their ids, and with
//! everything that belongs to a case.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use lab_data::import::{Options, Report, Source, run};
use rusqlite::{Connection, params_from_iter};
use serde_json::{Value, json};
use shared::{
    base::{LabId, wire_enum::WireEnum},
    case::repair::{Mode, Repair},
    config::ImportConfig,
};

use crate::harness::{Fault, Service};

/// The predecessor's table: names and types of its columns.
const COLUMNS: [(&str, &str); 22] = [
    ("id", "INTEGER PRIMARY KEY"),
    ("lab_id", "VARCHAR(50) NOT NULL"),
    ("doctor_id", "VARCHAR(50)"),
    ("product_id", "VARCHAR(50)"),
    ("case_name", "VARCHAR(200)"),
    ("description", "TEXT"),
    ("priority", "VARCHAR(20)"),
    ("status", "VARCHAR(20)"),
    ("assigned_to", "VARCHAR(50)"),
    ("created_by", "VARCHAR(50)"),
    ("case_type", "VARCHAR(50)"),
    ("due_date", "DATE"),
    ("rush_order", "BOOLEAN"),
    ("special_instructions", "TEXT"),
    ("patient_info", "JSON"),
    ("fixed_prosthetic", "JSON"),
    ("denture", "JSON"),
    ("night_guard", "JSON"),
    ("implant", "JSON"),
    ("created_at", "TIMESTAMP"),
    ("updated_at", "TIMESTAMP"),
    ("legacy_flag", "INTEGER"),
];

const STATUSES: [&str; 5] = ["pending", "in_progress", "completed", "delivered", "cancelled"];

/// A row of the predecessor. Every case has values of its own.
pub(super) fn row(id: u64) -> Value {
    let mut row = json!({
        "id": id, "lab_id": if id.is_multiple_of(4) { "456" } else { "123" }, "doctor_id": format!("DOC{:03}", id % 40),
        "case_name": format!("Case Number{id}"), "description": "Contact is open", "priority": (["low", "medium", "high"][id as usize % 3]),
        "status": (STATUSES[id as usize % 5]), "assigned_to": format!("tech_{}", id % 9), "due_date": format!("2026-12-{:02}", id % 28 + 1),
        "rush_order": id.is_multiple_of(7), "special_instructions": "Überzug prüfen",
        "patient_info": {"patient_id": format!("P-{}", id % 500), "age": id % 90, "gender": "female"},
        "created_at": format!("2026-{:02}-{:02} 08:15:{:02}.123456", id % 10 + 1, id % 28 + 1, id % 60),
        "updated_at": format!("2026-11-{:02} 09:30:{:02}.5", id % 20 + 1, id % 60),
        "legacy_flag": 1,
    });
    let (kind, details) = match id % 3 {
        0 => ("denture", json!({"type": "complete_upper", "material": "acrylic_resin"})),
        1 => ("night_guard", json!({"type": "hard_guard", "material": "hard_acrylic", "arch": "upper"})),
        _ => (
            "fixed_prosthetic",
            json!({"type": "bridge", "material": "zirconia", "tooth_numbers": [3, 4], "shade": {"shade_system": "vita_classical", "shade_value": "A2"}}),
        ),
    };
    row["case_type"] = json!(kind);
    row[kind] = details;
    row
}

/// Writes the predecessor's database as SQLite has it: booleans are numbers, and JSON is text.
pub(super) fn sqlite(folder: &Path, rows: &[Value]) -> PathBuf {
    let path = folder.join("cases.db");
    let mut database = Connection::open(&path).unwrap();
    let columns = COLUMNS.map(|(name, kind)| format!("{name} {kind}")).join(", ");
    database.execute(&format!("CREATE TABLE cases ({columns})"), ()).unwrap();
    let marks = ["?"; COLUMNS.len()].join(", ");
    let insertion = database.transaction().unwrap();
    for row in rows {
        let value = |(name, _): (&str, &str)| match &row[name] {
            Value::Null => rusqlite::types::Value::Null,
            Value::Bool(value) => i64::from(*value).into(),
            Value::Number(number) => number.as_i64().unwrap().into(),
            Value::String(text) => text.clone().into(),
            json => json.to_string().into(),
        };
        let values = params_from_iter(COLUMNS.map(value));
        insertion.execute(&format!("INSERT INTO cases VALUES ({marks})"), values).unwrap();
    }
    insertion.commit().unwrap();
    path
}

/// The URL of an empty PostgreSQL database. Without it there is no test with PostgreSQL.
#[allow(clippy::disallowed_methods, reason = "a variable of the tests, no configuration")]
pub(super) fn postgres_url() -> Option<String> {
    std::env::var("LHCMS_TEST_POSTGRES").ok()
}

/// Fills the table `cases` of a PostgreSQL database.
pub(super) fn postgres(url: &str, folder: &Path, rows: &[Value]) {
    let columns = COLUMNS.map(|(name, kind)| format!("{name} {kind}")).join(", ");
    let file = folder.join("rows.sql");
    let rows = json!(rows).to_string().replace('\'', "''");
    let fill = format!(
        "DROP TABLE IF EXISTS cases; CREATE TABLE cases ({columns}); \
         INSERT INTO cases SELECT * FROM json_populate_recordset(null::cases, '{rows}');"
    );
    std::fs::write(&file, fill).unwrap();
    let psql = Command::new("psql")
        .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-f"])
        .arg(&file)
        .output()
        .unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
}

fn options(service: &Service, source: Source) -> Options {
    let config = ImportConfig { data: service.verification_config(), holidays: Vec::new() };
    Options { config, source, mode: Mode::Write, lab_codes: BTreeMap::new() }
}

async fn import(service: &Service, source: &Source) -> Report {
    run(&options(service, source.clone()), |_| {}).await.unwrap()
}

/// The repair tool finds no fault in the labs.
async fn check(service: &Service) {
    for lab in [123, 456] {
        let mut repair = Repair::new(&service.verification_config(), Mode::DryRun).unwrap();
        repair.unindexed_age = Duration::ZERO;
        let report = repair.run(LabId::new(lab).unwrap(), |_, _| {}).await.unwrap();
        let faults: Vec<_> =
            report.faults.iter().map(|fault| (fault.kind.as_str(), &fault.place, &fault.detail)).collect();
        assert_eq!(faults, []);
    }
}

/// A value without members that are `null`: a stored object has all its members.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().filter(|(_, value)| !value.is_null());
            members.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        other => other.clone(),
    }
}

/// Compares the stored cases with their rows: all values are those of the row, or what the documentation says.
async fn compare(service: &Service, rows: &[Value]) {
    let mut labs = BTreeMap::new();
    for lab in [123, 456] {
        labs.insert(lab.to_string(), service.items(lab).await);
    }
    compare_items(&labs, rows);
}

/// The same, with the items of each lab by sort key.
pub(super) fn compare_items(labs: &BTreeMap<String, BTreeMap<String, Value>>, rows: &[Value]) {
    for row in rows {
        let case =
            &labs[row["lab_id"].as_str().unwrap()][&format!("CASE#{:010}", row["id"].as_u64().unwrap())];
        for (name, _) in COLUMNS {
            let (is, was) = (&case[name], &row[name]);
            match name {
                "lab_id" => assert_eq!(is.as_str(), was.as_str()),
                "created_at" | "updated_at" => {
                    let (is, was) = (is.as_str().unwrap(), was.as_str().unwrap().replace(' ', "T"));
                    let milliseconds = was.len().min(23);
                    assert_eq!(is[..milliseconds], was[..milliseconds], "{name}");
                    assert!(is.ends_with('Z'));
                }
                "created_by" => assert_eq!(is, "import"),
                "legacy_flag" => assert_eq!(*is, Value::Null),
                _ => assert_eq!(without_nulls(is), *was, "{name}"),
            }
        }
        assert_eq!(case["version"], 1);
    }
    let cases = |items: &BTreeMap<String, Value>| items.keys().filter(|sk| sk.starts_with("CASE#")).count();
    assert_eq!(labs.values().map(cases).sum::<usize>(), rows.len());
}

#[tokio::test]
async fn the_predecessors_cases_become_cases_and_a_second_run_changes_nothing() {
    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let rows: Vec<Value> = (1..=60).map(row).collect();
    let source = Source::parse(sqlite(folder.path(), &rows).to_str().unwrap()).unwrap();

    let dry = Options { mode: Mode::DryRun, ..options(&service, source.clone()) };
    let expected = run(&dry, |_| {}).await.unwrap();
    assert_eq!(service.items(123).await, BTreeMap::new(), "a dry run writes nothing");

    let report = import(&service, &source).await;
    assert_eq!(report, expected);
    let counts = (report.rows, report.labs, report.written, report.existing, report.set_aside.len());
    assert_eq!(counts, (60, 2, 60, 0, 0));
    compare(&service, &rows).await;
    check(&service).await;

    let before = service.items(123).await;
    let again = import(&service, &source).await;
    assert_eq!((again.written, again.existing), (0, 60));
    assert_eq!(service.items(123).await, before);

    // It is there for every kind of request.
    let get = async |path: &str| service.as_user("admin", "GET", path).send().await.expect(200);
    let found = get("/api/v1/cases?q=number7").await;
    assert_eq!(found["cases"][0]["id"], 7);
    assert_eq!(get("/api/v1/cases/7/history/verify").await["valid"], true);
    let history = get("/api/v1/cases/7/history").await;
    let event = &history["events"][0];
    assert_eq!((&event["action"], &event["user_id"]), (&json!("imported"), &json!("import")));
    assert_eq!(get("/api/v1/cases/stats").await["total"], 45);
    assert_eq!(get("/api/v1/cases/changes?limit=100").await["changes"].as_array().unwrap().len(), 45);
    assert_eq!(get("/api/v1/cases/7").await["case_number"], "LAB123-202608-7");
    let created = service.create("admin", json!({"procedure_type": "Crown"})).await;
    assert_eq!(created["id"], 60, "the next id is above the highest one of the lab");
    service.as_user("admin", "PUT", "/api/v1/cases/7").json(json!({"notes": "new"})).send().await.expect(200);
    assert_eq!(get("/api/v1/cases/7/history/verify").await["valid"], true);
    let after = import(&service, &source).await;
    assert_eq!((after.written, after.existing), (0, 60), "a case that was changed since then stays as it is");
    assert_eq!(get("/api/v1/cases/7").await["notes"], "new");
}

#[tokio::test]
async fn an_import_that_is_killed_goes_on() {
    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let rows: Vec<Value> = (1..=400).map(row).collect();
    let source = Source::parse(sqlite(folder.path(), &rows).to_str().unwrap()).unwrap();
    for killed_in in ["TransactWriteItems", "BatchWriteItem"] {
        let calls = AtomicUsize::new(0);
        service.dynamodb.rule(move |name, _| {
            let is_late = name == killed_in && calls.fetch_add(1, Ordering::SeqCst) >= 3;
            if is_late { Fault::Hang } else { Fault::Pass }
        });
        let options = options(&service, source.clone());
        let killed = tokio::time::timeout(Duration::from_secs(2), run(&options, |_| {})).await;
        assert!(!matches!(killed, Ok(Ok(_))), "it ended before it was killed");
    }
    service.dynamodb.heal();
    let report = import(&service, &source).await;
    assert!(report.existing > 0 && report.written > 0, "{report:?}");
    assert_eq!(report.existing + report.written, 400);
    compare(&service, &rows).await;
    check(&service).await;
}

#[tokio::test]
async fn what_breaks_rules_is_set_aside_with_the_reason_and_without_the_value() {
    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let mut rows: Vec<Value> = (1..=9).map(row).collect();
    rows[0]["lab_id"] = json!("north");
    rows[1]["fixed_prosthetic"] = json!("{\"type\": \"bridge\"");
    rows[2]["status"] = json!("lost");
    rows[4]["fixed_prosthetic"]["tooth_numbers"] = json!([99]);
    rows[5]["created_at"] = Value::Null;
    rows[6]["patient_info"]["age"] = json!(-4);
    service.create("admin", json!({"procedure_type": "Crown"})).await;
    for _ in 0..8 {
        service.create("admin", json!({"procedure_type": "Crown"})).await;
    }
    let source = Source::parse(sqlite(folder.path(), &rows).to_str().unwrap()).unwrap();
    let report = import(&service, &source).await;
    let file = folder.path().join("aside.ndjson");
    report.write_set_aside(&file).unwrap();
    let text = std::fs::read_to_string(&file).unwrap();
    let mut found: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    found.sort_by_key(|aside| (aside["id"].as_u64(), aside["field"].as_str().map(str::to_owned)));
    let found: Vec<_> = found
        .iter()
        .map(|aside| {
            (aside["id"].as_u64().unwrap(), aside["field"].as_str(), aside["reason"].as_str().unwrap())
        })
        .collect();
    let taken = "another case of the lab has this id";
    assert_eq!(found[0], (1, None, "lab_id must be a whole number from 1"));
    assert!(found.contains(&(2, Some("/fixed_prosthetic"), "is not valid JSON")), "{found:?}");
    assert!(
        found.contains(&(
            5,
            Some("/fixed_prosthetic/tooth_numbers"),
            "each item must be a whole number from 1 to 32"
        )),
        "{found:?}"
    );
    assert!(found.iter().any(|aside| (aside.0, aside.1) == (7, Some("/patient_info/age"))), "{found:?}");
    assert!(
        found.contains(&(6, None, "created_at is missing")) && found.contains(&(9, None, taken)),
        "{found:?}"
    );
    assert_eq!(report.written, 2, "4 and 8 are of another lab");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(!text.contains("north") && !report.text().contains("Number"));
    check(&service).await;
}

#[tokio::test]
async fn an_export_becomes_the_same_cases_again() {
    let (old, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    for body in [
        json!({"procedure_type": "Crown", "patient_name": "=Jane", "notes": "a;b\n-c", "patient_info": {"age": 4}}),
        json!({"case_type": "denture", "denture": {"type": "complete_upper", "material": "acrylic_resin"}}),
    ] {
        old.create("admin", body).await;
    }
    let status = json!({"status": "in_progress"});
    old.as_user("admin", "PATCH", "/api/v1/cases/2/status").json(status).send().await.expect(200);
    let remake = json!({"reason_code": "fit", "reason": "Margin open"});
    old.as_user("admin", "POST", "/api/v1/cases/1/remakes").json(remake).send().await.expect(201);
    for format in ["csv", "ndjson"] {
        let path = format!("/api/v1/cases/export?format={format}");
        let file = folder.path().join(format!("cases.{format}"));
        std::fs::write(&file, old.as_user("admin", "GET", &path).send().await.bytes).unwrap();
        let new = Service::start().await;
        let report = import(&new, &Source::parse(file.to_str().unwrap()).unwrap()).await;
        assert_eq!((report.written, report.set_aside.len()), (3, 0), "{report:?}");
        let content = async |service: &Service| {
            let mut items = service.items(123).await;
            items.retain(|sk, _| sk.starts_with("CASE#"));
            for item in items.values_mut() {
                for name in ["version", "last_event_hash"] {
                    item.as_object_mut().unwrap().remove(name);
                }
            }
            items
        };
        assert_eq!(content(&new).await, content(&old).await, "{format}");
        check(&new).await;
    }
}

#[tokio::test]
async fn postgresql_is_read_as_sqlite_is() {
    let Some(url) = postgres_url() else {
        eprintln!("SKIPPED: LHCMS_TEST_POSTGRES is not the URL of an empty PostgreSQL database");
        return;
    };
    let (service, folder) = (Service::start().await, tempfile::tempdir().unwrap());
    let rows: Vec<Value> = (1..=60).map(row).collect();
    postgres(&url, folder.path(), &rows);
    let report = import(&service, &Source::parse(&url).unwrap()).await;
    assert_eq!((report.written, report.set_aside.len()), (60, 0), "{report:?}");
    compare(&service, &rows).await;
    check(&service).await;
}
