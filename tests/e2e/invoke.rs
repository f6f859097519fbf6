//! `cargo lambda invoke` with the events of `tests/events`.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{Stack, spec::root};

async fn invoke(stack: &Stack, function: &str, event: &Path) -> Value {
    let port = stack.api.rsplit(':').next().unwrap();
    let output = Command::new(root().join(".tools/venv/bin/cargo-lambda"))
        .args([
            "lambda",
            "invoke",
            function,
            "--invoke-address",
            "127.0.0.1",
            "--invoke-port",
            port,
            "--data-file",
        ])
        .arg(event)
        .stderr(Stdio::inherit())
        .output()
        .await
        .expect("cargo-lambda of .tools");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{function}: {error}: {output:?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_can_be_invoked_with_its_event() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    for (function, status) in [
        ("create-case", 201),
        ("list-cases", 200),
        ("get-case", 200),
        ("update-case", 200),
        ("update-case-status", 200),
        ("get-case-history", 200),
        ("verify-case-history", 200),
        ("bulk-update-status", 200),
        ("case-stats", 200),
        ("case-changes", 200),
        ("export-cases", 200),
        ("list-access", 200),
        ("get-case-access", 200),
        ("get-doctor", 200),
        ("delete-case", 204),
        ("restore-case", 200),
        ("remake-case", 201),
        ("catalog", 200),
        ("health", 200),
        ("docs", 200),
        ("fallback", 404),
    ] {
        let event = std::fs::read_to_string(root().join(format!("tests/events/{function}.json"))).unwrap();
        let with_token = data.path().join(format!("{function}.json"));
        std::fs::write(&with_token, event.replace("TOKEN", &token)).unwrap();
        let response = invoke(&stack, function, &with_token).await;
        assert_eq!(response["statusCode"], json!(status), "{function}: {response}");
    }
    let without_token = invoke(&stack, "get-case", &root().join("tests/events/get-case.json")).await;
    assert_eq!(without_token["statusCode"], 401);
}
