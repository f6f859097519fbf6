//! Calling functions through cargo-lambda, which runs their processes.

use std::time::Duration;

use axum::{body::Bytes, http::Method};
use tokio::{
    sync::{oneshot, watch},
    time::sleep,
};

use super::{admission::Slot, fault::Fault};
use crate::client::Client;

/// Answers are read up to this size; Lambda's limit is lower and has its own answer.
const MAX_ANSWER: usize = 64 << 20;

/// What an event is.
const JSON: [(&str, &str); 1] = [("content-type", "application/json")];

/// Nobody waits so long: an answer that comes late still gives its slot back.
const FOREVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How long functions may take.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// The gateway's limit for an answer.
    pub limit: Duration,
    /// The `Timeout` of the functions: once a process has ended, a request without an answer for so long was its.
    pub function: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self { limit: Duration::from_secs(30), function: Duration::from_secs(10) }
    }
}

/// The functions behind cargo-lambda.
#[derive(Debug)]
pub(super) struct Functions {
    client: Client,
    cargo_lambda: String,
    times: Times,
    /// How many processes have ended. Nobody says of which function: cargo-lambda does not.
    ended: watch::Sender<usize>,
}

impl Functions {
    pub(super) fn new(cargo_lambda: &str, times: Times) -> Self {
        let client = Client::new(FOREVER).max_body(MAX_ANSWER);
        Self { client, cargo_lambda: cargo_lambda.to_owned(), times, ended: watch::Sender::new(0) }
    }

    /// Takes note that a process has ended.
    pub(super) fn process_ended(&self) {
        self.ended.send_modify(|count| *count += 1);
    }

    /// The payload that the function answers. The call goes on when the caller goes away, as it does on Lambda: what a
    /// function has begun it completes, and only then is there room for the next request.
    pub(super) async fn invoke(&self, function: &str, event: Vec<u8>, slot: Slot) -> Result<Bytes, Fault> {
        let url = format!("{}/2015-03-31/functions/{function}/invocations", self.cargo_lambda);
        let (client, mut ended, times) = (self.client.clone(), self.ended.subscribe(), self.times);
        let function = function.to_owned();
        let (answered, answer) = oneshot::channel();
        tokio::spawn(async move {
            let mut call = std::pin::pin!(client.send(Method::POST, &url, &JSON, event));
            let a_process_ended = async {
                // The sender lives as long as the gateway.
                let _ = ended.changed().await;
                sleep(times.function).await;
            };
            let fault = tokio::select! {
                called = &mut call => {
                    drop(slot);
                    let _ = answered.send(match called {
                        Ok(answer) if answer.status.is_success() => Ok(answer.body),
                        Ok(_) => Err(Fault::Failed),
                        Err(_) => Err(Fault::Ended(function)),
                    });
                    return;
                }
                () = sleep(times.limit) => Fault::TimedOut,
                () = a_process_ended => Fault::Ended(function),
            };
            let lost = slot.lose();
            // Nobody listens when the client has gone away.
            let _ = answered.send(Err(fault));
            let _ = call.await;
            drop(lost);
        });
        answer.await.unwrap_or(Err(Fault::Failed))
    }
}
