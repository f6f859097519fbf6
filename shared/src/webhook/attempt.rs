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
    let mut next = error.source();
    while let Some(cause) = next {
        if cause.is::<Blocked>() {
            return "blocked_address";
        }
        if cause.is::<NotResolved>() {
            return "unknown_host";
        }
        if cause.is::<rustls::Error>() {
            return "tls";
        }
        let of_system = cause.downcast_ref::<io::Error>();
        if of_system.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused) {
            return "refused";
        }
        // An error inside of one of the system is not its source.
        let inside = of_system.and_then(io::Error::get_ref).map(|inner| inner as &(dyn Error + 'static));
        next = inside.or_else(|| cause.source());
    }
    if error.is_connect() { "no_connection" } else { "broken_connection" }
}

#[cfg(test)]
mod tests {
    use std::{net::SocketAddr, sync::Arc};

    use reqwest::dns::{Addrs, Name, Resolve, Resolving};
    use tokio::net::TcpListener;

    use super::*;
    use crate::{
        config::Stage,
        webhook::{endpoint, parse_url},
    };

    /// A resolver of somebody who wants a request to reach this machine.
    struct ToThisMachine;

    impl Resolve for ToThisMachine {
        fn resolve(&self, _: Name) -> Resolving {
            Box::pin(async { Ok(Box::new([SocketAddr::from(([127, 0, 0, 1], 0))].into_iter()) as Addrs) })
        }
    }

    async fn outcome(stage: Stage, url: &str) -> Outcome {
        let client = endpoint::client(stage, Duration::from_secs(5), Arc::new(ToThisMachine)).unwrap();
        let endpoint = parse_url(url, stage).unwrap();
        let headers = [("webhook-id", "1"), ("webhook-timestamp", "2"), ("webhook-signature", "3")];
        let headers = headers.map(|(name, value)| (name, value.to_owned()));
        send(&client, &endpoint, headers, "{}".to_owned(), Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn a_name_with_an_address_that_is_not_public_gets_no_connection() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let refused = outcome(Stage::Prod, &format!("https://example.com:{port}/")).await;
        assert_eq!((refused.error.as_deref(), refused.status), (Some("blocked_address"), None));
        let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
        assert!(accepted.is_err(), "there was a connection");
    }

    #[tokio::test]
    async fn a_port_without_a_server_refuses() {
        let port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
        let refused = outcome(Stage::Dev, &format!("http://example.com:{port}/")).await;
        assert_eq!(refused.error.as_deref(), Some("refused"));
    }

    #[tokio::test]
    async fn a_server_without_tls_is_an_error_of_tls() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            stream.writable().await.unwrap();
            stream.try_write(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            std::future::pending::<()>().await;
        });
        let refused = outcome(Stage::Dev, &format!("https://example.com:{port}/")).await;
        assert_eq!(refused.error.as_deref(), Some("tls"));
    }
}
