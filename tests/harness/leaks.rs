//! What must never get out, looked for in the functions' log of the whole run, at its most talkative, and in every reply.

use std::{
    io::{self, Write},
    panic,
    sync::{LazyLock, Mutex},
};

use serde_json::Value;

use super::{
    Reply,
    service::{CURSOR_SECRET, SECRET},
};

/// What tests plant where something could leak from. Letters and digits, so that it survives every encoding.
pub(crate) const CANARY: &str = "C4N4RY";

/// Canaries, as they are and in lower case as searches take them; the patients of the tests; what every token begins
/// with (`{"` in Base64); the secrets.
const NEVER: [&str; 9] =
    [CANARY, "c4n4ry", "Jane Roe", "John Smith", "John Doe", "Nora North", "eyJ", SECRET, CURSOR_SECRET];

/// The log since the first service started.
static LOG: LazyLock<Mutex<Log>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Log {
    lines: Vec<String>,
    leaks: Vec<String>,
}

/// The functions' standard output.
struct Output;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = String::from_utf8_lossy(bytes).into_owned();
        let mut log = LOG.lock().unwrap();
        log.leaks.extend(is_leak(&line).then(|| line.clone()));
        log.lines.push(line);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Starts the functions' log. Panics show up in it as they do on Lambda, and besides as they do in tests.
pub(crate) fn watch() {
    static STARTED: LazyLock<()> = LazyLock::new(|| {
        let of_tests = panic::take_hook();
        shared::telemetry::start_into(tracing::Level::TRACE, || Output);
        let of_functions = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            of_functions(info);
            of_tests(info);
        }));
    });
    LazyLock::force(&STARTED);
}

/// The lines of the log, of any test of this run, that should not be there.
pub(crate) fn in_log() -> Vec<String> {
    LOG.lock().unwrap().leaks.clone()
}

/// The lines of some other output that should not be there.
pub(crate) fn in_text(text: &str) -> Vec<String> {
    text.lines().filter(|line| is_leak(line)).map(str::to_owned).collect()
}

/// The lines of the log with this text.
pub(crate) fn lines_with(text: &str) -> Vec<String> {
    LOG.lock().unwrap().lines.iter().filter(|line| line.contains(text)).cloned().collect()
}

/// The parts of a reply that should not be there. A success may say what the lab itself has said. Two places repeat
/// what was sent, and only to the sender: the pointers of faults name unknown fields and parameters, and a redirect
/// leads to the same path and query.
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
