//! Start and stop of the stack: the data stays, the processes end, and errors are one line.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::harness::{
    Stack,
    stack::{command, processes_of},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_the_data_and_a_stop_ends_every_process() {
    let data = tempfile::tempdir().unwrap();
    for (signal, cases) in [("-INT", 1), ("-TERM", 2)] {
        let stack = Stack::start(data.path()).await;
        let token = stack.log_in("admin").await;
        let body = json!({"procedure_type": "Crown"});
        assert_eq!(stack.send(&token, "POST", "/api/v1/cases", Some(&body)).await.status, 201);
        let list = stack.send(&token, "GET", "/api/v1/cases", None).await.json();
        assert_eq!(list["cases"].as_array().unwrap().len(), cases);
        assert!(processes_of(data.path()).len() > 5, "the functions run as processes of their own");
        assert!(stack.stop(signal).await.success(), "a stop on request is a success");
        assert_gone(&data).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_ends_when_the_supervisor_is_killed() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    stack.stop("-KILL").await;
    assert_gone(&data).await;
}

#[tokio::test]
async fn a_port_in_use_is_reported_with_what_to_do() {
    let data = tempfile::tempdir().unwrap();
    let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (variable, part) in
        [("API_PORT", "the API"), ("UMS_PORT", "the stand-in UMS"), ("DYNAMODB_PORT", "DynamoDB")]
    {
        let output = command(data.path()).env(variable, &port).output().await.unwrap();
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        let expected = format!(
            "port {port} is in use, so {part} cannot start; stop what uses it or set {variable} to another port"
        );
        assert!(errors.contains(&expected), "{errors}");
        assert_eq!(output.stdout, b"");
    }
}

async fn assert_gone(data: &tempfile::TempDir) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !processes_of(data.path()).is_empty() {
        assert!(Instant::now() < deadline, "left running: {:?}", processes_of(data.path()));
        sleep(Duration::from_millis(50)).await;
    }
}
