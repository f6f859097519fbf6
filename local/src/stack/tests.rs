use std::path::Path;

use super::*;
use crate::seed::Person;

/// Free ports, no API, data in `folder`, and the template of the project.
fn settings(folder: &Path, variables: &[(&str, &str)]) -> Settings {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let data = folder.to_str().unwrap();
    let defaults = [
        ("API_PORT", "0"),
        ("UMS_PORT", "0"),
        ("LINKSHUB_PORT", "0"),
        ("DYNAMODB_PORT", "0"),
        ("S3_PORT", "0"),
        ("SQS_PORT", "0"),
        ("RECEIVER_PORT", "0"),
        ("REALTIME_PORT", "0"),
        ("LOCAL_DATA_DIR", data),
        ("WITHOUT_API", "1"),
    ];
    let value = |name: &str| variables.iter().chain(&defaults).find(|(key, _)| *key == name).map(|it| it.1);
    Settings::new(&root, &[], |name| value(name).map(str::to_owned)).unwrap()
}

#[tokio::test]
async fn the_parts_answer_without_the_api_and_stop_with_the_stack() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &[]);
    let mut stack = Stack::default();
    stack.start(&settings).await.unwrap();
    let urls = stack.urls().clone();
    let client = Client::new(Duration::from_secs(5));
    for url in [format!("{}/health", urls.ums), format!("{}/health", urls.linkshub), urls.dynamodb.clone()] {
        assert_eq!(client.get(&url).await.unwrap().status, 200, "{url}");
    }
    stack.stop().await;
    for url in [&urls.ums, &urls.linkshub, &urls.dynamodb, &urls.s3, &urls.sqs, &urls.receiver] {
        assert!(Client::new(Duration::from_secs(5)).get(url).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_variable_that_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for variable in [
        "API_PORT",
        "UMS_PORT",
        "LINKSHUB_PORT",
        "DYNAMODB_PORT",
        "S3_PORT",
        "SQS_PORT",
        "RECEIVER_PORT",
        "REALTIME_PORT",
    ] {
        let settings = settings(folder.path(), &[(variable, &port)]);
        let mut stack = Stack::default();
        let error = stack.start(&settings).await.unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} is in use")), "{error}");
        assert!(error.contains(variable), "{error}");
        stack.stop().await;
    }
}

/// Starts the stack with a script in place of cargo-lambda, and returns the error.
async fn start_with_cargo_lambda(script: Option<&str>) -> String {
    use std::{fs, os::unix::fs::PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let mut settings = settings(folder.path(), &[("WITHOUT_API", "0")]);
    settings.tools = folder.path().to_owned();
    if let Some(script) = script {
        let program = folder.path().join("cargo-lambda");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut stack = Stack::default();
    let error = stack.start(&settings).await.unwrap_err().to_string();
    stack.stop().await;
    error
}

#[tokio::test]
async fn a_cargo_lambda_that_is_missing_or_ends_is_reported_at_once() {
    let error = start_with_cargo_lambda(None).await;
    assert!(error.contains("cargo-lambda is missing"), "{error}");
    let error = start_with_cargo_lambda(Some("exit 7")).await;
    assert!(error.contains("exited with 7"), "{error}");
}

#[tokio::test]
async fn a_function_that_ends_as_it_starts_is_reported_at_once() {
    let error =
        start_with_cargo_lambda(Some("echo 'ERROR command exited code=1'\nexec /bin/sleep 600")).await;
    assert!(error.contains("a function ended as it started"), "{error}");
}

#[tokio::test]
async fn data_that_another_stack_uses_is_locked() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &[]);
    let (mut first, mut second) = (Stack::default(), Stack::default());
    first.start(&settings).await.unwrap();
    let error = second.start(&settings).await.unwrap_err().to_string();
    assert!(error.contains("another stack uses this data") && error.contains("LOCAL_DATA_DIR"), "{error}");
    second.stop().await;
    first.stop().await;
    let mut third = Stack::default();
    third.start(&settings).await.unwrap();
    third.stop().await;
}

#[tokio::test]
async fn a_real_service_is_used_in_place_of_its_stand_in() {
    let folder = tempfile::tempdir().unwrap();
    let real =
        [("UMS_BASE_URL", "https://ums.example.com"), ("LINKSHUB_BASE_URL", "https://linkshub.example.com/")];
    let settings = settings(folder.path(), &real);
    let mut stack = Stack::default();
    stack.start(&settings).await.unwrap();
    let urls = stack.urls().clone();
    assert_eq!(urls.ums, "https://ums.example.com");
    assert_eq!(urls.linkshub, "https://linkshub.example.com");
    assert_eq!(stack.servers.len(), 4, "DynamoDB, S3, SQS and the receiver alone");
    stack.stop().await;
    let text = greeting(&settings, &urls);
    assert!(text.contains("UMS        https://ums.example.com\n"), "{text}");
    for of_stand_ins in ["stand-in", "admin123", "DOC001", "auth/login"] {
        assert!(!text.contains(of_stand_ins), "{text}");
    }
    assert!(text.contains("/api/v1/cases -H \"Authorization: Bearer $TOKEN\""), "{text}");
}

#[test]
fn the_greeting_names_every_part_and_every_id() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &[("WITHOUT_API", "0")]);
    let urls = Urls {
        api: "http://127.0.0.1:1".into(),
        ums: "http://127.0.0.1:2".into(),
        linkshub: "http://127.0.0.1:3".into(),
        dynamodb: "http://127.0.0.1:4".into(),
        s3: "http://127.0.0.1:5".into(),
        sqs: "http://127.0.0.1:6".into(),
        receiver: "http://127.0.0.1:7".into(),
        realtime: "http://127.0.0.1:8".into(),
    };
    let text = greeting(&settings, &urls);
    for part in 1..=7 {
        assert!(text.contains(&format!("http://localhost:{part}")), "{text}");
    }
    assert!(text.contains("ws://localhost:8/live"), "{text}");
    let row = |cells: &[&str]| {
        let is_row = |line: &str| {
            let mut rest = line;
            cells.iter().all(|cell| rest.split_once(cell).map(|(_, after)| rest = after).is_some())
        };
        assert!(text.lines().any(is_row), "{cells:?} in {text}");
    };
    for Person { id, username, password, .. } in seed::PEOPLE {
        row(&[&id.to_string(), username, password]);
    }
    row(&["123", "Riverside Dental Lab", "RIVERSIDE"]);
    row(&["doctor_north", "Nora Lindqvist", "456"]);
    row(&["crown_gold_001", "Gold crown", "(inactive)"]);
    assert!(text.contains("curl -i http://localhost:1/api/v1/cases"), "{text}");
}
