//! A small HTTP/1 client for the stack's own parts. It follows no redirects and no proxy settings.

use std::time::Duration;

use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_util::{
    client::legacy::{Client as Hyper, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::timeout;

use crate::{Error, Result};

type Bytes = axum::body::Bytes;

/// The largest answer in bytes, unless a client sets another limit.
const MAX_BODY: usize = 1 << 20;

/// An answer: its status, its headers and its body.
#[derive(Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as JSON; `null` if it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A client with a time limit for each request.
#[derive(Clone, Debug)]
pub struct Client {
    hyper: Hyper<HttpConnector, Full<Bytes>>,
    limit: Duration,
    max_body: usize,
}

impl Client {
    /// A client whose requests take at most `limit`, with answers of at most 1 MiB.
    pub fn new(limit: Duration) -> Self {
        Self { hyper: Hyper::builder(TokioExecutor::new()).build_http(), limit, max_body: MAX_BODY }
    }

    /// The same client, for answers of at most `max_body` bytes.
    pub fn max_body(self, max_body: usize) -> Self {
        Self { max_body, ..self }
    }

    /// GETs `url`.
    ///
    /// # Errors
    /// When there is no answer within the limit. Any status is an answer.
    pub async fn get(&self, url: &str) -> Result<Answer> {
        self.send(Method::GET, url, &[], Bytes::new()).await
    }

    /// Calls a function behind the cargo-lambda at this URL with an event.
    ///
    /// # Errors
    /// When there is no answer within the limit.
    pub async fn invoke(
        &self,
        cargo_lambda: &str,
        function: &str,
        event: &serde_json::Value,
    ) -> Result<Answer> {
        let url = format!("{cargo_lambda}/2015-03-31/functions/{function}/invocations");
        self.send(Method::POST, &url, &[("content-type", "application/json")], event.to_string()).await
    }

    /// Sends a request with these headers and this body.
    ///
    /// # Errors
    /// When there is no answer within the limit. Any status is an answer.
    pub async fn send(
        &self,
        method: Method,
        url: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Result<Answer> {
        let failed = |why: &dyn std::fmt::Display| Error::new(format!("{url}: {why}"));
        let mut request = Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body.into())).map_err(|error| failed(&error))?;
        let exchange = async {
            let response = self.hyper.request(request).await.map_err(|error| failed(&error))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let body = Limited::new(response.into_body(), self.max_body).collect().await.map_err(
                |error| match error.downcast_ref::<LengthLimitError>() {
                    Some(_) => failed(&"the answer is too large"),
                    None => failed(&error),
                },
            )?;
            Ok(Answer { status, headers, body: body.to_bytes() })
        };
        timeout(self.limit, exchange)
            .await
            .unwrap_or_else(|_| Err(failed(&format!("no answer in {} s", self.limit.as_secs_f32()))))
    }
}
