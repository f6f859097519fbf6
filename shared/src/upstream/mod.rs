//! Calls to other services: one pooled HTTPS client, a time budget, answers of limited size.

mod cache;
mod circuit;
mod single_flight;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use reqwest::{Client, ClientBuilder, Method, StatusCode, header::HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;

use crate::{
    base::{error::Error, private::Secret},
    telemetry::{self, Dependency, RunningCall},
};
pub(crate) use cache::{Cache, LIFETIME};
pub(crate) use circuit::CircuitBreaker;
pub(crate) use single_flight::SingleFlight;

/// The largest accepted answer. UMS and LinksHub send a few kilobytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// Makes a client that trusts the web's certificate authorities and follows no redirects.
///
/// The authorities are compiled in, because reading the system's bundle costs more time at a cold start than anything
/// else.
pub(crate) fn client() -> Result<Client, String> {
    client_with(web_roots(), Duration::from_secs(1))
}

/// The web's certificate authorities.
pub(crate) fn web_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}

/// Makes a client that trusts these authorities, follows no redirects, and gives up a connection after `connect_timeout`.
pub(crate) fn client_with(roots: RootCertStore, connect_timeout: Duration) -> Result<Client, String> {
    builder(roots, connect_timeout)?.build().map_err(|error| format!("no HTTP client: {error}"))
}

/// The same, to be completed.
pub(crate) fn builder(roots: RootCertStore, connect_timeout: Duration) -> Result<ClientBuilder, String> {
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(connect_timeout)
        // Shorter than the usual idle time-out of load balancers (60 s).
        .pool_idle_timeout(Duration::from_secs(50))
        .user_agent(concat!("lhcms/", env!("CARGO_PKG_VERSION")))
        .no_proxy())
}

/// The answer of a service: the status and the body.
pub(crate) struct Answer {
    pub status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// Reads the body as JSON. The error text has a position, never content.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, String> {
        serde_json::from_slice(&self.body).map_err(|error| {
            format!(
                "unexpected answer ({:?} at line {}, column {})",
                error.classify(),
                error.line(),
                error.column()
            )
        })
    }
}

/// A call to a service.
pub(crate) struct Call<'a> {
    /// The service of the platform that is called. It gets the request's id and trace, and the request's line counts the call.
    /// `None` for a service of somebody else.
    pub dependency: Option<Dependency>,
    pub method: Method,
    pub url: &'a str,
    /// Sent as bearer token.
    pub token: Option<&'a Secret>,
    /// Sent as `X-API-Key`.
    pub api_key: Option<&'a Secret>,
    pub body: Option<&'a serde_json::Value>,
}

impl<'a> Call<'a> {
    /// A GET without credentials.
    pub(crate) fn get(dependency: Option<Dependency>, url: &'a str) -> Self {
        Self { dependency, method: Method::GET, url, token: None, api_key: None, body: None }
    }
}

/// Why a call has no answer.
pub(crate) struct SendError {
    /// For the log. It repeats no content.
    pub cause: String,
    /// Whether the service is perhaps down for everybody. An answer that is too large concerns only this call.
    is_outage: bool,
}

impl SendError {
    fn outage(cause: impl Into<String>) -> Self {
        Self { cause: cause.into(), is_outage: true }
    }

    /// The error for the client. `service` is the name that clients see.
    pub(crate) fn into_error(self, service: &str) -> Error {
        if self.is_outage {
            Error::outage(service, self.cause)
        } else {
            Error::unavailable(service, self.cause)
        }
    }
}

/// Makes a call and reads the answer. It tries a failed connection once more.
pub(crate) async fn send(client: &Client, call: Call<'_>) -> Result<Answer, SendError> {
    let api_key = call.api_key.map(sensitive).transpose().map_err(SendError::outage)?;
    let mut running = call.dependency.map(RunningCall::start);
    let headers = call.dependency.and_then(|_| telemetry::headers_of_call());
    let attempt = || async {
        let mut request = client.request(call.method.clone(), call.url).header("accept", "application/json");
        if let Some(token) = call.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(key) = &api_key {
            request = request.header("x-api-key", key);
        }
        if let Some((traceparent, request_id)) = &headers {
            request = request.header("traceparent", traceparent).header("x-request-id", request_id);
        }
        if let Some(body) = call.body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await
    };
    let response = match attempt().await {
        Err(error) if error.is_connect() => attempt().await,
        first => first,
    };
    let mut response = response.map_err(describe)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(describe)? {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            let cause = format!("an answer of more than {MAX_ANSWER_BYTES} bytes");
            return Err(SendError { cause, is_outage: false });
        }
        body.extend_from_slice(&chunk);
    }
    if !status.is_server_error()
        && let Some(running) = &mut running
    {
        running.succeeded();
    }
    Ok(Answer { status, body })
}

/// Opens a connection that the next call uses. No answer and no failure matters.
pub(crate) async fn connect(client: &Client, base_url: &str) {
    let _ = client.head(base_url).send().await;
}

/// Makes a header value that the HTTP client's `Debug` does not show. The client does the same for bearer tokens.
fn sensitive(secret: &Secret) -> Result<HeaderValue, &'static str> {
    let mut value =
        HeaderValue::from_str(secret.expose()).map_err(|_| "the API key is not a header value")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Describes a failure without the URL, because its path holds ids.
fn describe(error: reqwest::Error) -> SendError {
    let kind = if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "time-out"
    } else {
        "broken exchange"
    };
    SendError::outage(format!("{kind}: {}", error.without_url()))
}

/// Whether the moment is less than `time` ago. A moment in the future, from a clock that was set back, never is.
pub(crate) fn is_within(moment: SystemTime, time: Duration, now: SystemTime) -> bool {
    now.duration_since(moment).is_ok_and(|elapsed| elapsed < time)
}
