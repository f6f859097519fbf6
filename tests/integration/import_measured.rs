//! 20,000 cases, with the program that `make import` runs, killed twice. It is run by hand, because it takes minutes:
//! `cargo build -p lab-data && cargo test -p tests import_measured -- --ignored --nocapture`. The source is SQLite, or with
//! `LHCMS_TEST_POSTGRES` the database of that URL.

use std::{
    collections::BTreeMap,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use local::{dynamodb, table};
use serde_json::{Value, json};

use super::import::{compare_items, postgres, postgres_url, row, sqlite};
use crate::harness::{
    service::{AUDIT_TABLE, SEAL_KEYS, TABLE, plain},
    spec,
};

/// `lab-data` with the variables of `make`.
fn lab_data(url: &str, command: &str, variables: &[(&str, &str)]) -> Command {
    // The test binary lies in <target folder>/<profile>/deps.
    let deps = std::env::current_exe().unwrap();
    let mut program = Command::new(deps.ancestors().nth(2).unwrap().join("lab-data"));
    program.arg(command).envs([
        ("STAGE", "dev"),
        ("TABLE_NAME", TABLE),
        ("AUDIT_TABLE_NAME", AUDIT_TABLE),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_ENDPOINT_URL_DYNAMODB", url),
        ("SEAL_KEYS", SEAL_KEYS),
    ]);
    program.envs(variables.iter().copied()).stderr(Stdio::inherit());
    program
}

/// All items of a lab, by sort key.
async fn items(url: &str, lab: &str) -> BTreeMap<String, Value> {
    let (mut items, mut start) = (BTreeMap::new(), Value::Null);
    loop {
        let mut query = json!({
            "TableName": TABLE, "KeyConditionExpression": "lab_id = :lab", "Limit": 200,
            "ExpressionAttributeValues": {":lab": {"S": lab}},
        });
        if !start.is_null() {
            query["ExclusiveStartKey"] = start;
        }
        let mut answer = table::Api::new(url).call("Query", &query).await.unwrap();
        for item in answer["Items"].as_array().unwrap() {
            let item = plain(&json!({"M": item}));
            items.insert(item["sk"].as_str().unwrap().to_owned(), item);
        }
        start = answer["LastEvaluatedKey"].take();
        if start.is_null() {
            return items;
        }
    }
}

async fn count(url: &str) -> usize {
    let query = json!({
        "TableName": TABLE, "KeyConditionExpression": "lab_id = :lab AND begins_with(sk, :case)", "Select": "COUNT",
        "ExpressionAttributeValues": {":lab": {"S": "123"}, ":case": {"S": "CASE#"}},
    });
    let answer = table::Api::new(url).call("Query", &query).await.unwrap();
    // A page of the query is enough to see that the import goes on.
    usize::try_from(answer["Count"].as_u64().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn twenty_thousand_cases_are_imported_although_the_import_is_killed_twice() {
    let rows: Vec<Value> = (1..=20_000).map(row).collect();
    let folder = tempfile::tempdir().unwrap();
    let (name, source) = match postgres_url() {
        Some(url) => {
            postgres(&url, folder.path(), &rows);
            ("PostgreSQL", url)
        }
        None => ("SQLite", sqlite(folder.path(), &rows).to_str().unwrap().to_owned()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (server, _expiry) = dynamodb::serve(listener, &dynamodb::Storage::Memory).unwrap();
    for ((resource, _), table) in table::TABLES.into_iter().zip([TABLE, AUDIT_TABLE]) {
        let definition = table::Definition::read(&spec::root().join("template.yaml"), resource).unwrap();
        table::create(server.url(), table, &definition).await.unwrap();
    }
    let run = |command: &str, variables: &[(&str, &str)]| {
        let started = Instant::now();
        let output = lab_data(server.url(), command, variables).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{text}");
        eprintln!("{name}: {command} {variables:?}: {:.0?}\n{text}", started.elapsed());
        text
    };
    for at_least in [1, 300] {
        let mut process = lab_data(server.url(), "import", &[("SOURCE", &source)]).spawn().unwrap();
        while count(server.url()).await < at_least {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        process.kill().unwrap();
        process.wait().unwrap();
        eprintln!("{name}: killed");
    }
    let import = [("SOURCE", source.as_str())];
    let text = tokio::task::block_in_place(|| run("import", &import));
    assert!(!text.contains("         0 cases that an earlier run has written"), "{text}");
    let mut labs = BTreeMap::new();
    for lab in ["123", "456"] {
        labs.insert(lab.to_owned(), items(server.url(), lab).await);
    }
    compare_items(&labs, &rows);
    eprintln!("{name}: the table is equal to the source");
    for lab in ["123", "456"] {
        let text = tokio::task::block_in_place(|| run("check", &[("LAB", lab)]));
        assert!(text.contains("         0 faults\n"));
    }
    let text = tokio::task::block_in_place(|| run("import", &import));
    assert!(text.contains("         0 cases written\n"), "{text}");
}
