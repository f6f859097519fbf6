use std::path::Path;

use super::*;

/// Free ports, no API, data in `folder`, and the template of the project.
fn settings(folder: &Path, variables: &[(&str, &str)]) -> Settings {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let data = folder.to_str().unwrap();
    let defaults = [
        ("API_PORT", "0"),
        ("UMS_PORT", "0"),
        ("LINKSHUB_PORT", "0"),
        ("DYNAMODB_PORT", "0"),
        ("LOCAL_DATA_DIR", data),
        ("WITHOUT_API", "1"),
    ];
    let value = |name: &str| variables.iter().chain(&defaults).find(|(key, _)| *key == name).map(|it| it.1);
    Settings::new(&root, &[], |name| value(name).map(str::to_owned)).unwrap()
}

#[tokio::test]
async fn the_parts_answer_without_the_api_and_are_gone_after_the_stop() {
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
    for url in [&urls.ums, &urls.linkshub, &urls.dynamodb] {
        assert!(Client::new(Duration::from_secs(5)).get(url).await.is_err(), "{url}");
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_variable_that_changes_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for variable in ["API_PORT", "UMS_PORT", "LINKSHUB_PORT", "DYNAMODB_PORT"] {
        let settings = settings(folder.path(), &[(variable, &port)]);
        let mut stack = Stack::default();
        let error = stack.start(&settings).await.unwrap_err().to_string();
        assert!(error.contains(&format!("port {port} is in use")), "{error}");
        assert!(error.contains(variable), "{error}");
        stack.stop().await;
    }
}

/// Starts the stack with a script in place of cargo-lambda, and gives the error that this must end in.
async fn start_with_gateway(script: Option<&str>) -> String {
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
async fn a_gateway_that_is_missing_or_ends_is_told_at_once() {
    let error = start_with_gateway(None).await;
    assert!(error.contains("cargo-lambda is missing"), "{error}");
    let error = start_with_gateway(Some("exit 7")).await;
    assert!(error.contains("exited with 7"), "{error}");
}

#[tokio::test]
async fn a_function_that_ends_as_it_starts_is_told_at_once() {
    let error = start_with_gateway(Some("echo 'ERROR command exited code=1'\nexec /bin/sleep 600")).await;
    assert!(error.contains("a function ended as it started"), "{error}");
}

#[test]
fn the_greeting_names_every_part_and_person() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &[("WITHOUT_API", "0")]);
    let urls = Urls {
        api: "http://127.0.0.1:1".into(),
        ums: "http://127.0.0.1:2".into(),
        linkshub: "http://127.0.0.1:3".into(),
        dynamodb: "http://127.0.0.1:4".into(),
    };
    let text = greeting(&settings, &urls);
    for part in 1..=4 {
        assert!(text.contains(&format!("http://localhost:{part}")), "{text}");
    }
    for Person { username, password, .. } in seed::PEOPLE {
        assert!(text.contains(username) && text.contains(password), "{username}");
    }
    assert!(text.contains("curl -i http://localhost:1/api/v1/cases"), "{text}");
}
