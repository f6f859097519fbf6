//! Requests that schemathesis makes up from the published contract, against the running stack.

use tokio::process::Command;

use crate::harness::{Stack, spec::root};

#[tokio::test(flavor = "multi_thread")]
async fn made_up_requests_get_only_answers_that_the_contract_promises() {
    let data = tempfile::tempdir().unwrap();
    let stack = Stack::start(data.path()).await;
    let token = stack.log_in("admin").await;
    let output = Command::new(root().join(".tools/venv/bin/schemathesis"))
        .arg("--config-file")
        .arg(root().join("tests/schemathesis.toml"))
        .arg("run")
        .arg(format!("{}/api/v1/openapi.yaml", stack.api))
        .env("LHCMS_TOKEN", token)
        .current_dir(root())
        .output()
        .await
        .expect("schemathesis of .tools: `make test` installs it");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(stack.leaks(), [""; 0]);
}
