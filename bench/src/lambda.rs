//! Lambda for one process: the Runtime API over HTTP, and an execution environment with a real binary in it.

use std::{
    path::PathBuf,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use local::{Error, Result, server::Server};
use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    process::{Child, Command},
    sync::{Mutex, mpsc},
    time::timeout,
};

/// How long a process may take to ask for its first event, and to answer one. Under valgrind it is 50 times slower.
const PATIENCE: Duration = Duration::from_secs(120);
/// The time to its deadline that each invocation has, as in Lambda.
const DEADLINE: Duration = Duration::from_secs(60);

/// What starts a process: the program, its arguments before it (such as valgrind's), and all of its environment.
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    /// A program that runs `program`, with its arguments.
    pub(crate) under: Vec<String>,
    /// The environment. Nothing is inherited, so that counts of instructions do not depend on the shell.
    pub(crate) environment: Vec<(String, String)>,
    /// The file for its log lines; `None` drops them.
    pub(crate) log: Option<PathBuf>,
}

/// An execution environment: one process, which gets one event at a time.
#[derive(Debug)]
pub(crate) struct Environment {
    child: Child,
    events: mpsc::Sender<Bytes>,
    reports: mpsc::Receiver<Report>,
    _server: Server,
    /// From the start of the process to its first request for an event.
    pub(crate) init: Duration,
}

/// What the process told the Runtime API.
#[derive(Debug)]
enum Report {
    /// It asks for an event.
    Ready,
    /// It has answered, at this time.
    Answered(Instant, Bytes),
    /// It reports that it cannot start or that an invocation failed.
    Failed(String),
}

#[derive(Debug)]
struct RuntimeApi {
    events: Mutex<mpsc::Receiver<Bytes>>,
    reports: mpsc::Sender<Report>,
}

/// The answer to an event.
#[derive(Debug)]
pub(crate) struct Answer {
    /// From the event's departure to the complete answer.
    pub(crate) latency: Duration,
    /// The status for the client.
    pub(crate) status: u16,
    /// The body that the gateway sends to the client.
    pub(crate) body: Vec<u8>,
    /// Whether the function compressed the body.
    pub(crate) is_compressed: bool,
}

impl Answer {
    /// The body as JSON.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// The answer as a function gives it to the gateway.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GatewayAnswer {
    status_code: u16,
    #[serde(default)]
    headers: std::collections::BTreeMap<String, String>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

impl Launch {
    /// The same with another value of an environment variable.
    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut launch = self.clone();
        launch.environment.retain(|(other, _)| other != name);
        launch.environment.push((name.to_owned(), value.to_owned()));
        launch
    }
}

