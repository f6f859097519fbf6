//! The stack of `make dev` on free ports, as a process of its own, driven over HTTP.

use std::{
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use axum::http::Method;
use local::client::{Answer, Client};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout, Command},
    sync::{Mutex, MutexGuard},
    time::timeout,
};

use super::{leaks, spec::root};

/// The first start compiles nothing, but starts every function through cargo.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(20);

/// One stack at a time: each has dozens of processes, and a machine has few cores.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A running stack. Dropping it kills it.
pub(crate) struct Stack {
    _turn: MutexGuard<'static, ()>,
    child: Child,
    _output: Lines<BufReader<ChildStdout>>,
    /// The log of the functions and the parts.
    log: PathBuf,
    pub(crate) api: String,
    pub(crate) ums: String,
    client: Client,
}

/// A program of this build.
pub(crate) fn program(name: &str) -> PathBuf {
    // The test binary lies in <target folder>/<profile>/deps.
    let deps = std::env::current_exe().unwrap();
    let program = deps.ancestors().nth(2).unwrap().join(name);
    assert!(program.is_file(), "{} is missing: run `make test`, which builds it", program.display());
    program
}

/// The command that `make dev` runs after its builds, with its data in `data`.
pub(crate) fn command(data: &Path) -> Command {
    let program = program("lhcms-local");
    let mut command = Command::new(program);
    command.current_dir(root()).env("LOCAL_DATA_DIR", data).kill_on_drop(true);
    for port in [
        "API_PORT",
        "UMS_PORT",
        "LINKSHUB_PORT",
        "DYNAMODB_PORT",
        "S3_PORT",
        "SQS_PORT",
        "RECEIVER_PORT",
        "REALTIME_PORT",
    ] {
        command.env(port, "0");
    }
    command
}

impl Stack {
    /// Starts a stack with its data in `data`, and waits for its greeting.
    pub(crate) async fn start(data: &Path) -> Self {
        let turn = ONE_AT_A_TIME.lock().await;
        let log = data.join("stack.log");
        let errors = std::fs::File::create(&log).unwrap();
        let mut child = command(data).stdout(Stdio::piped()).stderr(errors).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines();
        let (mut api, mut ums) = (None, None);
        let greeting = async {
            while let Ok(Some(line)) = output.next_line().await {
                let mut words = line.split_whitespace();
                match (words.next(), words.next()) {
                    (Some("API"), Some(url)) => api = url.strip_suffix("/api/v1/cases").map(str::to_owned),
                    (Some("UMS"), Some(url)) => ums = Some(url.to_owned()),
                    // The last line of the greeting.
                    _ if line.trim_start().starts_with("-d '{\"patient_name\"") => return,
                    _ => {}
                }
            }
        };
        let said = timeout(START, greeting).await;
        let (Ok(()), Some(api), Some(ums)) = (said, api, ums) else {
            panic!("the stack did not start:\n{}", std::fs::read_to_string(&log).unwrap_or_default());
        };
        Self {
            _turn: turn,
            child,
            _output: output,
            log,
            api,
            ums,
            client: Client::new(Duration::from_secs(30)),
        }
    }

    /// Logs in at the stand-in UMS and returns the access token.
    pub(crate) async fn log_in(&self, username: &str) -> String {
        let login = json!({"username": username, "password": format!("{username}123")});
        let headers = [("content-type", "application/json")];
        let url = format!("{}/api/auth/login", self.ums);
        let answer = self.client.send(Method::POST, &url, &headers, login.to_string()).await.unwrap();
        assert_eq!(answer.status, 200);
        answer.json()["access_token"].as_str().unwrap().to_owned()
    }

    /// Sends a request to the API with a token, and follows a redirect.
    pub(crate) async fn send(&self, token: &str, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let answer = self.send_once(token, method, path, body).await;
        match answer.headers.get("location") {
            Some(location) if answer.status == 308 => {
                self.send_once(token, method, location.to_str().unwrap(), body).await
            }
            _ => answer,
        }
    }

    /// Sends a request to the API with a token.
    pub(crate) async fn send_once(
        &self,
        token: &str,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Answer {
        let authorization = format!("Bearer {token}");
        let mut headers = vec![("authorization", authorization.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let url = format!("{}{path}", self.api);
        let body = body.map(Value::to_string).unwrap_or_default();
        self.client.send(method.parse().unwrap(), &url, &headers, body).await.unwrap()
    }

    /// Everything that was logged since the start.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// The lines of the log that must not be there.
    pub(crate) fn leaks(&self) -> Vec<String> {
        let log = self.log();
        assert!(log.contains("\"message\":\"request\""), "the functions log elsewhere: {log}");
        leaks::in_text(&log)
    }

    /// Sends the process a signal and waits for its end.
    pub(crate) async fn stop(mut self, signal: &str) -> ExitStatus {
        let id = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([signal, &id]).status().unwrap().success());
        timeout(STOP, self.child.wait()).await.expect("the stack stops in time").unwrap()
    }
}

/// The processes that a stack with its data in `data` started and that still run: their ids and programs.
pub(crate) fn processes_of(data: &Path) -> Vec<(u32, PathBuf)> {
    let marker = format!("LOCAL_DATA_DIR={}", data.display());
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environment.split(|byte| *byte == 0).any(|variable| variable == marker.as_bytes()) {
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            found.extend(id.map(|id| (id, std::fs::read_link(entry.path().join("exe")).unwrap_or_default())));
        }
    }
    found
}
