//! Calls to the services next to this one: one pooled HTTPS client, a time budget, bounded answers.

mod cache;
mod circuit;
mod single_flight;

use std::{sync::Arc, time::Duration};

use reqwest::{Client, Method, StatusCode, header::HeaderValue};
use rustls::{ClientConfig, RootCertStore};
use serde::de::DeserializeOwned;

use crate::base::private::Secret;
pub(crate) use cache::{Cache, LIFETIME};
pub(crate) use circuit::CircuitBreaker;
pub(crate) use single_flight::SingleFlight;

/// The most of an answer that is read; what UMS and LinksHub send is a few kilobytes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;

/// A client that trusts the web's certificate authorities and follows no redirects.
///
/// The authorities are compiled in: reading the system's bundle costs more than everything else at a cold start.
pub(crate) fn client() -> Result<Client, String> {
    let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("no TLS: {error}"))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(1))
        // Shorter than the idle timeout of the load balancers that such services stand behind (60 s).
        .pool_idle_timeout(Duration::from_secs(50))
        .user_agent(concat!("lhcms/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        .build()
        .map_err(|error| format!("no HTTP client: {error}"))
}

/// What a service answered: the status and the bounded body.
pub(crate) struct Answer {
    pub status: StatusCode,
    body: Vec<u8>,
}

impl Answer {
    /// The body as JSON of the expected shape. The error holds a position, never content.
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

/// A request to send.
pub(crate) struct Call<'a> {
    pub method: Method,
    pub url: &'a str,
    /// Goes along as bearer token.
    pub token: Option<&'a Secret>,
    /// Goes along as `X-API-Key`.
    pub api_key: Option<&'a Secret>,
    pub body: Option<&'a serde_json::Value>,
}

impl<'a> Call<'a> {
    /// A GET without credentials.
    pub(crate) fn get(url: &'a str) -> Self {
        Self { method: Method::GET, url, token: None, api_key: None, body: None }
    }
}

/// Sends a request and reads the answer.
///
/// A connection that could not be made is tried once more. The error text is for the log and names no content.
pub(crate) async fn send(client: &Client, call: Call<'_>) -> Result<Answer, String> {
    let api_key = call.api_key.map(sensitive).transpose()?;
    let attempt = || async {
        let mut request = client.request(call.method.clone(), call.url).header("accept", "application/json");
        if let Some(token) = call.token {
            request = request.bearer_auth(token.expose());
        }
        if let Some(key) = &api_key {
            request = request.header("x-api-key", key);
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
            return Err(format!("an answer of more than {MAX_ANSWER_BYTES} bytes"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, body })
}

/// A secret as a header that the HTTP client's `Debug` does not show; it does the same with bearer tokens.
fn sensitive(secret: &Secret) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(secret.expose()).map_err(|_| "the API key is no header value")?;
    value.set_sensitive(true);
    Ok(value)
}

/// What kind of failure it was, without the URL: its path holds ids.
fn describe(error: reqwest::Error) -> String {
    let kind = if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "time-out"
    } else {
        "broken exchange"
    };
    format!("{kind}: {}", error.without_url())
}