impl Environment {
    /// Starts a process and waits until it asks for its first event.
    pub(crate) async fn start(launch: &Launch) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| failed("no port", &error))?;
        let address = listener.local_addr().map_err(|error| failed("no port", &error))?;
        let (events, waiting_events) = mpsc::channel(1);
        let (reports, waiting_reports) = mpsc::channel(4);
        let api = Arc::new(RuntimeApi { events: Mutex::new(waiting_events), reports });
        let server = Server::start("the Runtime API", listener, router(api))?;

        let log = match &launch.log {
            Some(file) => std::fs::File::options().create(true).append(true).open(file).map(Stdio::from),
            None => Ok(Stdio::null()),
        };
        let log = log.map_err(|error| failed("no log file", &error))?;
        let mut words = launch.under.iter().map(String::as_str).chain(launch.program.to_str());
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).env_clear().envs(launch.environment.iter().cloned());
        command.env("AWS_LAMBDA_RUNTIME_API", address.to_string());
        command.stdin(Stdio::null()).stdout(log).stderr(Stdio::inherit()).kill_on_drop(true);
        let began = Instant::now();
        let child = command.spawn().map_err(|error| failed(&launch.program.display().to_string(), &error))?;
        let mut environment =
            Self { child, events, reports: waiting_reports, _server: server, init: Duration::ZERO };
        environment.ready().await?;
        environment.init = began.elapsed();
        Ok(environment)
    }

    /// Sends an event, waits for the answer, and until the process asks for the next event.
    pub(crate) async fn invoke(&mut self, event: &serde_json::Value) -> Result<Answer> {
        let event = Bytes::from(event.to_string());
        let sent = Instant::now();
        self.events.send(event).await.map_err(|error| failed("the event was not sent", &error))?;
        let (at, payload) = match self.report().await? {
            Report::Answered(at, payload) => (at, payload),
            Report::Failed(why) => return Err(Error::new(format!("the function failed: {why}"))),
            Report::Ready => return Err(Error::new("the function asked for an event before it answered")),
        };
        self.ready().await?;
        let answer: GatewayAnswer = serde_json::from_slice(&payload)
            .map_err(|error| failed("not an answer for the gateway", &error))?;
        let text = answer.body.unwrap_or_default();
        let body = match answer.is_base64_encoded {
            true => BASE64_STANDARD.decode(text).map_err(|error| failed("not base64", &error))?,
            false => text.into_bytes(),
        };
        let is_compressed = answer.headers.keys().any(|name| name.eq_ignore_ascii_case("content-encoding"));
        Ok(Answer { latency: at - sent, status: answer.status_code, body, is_compressed })
    }

    /// The id of the process.
    pub(crate) fn id(&self) -> Result<u32> {
        self.child.id().ok_or_else(|| Error::new("the process has ended"))
    }

    /// Ends the process as Lambda does, with SIGTERM, and waits for its end.
    pub(crate) async fn stop(mut self) -> Result<()> {
        let id = self.id()?;
        let pid =
            i32::try_from(id).ok().and_then(Pid::from_raw).ok_or_else(|| Error::new("no process id"))?;
        kill_process(pid, Signal::TERM).map_err(|error| failed("SIGTERM", &error))?;
        let ended = timeout(PATIENCE, self.child.wait()).await;
        ended
            .map_err(|error| failed("the process does not end", &error))?
            .map_err(|error| failed("wait", &error))?;
        Ok(())
    }

    async fn ready(&mut self) -> Result<()> {
        match self.report().await? {
            Report::Ready => Ok(()),
            Report::Failed(why) => Err(Error::new(format!("the function does not start: {why}"))),
            Report::Answered(..) => Err(Error::new("the function answered twice")),
        }
    }

    async fn report(&mut self) -> Result<Report> {
        tokio::select! {
            report = timeout(PATIENCE, self.reports.recv()) => match report {
                Ok(Some(report)) => Ok(report),
                _ => Err(Error::new("the function does not answer")),
            },
            ended = self.child.wait() => Err(Error::new(format!("the function ended: {ended:?}"))),
        }
    }
}

fn router(api: Arc<RuntimeApi>) -> Router {
    const VERSION: &str = "/2018-06-01/runtime";
    Router::new()
        .route(&format!("{VERSION}/invocation/next"), get(next))
        .route(&format!("{VERSION}/invocation/{{id}}/response"), post(response))
        .route(&format!("{VERSION}/invocation/{{id}}/error"), post(error))
        .route(&format!("{VERSION}/init/error"), post(error))
        // Lambda takes 6 MB.
        .layer(DefaultBodyLimit::max(6 << 20))
        .with_state(api)
}

async fn next(State(api): State<Arc<RuntimeApi>>) -> Response {
    let mut events = api.events.lock().await;
    // An error means that the benchmark has dropped the environment.
    let _ = api.reports.send(Report::Ready).await;
    let Some(event) = events.recv().await else { return StatusCode::GONE.into_response() };
    let deadline = (SystemTime::now() + DEADLINE).duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let headers = [
        ("lambda-runtime-aws-request-id", "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned()),
        ("lambda-runtime-deadline-ms", deadline.to_string()),
        (
            "lambda-runtime-invoked-function-arn",
            "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned(),
        ),
        ("content-type", "application/json".to_owned()),
    ];
    (headers.map(|(name, value)| (HeaderName::from_static(name), value)), event).into_response()
}

async fn response(State(api): State<Arc<RuntimeApi>>, body: Bytes) -> StatusCode {
    let _ = api.reports.send(Report::Answered(Instant::now(), body)).await;
    StatusCode::ACCEPTED
}

async fn error(State(api): State<Arc<RuntimeApi>>, body: Bytes) -> StatusCode {
    let _ = api.reports.send(Report::Failed(String::from_utf8_lossy(&body).into_owned())).await;
    StatusCode::ACCEPTED
}

fn failed(what: &str, why: &dyn std::fmt::Display) -> Error {
    Error::new(format!("{what}: {why}"))
}
