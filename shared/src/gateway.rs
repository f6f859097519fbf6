//! The events that the gateway hands over, before the library that makes requests of them reads them: it panics on a URL
//! that it cannot parse, and a client can write one.

use std::task::{Context, Poll};

use lambda_http::{LambdaEvent, Service, http::header, request::LambdaRequest};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What a query must not have as it is (RFC 3986, 3.4); `%` may, so that what is encoded stays as it is.
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// Makes an event such that a request can be made of it. No handler looks at the host or the scheme, so they are left out.
pub fn make_readable(event: &mut LambdaRequest) {
    let LambdaRequest::ApiGatewayV2(event) = event else { return };
    if let Some(query) = &mut event.raw_query_string {
        *query = utf8_percent_encode(query, NOT_IN_A_QUERY).to_string();
    }
    if let Some(path) = event.raw_path.as_mut().filter(|path| !path.starts_with('/')) {
        path.insert(0, '/');
    }
    event.headers.remove(header::HOST);
    event.request_context.domain_name = None;
    // A named stage would become a part of the path; the template has none.
    event.request_context.stage = None;
}

/// A service that gets events made readable.
pub(crate) struct Readable<S>(pub S);

impl<S: Service<LambdaEvent<LambdaRequest>>> Service<LambdaEvent<LambdaRequest>> for Readable<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut event: LambdaEvent<LambdaRequest>) -> Self::Future {
        make_readable(&mut event.payload);
        self.0.call(event)
    }
}
