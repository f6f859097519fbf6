//! The processes of the functions: cargo-lambda, and the first request to each function.

use std::time::Duration;

use axum::http::StatusCode;
use serde_json::json;
use tokio::{
    net::TcpStream,
    time::{Instant, sleep},
};

use super::{START, Urls};
use crate::{
    Error, Result,
    client::Client,
    config::{Settings, WITHHELD},
    process::{self, Supervised},
};

/// What cargo-lambda logs when a process of a function ends by itself or by a signal. It does not restart the process.
const FUNCTION_ENDED: [&str; 2] = ["command exited", "command killed"];

/// Starts cargo-lambda at this URL.
pub(super) fn start(settings: &Settings, urls: &Urls, cargo_lambda: &str) -> Result<Supervised> {
    let port = cargo_lambda.rsplit(':').next().unwrap_or_default();
    let program = settings.tools.join("cargo-lambda");
    if !program.is_file() {
        return Err(Error::new(format!("{} is missing; `make dev` installs it", program.display())));
    }
    process::start(&program, settings.supervisor.as_deref(), &FUNCTION_ENDED, |command| {
        // No --timeout: it also limits the time that a function waits for the next request, so it would end every function
        // that gets no request for that long (cargo-lambda 1.9.2).
        command.args(["lambda", "watch", "--quiet", "--invoke-address", "127.0.0.1"]);
        command.args(["--invoke-port", port]);
        command.args(["--concurrency", &settings.concurrency.to_string()]);
        if settings.release {
            command.arg("--release");
        }
        if !settings.watch {
            command.arg("--ignore-changes");
        }
        command.current_dir(&settings.root);
        for name in WITHHELD {
            command.env_remove(name);
        }
        command.envs(settings.child_environment(urls));
    })
}

/// Waits for cargo-lambda and sends a first request to each function, which starts it. One after the other: each start runs
/// cargo, which can only run once at a time.
pub(super) async fn wake(cargo_lambda: &str, functions: &[String]) -> Result<()> {
    let address = cargo_lambda.trim_start_matches("http://");
    let deadline = Instant::now() + START;
    while let Err(error) = TcpStream::connect(address).await {
        if Instant::now() > deadline {
            return Err(Error::new(format!("cargo lambda watch does not listen on {address}: {error}")));
        }
        sleep(Duration::from_millis(50)).await;
    }
    let client = Client::new(START);
    for function in functions {
        let is_triggered = contract::TRIGGERED.contains(&function.as_str());
        let answer = if is_triggered {
            client.invoke(cargo_lambda, function, &json!({"Records": []})).await
        } else {
            // cargo-lambda sends this path to the function of that name. Without a token, and on a path that no function has,
            // the request changes nothing. Any answer of the function is fine.
            client.get(&format!("{cargo_lambda}/lambda-url/{function}/first-request")).await
        };
        let why = match answer {
            // A run without a request may fail while the machine is busy; its log says why.
            Ok(answer) if is_triggered || answer.status != StatusCode::INTERNAL_SERVER_ERROR => continue,
            Ok(answer) => format!("answers {}", answer.status),
            Err(_) => format!("did not answer its first request in {} s", START.as_secs()),
        };
        return Err(Error::new(format!("the function {function} {why}; see its output above")));
    }
    Ok(())
}
