//! One attempt to deliver a message: a request, and what its response means.

use std::{
    error::Error,
    io,
    time::{Duration, Instant},
};

use reqwest::{Client, Response, StatusCode, header};

use super::{
    Endpoint,
    endpoint::{Blocked, NotResolved},
    schedule,
};
use crate::base::time::Timestamp;

/// How much of a response is read, so that its connection can be used again. Nothing of it is kept.
const MAX_BODY_BYTES: usize = 64 * 1024;
/// How long it is read.
const BODY_TIMEOUT: Duration = Duration::from_secs(1);

/// How an attempt ended.
pub(super) struct Outcome {
    /// The status of the response; `None` if there was none.
    pub status: Option<StatusCode>,
    /// Why it failed, as a word; `None` after a success.
    pub error: Option<String>,
    /// How long the endpoint asks to wait.
    pub retry_after: Option<Duration>,
    /// How long it took until the response, or until the failure.
    pub took: Duration,
}

/// Sends a message. Every failure is an outcome.
pub(super) async fn send(
    client: &Client,
    endpoint: &Endpoint,
    headers: [(&'static str, String); 3],
    body: String,
    timeout: Duration,
) -> Outcome {
    let mut request = client.post(endpoint.url()).timeout(timeout);
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let started = Instant::now();
    let sent = request.header(header::CONTENT_TYPE, "application/json").body(body).send().await;
    let took = started.elapsed();
    match sent {
        Ok(response) => {
            let status = response.status();
            let retry_after = response.headers().get(header::RETRY_AFTER);
            let retry_after = retry_after.and_then(|value| value.to_str().ok());
            let retry_after = retry_after.and_then(|value| schedule::retry_after(value, Timestamp::now()));
            drain(response).await;
            Outcome { status: Some(status), error: word_of_status(status), retry_after, took }
        }
        Err(error) => {
            Outcome { status: None, error: Some(word_of_error(&error).to_owned()), retry_after: None, took }
        }
    }
}

/// Reads a small body to its end. The connection of a large or slow one is closed.
async fn drain(mut response: Response) {
    let read = async {
        let mut left = MAX_BODY_BYTES;
        while let Ok(Some(chunk)) = response.chunk().await {
            let Some(rest) = left.checked_sub(chunk.len()) else { return };
            left = rest;
        }
    };
    // What the body is or whether it ends does not matter: the status says everything.
    let _ = tokio::time::timeout(BODY_TIMEOUT, read).await;
}

fn word_of_status(status: StatusCode) -> Option<String> {
    if status.is_success() {
        None
    } else if status.is_redirection() {
        Some("redirect".to_owned())
    } else {
        Some(format!("http_{}", status.as_u16()))
    }
}

fn word_of_error(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        return "timeout";
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if cause.is::<Blocked>() {
            return "blocked_address";
        }
        if cause.is::<NotResolved>() {
            return "unknown_host";
        }
        if cause.is::<rustls::Error>() {
            return "tls";
        }
        if let Some(error) = cause.downcast_ref::<io::Error>() {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                return "refused";
            }
            // The error of TLS is inside of it, and not its source.
            if error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                return "tls";
            }
        }
        source = cause.source();
    }
    if error.is_connect() { "no_connection" } else { "broken_connection" }
}
