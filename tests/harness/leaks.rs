//! Looks for patient data, tokens and secrets in every reply and in the functions' log of the whole run, at level TRACE.

use std::{
    io::{self, Write},
    panic,
    sync::{LazyLock, Mutex},
};

use serde_json::Value;
use shared::config::Stage;

use super::{
    Reply, emf,
    service::{CURSOR_SECRET, ORIGIN_SECRET, SECRET},
};

/// The text that tests put where something could leak. It has only letters and digits, so that no encoding changes it.
pub(crate) const CANARY: &str = "C4N4RY";

/// Canaries, also in lower case as in the search attribute; the patients of the tests; the beginning of every token (`{"` in
/// Base64); the secrets.
const NEVER: [&str; 11] = [
    CANARY,
    "c4n4ry",
    "Jane Roe",
    "John Smith",
    "John Doe",
    "Nora North",
    "eyJ",
    SECRET,
    CURSOR_SECRET,
    ORIGIN_SECRET,
    // Secrets of webhooks.
    "whsec_",
];

/// The log since the first service started.
static LOG: LazyLock<Mutex<Log>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    leaks: Vec<String>,
    /// Faults of lines with metrics.
    faults: Vec<String>,
}

/// The functions' standard output.
struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).into_owned();
        let faults = emf::faults(&line);
        let mut log = LOG.lock().unwrap();
        log.faults.extend(faults);
        log.leaks.extend(is_leak(&line).then(|| line.clone()));
        log.lines.push(line);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the functions' log. Panics appear in it as on Lambda, and in the output of the test as usual.
pub(crate) fn watch() {
    static STARTED: LazyLock<()> = LazyLock::new(|| {
        let of_tests = panic::take_hook();
        shared::telemetry::start_into(tracing::Level::TRACE, Stage::Dev, || Output);
        let of_functions = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            of_functions(info);
            of_tests(info);
        }));
    });
    LazyLock::force(&STARTED);
}

/// The log lines with a leak, of all tests of this run.
pub(crate) fn in_log() -> Vec<String> {
    LOG.lock().unwrap().leaks.clone()
}

/// The faults of lines with metrics, of all tests of this run.
pub(crate) fn faults_of_metrics() -> Vec<String> {
    LOG.lock().unwrap().faults.clone()
}

/// The lines of another output with a leak.
pub(crate) fn in_text(text: &str) -> Vec<String> {
    text.lines().filter(|line| is_leak(line)).map(str::to_owned).collect()
}

/// The lines of the log with this text.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    LOG.lock().unwrap().lines.iter().filter(|line| line.contains(text)).cloned().collect()
}

/// The parts of a reply with a leak. A success may contain the lab's own data. Two places may repeat the request to its
/// sender: the pointers of errors name unknown fields and parameters, and a redirect has the same path and query.
pub(crate) fn in_reply(reply: &Reply) -> Vec<String> {
    let headers = reply.headers.iter().filter(|(name, _)| reply.status != 308 || *name != "location");
    let mut parts: Vec<String> = headers.map(|(name, value)| format!("{name}: {value:?}")).collect();
    if reply.status >= 400 {
        let mut body: Value = serde_json::from_slice(&reply.bytes).unwrap_or_default();
        for fault in body.get_mut("errors").and_then(Value::as_array_mut).into_iter().flatten() {
            fault["pointer"].take();
        }
        parts.push(if body.is_null() {
            String::from_utf8_lossy(&reply.bytes).into_owned()
        } else {
            body.to_string()
        });
    }
    parts.retain(|part| is_leak(part));
    parts
}

fn is_leak(text: &str) -> bool {
    NEVER.iter().any(|never| text.contains(never))
}
