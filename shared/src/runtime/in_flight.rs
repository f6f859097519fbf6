//! The common handling of all requests: the id, the log line, errors as problem details, and the headers of all
//! responses.

use std::{sync::Arc, time::Instant};

use lambda_http::{
    Body, RequestExt,
    http::{HeaderValue, Method, header},
    request::RequestContext,
};

use crate::{
    auth::PUBLIC_OPERATIONS,
    base::error::Error,
    config::Common,
    http::{
        self, Request, Response, accepts_gzip, add_standard_headers, allow_origin, compress, problem_response,
    },
    telemetry::{self, Details, Failure, LogContext, SecurityEvent, Trace},
};

/// A request whose handler is running.
pub(super) struct InFlightRequest<'a> {
    common: &'a Common,
    log: Arc<LogContext>,
    origin: Option<HeaderValue>,
    method: Method,
    accepts_gzip: bool,
    started: Instant,
}

/// An operation as the log names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LoggedOperation {
    /// The `operationId`.
    pub id: &'static str,
    /// Method and path, as the contract has them.
    pub route: &'static str,
}

impl LoggedOperation {
    /// The public operation with this method and path. Any other request is one of the fallback function.
    pub(super) fn public(method: &str, path: &str) -> Self {
        let is_match = |route: &str| {
            let Some((of, template)) = route.split_once(' ') else { return false };
            let (mut one, mut other) = (template.split('/'), path.split('/'));
            let is_same =
                |segment: &str| other.next().is_some_and(|o| o == segment || segment.starts_with('{'));
            of == method && one.all(is_same) && other.next().is_none()
        };
        let found = PUBLIC_OPERATIONS.iter().find(|(_, route)| is_match(route));
        found.map_or(Self { id: "fallback", route: "$default" }, |&(id, route)| Self { id, route })
    }
}

impl<'a> InFlightRequest<'a> {
    /// Begins with a request. `is_cold` says that it is the first one of this instance.
    pub(super) fn start(
        common: &'a Common,
        operation: LoggedOperation,
        is_cold: bool,
        request: &Request,
    ) -> Self {
        let gateway_id = gateway_id(request);
        let (request_id, gateway_id) = match client_id(request) {
            Some(id) => (id.to_owned(), Some(gateway_id)),
            None => (gateway_id, None),
        };
        let of_lambda = request.lambda_context_ref().and_then(|context| context.xray_trace_id.as_deref());
        let log = LogContext {
            request_id,
            gateway_id,
            function: common.function.clone(),
            method: method(request).to_owned(),
            operation: operation.id,
            route: operation.route,
            is_cold,
            trace: Trace::of(single_header(request, "traceparent"), of_lambda),
            ..LogContext::default()
        };
        let origin = request.headers().get(header::ORIGIN).cloned();
        Self {
            common,
            log: Arc::new(log),
            origin,
            method: request.method().clone(),
            accepts_gzip: accepts_gzip(request),
            started: Instant::now(),
        }
    }

    /// The context to which the handling adds values for the log line and the headers.
    pub(super) fn log_context(&self) -> &Arc<LogContext> {
        &self.log
    }

    /// Completes the response and writes the log line.
    pub(super) fn finish(self, outcome: http::Result) -> Response {
        let request_id = &self.log.request_id;
        let (mut response, failure) = match outcome {
            Ok(response) => (response, None),
            Err(error) => {
                let failure = Failure { code: error.code(), cause: error.cause().map(str::to_owned) };
                self.report(&error);
                (problem_response(&error, request_id), Some(failure))
            }
        };
        if let Some(status) = self.log.rate_limit() {
            status.add_to(response.headers_mut());
        }
        add_standard_headers(&mut response, request_id);
        allow_origin(self.common, self.origin, &mut response);
        compress(&mut response, self.accepts_gzip);
        if self.method == Method::HEAD {
            *response.body_mut() = Body::Empty;
        }
        let status = response.status().as_u16();
        telemetry::request(self.common.stage, &self.log, status, failure.as_ref(), self.started.elapsed());
        response
    }
}

impl InFlightRequest<'_> {
    /// Reports a failure that is a security event.
    fn report(&self, error: &Error) {
        let Some(event) = SecurityEvent::of_failure(error.code()) else { return };
        let details = Details {
            request_id: Some(&self.log.request_id),
            user_id: self.log.user_id.get().map(String::as_str),
            lab_id: self.log.lab_id.get().copied(),
            failure: Some(error),
            ..Details::default()
        };
        telemetry::security_event(self.common.stage, event, details);
    }
}

/// The request's method for the log, or "other": a client can send any text as a method.
fn method(request: &Request) -> &str {
    match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS") => known,
        _ => "other",
    }
}

/// The longest request id that a client may choose.
const MAX_REQUEST_ID: usize = 64;

/// The request id of the client, if it is well formed. Any other text is ignored: it could be anything.
fn client_id(request: &Request) -> Option<&str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    single_header(request, "x-request-id")
        .filter(|id| (1..=MAX_REQUEST_ID).contains(&id.len()) && id.bytes().all(is_allowed))
}

/// The value of a header that occurs once.
fn single_header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    let mut values = request.headers().get_all(name).iter();
    let first = values.next()?.to_str().ok()?;
    values.next().is_none().then_some(first)
}

/// The gateway's request id, or Lambda's. It goes on in headers, so an event with an id that fits in none counts as one without.
fn gateway_id(request: &Request) -> String {
    let of_gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    let of_gateway = of_gateway.filter(|id| HeaderValue::try_from(id).is_ok());
    let of_lambda = || request.lambda_context_ref().map(|context| context.request_id.clone());
    of_gateway.or_else(of_lambda).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_id(id: &str) -> Request {
        let mut request = Request::default();
        request.headers_mut().insert("x-request-id", id.parse().unwrap());
        request
    }

    #[test]
    fn a_well_formed_request_id_of_the_client_is_accepted() {
        for id in ["a", "0b7a7c9e-3f0a-4c39-9d59-6a2b1f6f2a10", "01JD.web_7", &"x".repeat(64)] {
            assert_eq!(client_id(&with_id(id)), Some(id));
        }
        for id in ["", "two words", "a,b", "a/b", "a=", "\u{e9}", &"x".repeat(65)] {
            assert_eq!(client_id(&with_id(id)), None, "{id}");
        }
        let mut twice = with_id("a");
        twice.headers_mut().append("x-request-id", "b".parse().unwrap());
        assert_eq!((client_id(&twice), client_id(&Request::default())), (None, None));
    }

    #[test]
    fn a_public_operation_is_found_by_method_and_path() {
        let id = |method: &str, path: &str| LoggedOperation::public(method, path).id;
        for &(operation, route) in PUBLIC_OPERATIONS {
            let (method, path) = route.split_once(' ').unwrap();
            assert_eq!(id(method, &path.replace("{asset}", "index.css")), operation);
        }
        for (method, path) in
            [("POST", "/health"), ("GET", "/health/"), ("GET", "/"), ("GET", "/docs/a/b"), ("GET", "")]
        {
            assert_eq!(id(method, path), "fallback", "{method} {path}");
        }
    }
}
