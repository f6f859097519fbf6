//! The common handling of all requests: the id, the log line, errors as problem details, and the headers of all
//! responses.

use std::time::Instant;

use lambda_http::{
    Body, RequestExt,
    http::{HeaderValue, Method, header},
    request::RequestContext,
};

use crate::{
    base::error::Error,
    config::Common,
    http::{
        self, Request, Response, accepts_gzip, add_standard_headers, allow_origin, compress, problem_response,
    },
    telemetry::{self, Details, Failure, LogContext, SecurityEvent},
};

/// A request whose handler is running.
pub(super) struct InFlightRequest<'a> {
    common: &'a Common,
    log: LogContext,
    origin: Option<HeaderValue>,
    method: Method,
    accepts_gzip: bool,
    started: Instant,
}

impl<'a> InFlightRequest<'a> {
    pub(super) fn start(common: &'a Common, request: &Request) -> Self {
        let log = LogContext::new(request_id(request), common.function.clone(), method(request).to_owned());
        let origin = request.headers().get(header::ORIGIN).cloned();
        Self {
            common,
            log,
            origin,
            method: request.method().clone(),
            accepts_gzip: accepts_gzip(request),
            started: Instant::now(),
        }
    }

    /// The context to which the handling adds values for the log line and the headers.
    pub(super) fn log_context(&self) -> &LogContext {
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
        telemetry::request(&self.log, response.status().as_u16(), failure.as_ref(), self.started.elapsed());
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

/// The gateway's request id, or Lambda's.
fn request_id(request: &Request) -> String {
    let of_gateway = match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.request_id.clone(),
        _ => None,
    };
    let of_lambda = || request.lambda_context_ref().map(|context| context.request_id.clone());
    of_gateway.or_else(of_lambda).unwrap_or_default()
}
