//! `cargo lambda invoke` with the events of `tests/events`.

use std::{path::Path, process::Stdio};

use serde_json::{Value, json};
use tokio::process::Command;

use crate::harness::{
    Stack,
    spec::{self, root},
};

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

/// Which functions come first and last, because of what they do to the one case and the one webhook; the second place is that of
/// all others.
const ORDER: [&str; 6] = ["create-case", "", "delete-case", "restore-case", "remake-case", "delete-webhook"];

/// The time in the event of a replay, which can begin at most 30 days ago.
const SINCE: &str = "2026-11-28T09:30:00.000Z";

/// Their events are of what does not exist: a delivery that has failed, and a file, whose id is random.
const NOT_FOUND: [&str; 5] = [
    "retry-webhook-delivery",
    "complete-attachment",
    "delete-attachment",
    "get-attachment",
    "get-attachment-upload",
];

/// The status that the contract promises for the good request of an event; 404 where it has no such operation.
fn promised(event: &Value) -> u16 {
    let (method, path) = (&event["requestContext"]["http"]["method"], &event["rawPath"]);
    let Some((operation, _)) = spec::route(method.as_str().unwrap(), path.as_str().unwrap()) else {
        return 404;
    };
    let mut statuses = operation.value["responses"].as_object().unwrap().keys();
    statuses.find(|status| status.starts_with('2')).expect("a success").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_function_can_be_invoked_with_its_event() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let mut functions: Vec<&str> = spec::CONTRACT.functions().into_iter().map(|(name, _)| name).collect();
    functions.sort_by_key(|function| ORDER.iter().position(|first| first == function).unwrap_or(1));
    functions.push("fallback");
    for function in functions {
        let event = std::fs::read_to_string(root().join(format!("tests/events/{function}.json"))).unwrap();
        let with_token = data.path().join(format!("{function}.json"));
        let recent = jiff::Timestamp::now().to_string();
        std::fs::write(&with_token, event.replace("TOKEN", &token).replace(SINCE, &recent)).unwrap();
        let response = invoke(&stack, function, &with_token).await;
        let status = match NOT_FOUND.contains(&function) {
            true => 404,
            false => promised(&serde_json::from_str(&event).unwrap()),
        };
        assert_eq!(response["statusCode"], json!(status), "{function}: {response}");
    }
    let without_token = invoke(&stack, "get-case", &root().join("tests/events/get-case.json")).await;
    assert_eq!(without_token["statusCode"], 401);
}
