//! A stand-in for API Gateway (HTTP API) in front of `cargo lambda watch`: it routes by the contract, keeps the
//! gateway's limits, and gives cargo-lambda no more requests at a time than it can handle.
//!
//! Preflights go to the function `fallback`, which answers them with the origins of the configuration; on AWS the gateway
//! does.

mod admission;
mod answer;
mod event;
mod fault;
mod functions;

use std::{fmt, sync::Arc};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderValue, Response, header, request::Parts},
    response::IntoResponse,
    routing::post,
};
use contract::Contract;
use http_body_util::BodyExt;
use uuid::Uuid;

pub use admission::Limits;
pub use functions::Times;

use admission::Admission;
use fault::Fault;
use functions::Functions;

/// The most bytes of request line and headers.
const MAX_HEADERS: usize = 10_240;
/// The most bytes of a body.
const MAX_BODY: usize = 10 * 1024 * 1024;
/// The most bytes of an event, which is what Lambda takes.
const MAX_EVENT: usize = 6 * 1024 * 1024;

/// A local gateway. Clones share what they know.
#[derive(Clone)]
pub struct Gateway(Arc<Shared>);

struct Shared {
    contract: Contract,
    admission: Admission,
    functions: Functions,
    origins: Vec<String>,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").finish_non_exhaustive()
    }
}

impl Gateway {
    /// A gateway for the operations of `contract`, which `functions` serve, in front of the cargo-lambda at the URL
    /// `cargo_lambda`. Pages of `origins` (comma-separated, `*` for any) may read what the gateway answers by itself.
    pub fn new(
        contract: Contract,
        functions: &[String],
        cargo_lambda: &str,
        origins: &str,
        limits: Limits,
        times: Times,
    ) -> Self {
        Self(Arc::new(Shared {
            admission: Admission::new(functions, limits),
            functions: Functions::new(cargo_lambda, times),
            origins: origins.split(',').map(|origin| origin.trim().to_owned()).collect(),
            contract,
        }))
    }

    /// Answers every request.
    pub fn router(&self) -> Router {
        // Lambda's own path for calling a function, so that `cargo lambda invoke` works here as well.
        let invoke = "/2015-03-31/functions/{function}/invocations";
        Router::new().route(invoke, post(call)).fallback(answer).with_state(self.clone())
    }

    /// Takes note that a function's process has ended: requests that stay without an answer were its.
    pub fn process_ended(&self) {
        self.0.functions.process_ended();
    }

    /// How many requests wait to be let in.
    pub fn waiting(&self) -> usize {
        self.0.admission.waiting()
    }

    async fn pass_on(&self, parts: &Parts, body: Body, request_id: &str) -> Result<Response<Body>, Fault> {
        if header_bytes(parts) > MAX_HEADERS {
            return Err(Fault::LongHeaders);
        }
        let body = read(body).await?;
        let invocation = event::invocation(&self.0.contract, parts, &body, request_id);
        let event = serde_json::to_vec(&invocation.event).map_err(|_| Fault::Failed)?;
        if event.len() > MAX_EVENT {
            return Err(Fault::LargeBody);
        }
        let slot = self.0.admission.enter(&invocation.function).await.map_err(Fault::Refused)?;
        let payload = self.0.functions.invoke(&invocation.function, event, slot).await?;
        answer::response(&payload).ok_or(Fault::Failed)
    }

    async fn call(&self, function: &str, event: Body) -> Result<Bytes, Fault> {
        let event = read(event).await?;
        let slot = self.0.admission.enter(function).await.map_err(Fault::Refused)?;
        self.0.functions.invoke(function, event.into(), slot).await
    }

    /// The value of `Access-Control-Allow-Origin` for a page of this origin.
    fn allowed_origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        let mut origins = self.0.origins.iter();
        origins
            .any(|allowed| allowed == "*" || allowed.as_bytes() == origin.as_bytes())
            .then(|| origin.clone())
    }
}

async fn answer(State(gateway): State<Gateway>, request: Request) -> Response<Body> {
    let request_id = Uuid::new_v4().to_string();
    let (parts, body) = request.into_parts();
    let mut response = match gateway.pass_on(&parts, body, &request_id).await {
        Ok(response) => response,
        Err(fault) => {
            let mut response = fault.into_response();
            if let Some(origin) = gateway.allowed_origin(&parts.headers) {
                response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            }
            response
        }
    };
    if let Ok(id) = HeaderValue::try_from(request_id) {
        response.headers_mut().insert("apigw-requestid", id);
    }
    response
}

async fn call(
    State(gateway): State<Gateway>,
    Path(function): Path<String>,
    event: Body,
) -> Result<Bytes, Fault> {
    gateway.call(&function, event).await
}

/// The bytes of the request line and the headers, as HTTP/1.1 writes them.
fn header_bytes(parts: &Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(1, |target| target.as_str().len());
    let line = parts.method.as_str().len() + target + "  HTTP/1.1\r\n".len();
    let headers =
        parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len());
    line + headers.sum::<usize>()
}

/// The whole body. What is too large is read to its end as well, because a client that still sends would not see the answer.
async fn read(mut body: Body) -> Result<Bytes, Fault> {
    let (mut bytes, mut length) = (Vec::new(), 0);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Fault::Incomplete)?.into_data() else { continue };
        length += data.len();
        if length <= MAX_BODY {
            bytes.extend_from_slice(&data);
        }
    }
    if length > MAX_BODY { Err(Fault::LargeBody) } else { Ok(bytes.into()) }
}

#[cfg(test)]
mod tests;
