//! Repairs gateway events before the library turns them into requests. The library panics on a URL that it cannot parse,
//! which a client can send, and on a body that is not valid base64 although the event says so.

use std::task::{Context, Poll};

use base64::{Engine, engine::general_purpose::STANDARD};
use lambda_http::{LambdaEvent, Service, http::header, request::LambdaRequest};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// Characters that a query must not contain unencoded (RFC 3986, 3.4). `%` is not one of them, so encoded text stays
/// unchanged.
const NOT_IN_A_QUERY: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>');

/// Changes an event so that the library can make a request from it. It drops the host, because no handler reads it.
pub fn make_readable(event: &mut LambdaRequest) {
    let LambdaRequest::ApiGatewayV2(event) = event else { return };
    if let Some(query) = &mut event.raw_query_string {
        *query = utf8_percent_encode(query, NOT_IN_A_QUERY).to_string();
    }
    if let Some(path) = event.raw_path.as_mut().filter(|path| !path.starts_with('/')) {
        path.insert(0, '/');
    }
    if event.is_base64_encoded {
        event.is_base64_encoded = STANDARD.decode(event.body.as_deref().unwrap_or_default()).is_ok();
    }
    event.headers.remove(header::HOST);
    event.request_context.domain_name = None;
    // The library would add a named stage to the path. The template has no named stage.
    event.request_context.stage = None;
}

/// A service that repairs each event with [`make_readable`] before the inner service gets it.
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

#[cfg(test)]
mod tests {
    use lambda_http::{Adapter, Context as LambdaContext, Request, RequestExt, service_fn};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn an_event_with_an_invalid_url_and_body_reaches_the_handler() {
        let handler = service_fn(|request: Request| async move {
            let query = request.query_string_parameters();
            Ok::<_, lambda_http::Error>(format!("{:?} {:?}", query.first("a"), request.body()))
        });
        let event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "a=\"<%20>", "headers": {"host": "["},
            "isBase64Encoded": true, "body": "{}", "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "[", "stage": "$default", "time": "24/Nov/2026:09:30:00 +0000",
                "timeEpoch": 0, "http": {"method": "POST", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1"},
            },
        });
        let event: LambdaRequest = serde_json::from_str(&event.to_string()).unwrap();
        let mut service = Readable(Adapter::from(handler));
        let response = service.call(LambdaEvent::new(event, LambdaContext::default())).await.unwrap();
        assert_eq!(serde_json::to_value(response).unwrap()["body"], r#"Some("\"< >") Text("{}")"#);
    }
}
