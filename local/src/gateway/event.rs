//! A request as the event that API Gateway hands to a function: payload format 2.0 of HTTP APIs.

use std::collections::HashMap;

use aws_lambda_events::apigw::{
    ApiGatewayV2httpRequest, ApiGatewayV2httpRequestContext, ApiGatewayV2httpRequestContextHttpDescription,
};
use axum::{
    body::Bytes,
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use contract::{Contract, FALLBACK};
use jiff::Timestamp;
use percent_encoding::percent_decode_str;

/// The stage without a name, and the route for what has none: API Gateway calls both so.
const DEFAULT: &str = "$default";

/// The function that a request goes to, and its event.
#[derive(Debug)]
pub(super) struct Invocation {
    pub(super) function: String,
    pub(super) event: ApiGatewayV2httpRequest,
}

/// Routes a request and makes its event.
pub(super) fn invocation(contract: &Contract, request: &Parts, body: &Bytes, request_id: &str) -> Invocation {
    // The gateway decodes the path once, and goes by that alone.
    let path = percent_decode_str(request.uri.path()).decode_utf8_lossy().into_owned();
    let route = contract.route(request.method.as_str(), &path);
    let (function, route_key, path_parameters) = match route {
        Some(route) => {
            let operation = route.operation;
            let key = format!("{} {}", operation.method, operation.path);
            (operation.function.clone(), key, route.parameters.into_iter().collect())
        }
        None => (FALLBACK.to_owned(), DEFAULT.to_owned(), HashMap::new()),
    };
    let query = request.uri.query().unwrap_or_default();

    let mut event = ApiGatewayV2httpRequest::default();
    event.version = Some("2.0".into());
    event.route_key = Some(route_key.clone());
    event.raw_path = Some(path.clone());
    event.raw_query_string = Some(query.to_owned());
    // Parsing a query cannot fail; names that repeat are joined by commas where the event is written.
    event.query_string_parameters = query.parse().unwrap_or_default();
    event.path_parameters = path_parameters;
    event.cookies = cookies(&request.headers);
    event.headers = joined(&request.headers);
    if !body.is_empty() {
        let text = is_text(&request.headers).then(|| String::from_utf8(body.to_vec()).ok()).flatten();
        event.is_base64_encoded = text.is_none();
        event.body = Some(text.unwrap_or_else(|| STANDARD.encode(body)));
    }
    event.request_context = context(request, path, route_key, request_id);
    Invocation { function, event }
}

fn context(
    request: &Parts,
    path: String,
    route_key: String,
    request_id: &str,
) -> ApiGatewayV2httpRequestContext {
    let now = Timestamp::now();
    let text = |name: HeaderName| {
        request.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned())
    };
    let mut http = ApiGatewayV2httpRequestContextHttpDescription::default();
    http.method = request.method.clone();
    http.path = Some(path);
    http.protocol = Some(format!("{:?}", request.version));
    // The gateway listens on this address only.
    http.source_ip = Some("127.0.0.1".into());
    http.user_agent = text(header::USER_AGENT);

    let mut context = ApiGatewayV2httpRequestContext::default();
    context.account_id = Some("123456789012".into());
    context.apiid = Some("local".into());
    context.domain_name = text(header::HOST);
    context.domain_prefix = Some("local".into());
    context.request_id = Some(request_id.to_owned());
    context.route_key = Some(route_key);
    context.stage = Some(DEFAULT.into());
    context.time = Some(now.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string());
    context.time_epoch = now.as_millisecond();
    context.http = http;
    context
}

/// Each cookie. The event has them apart from the other headers.
fn cookies(headers: &HeaderMap) -> Option<Vec<String>> {
    let values = headers.get_all(header::COOKIE).iter();
    let cookies: Vec<String> = values
        .flat_map(|value| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            value.split(';').map(|cookie| cookie.trim().to_owned()).collect::<Vec<_>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect();
    (!cookies.is_empty()).then_some(cookies)
}

/// Every header once, its values joined by commas, as UTF-8.
fn joined(headers: &HeaderMap) -> HeaderMap {
    let mut joined = HeaderMap::new();
    for name in headers.keys().filter(|name| *name != header::COOKIE) {
        let values: Vec<_> =
            headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes())).collect();
        // What was a header's value is one still.
        if let Ok(value) = HeaderValue::from_bytes(values.join(",").as_bytes()) {
            joined.insert(name, value);
        }
    }
    joined
}

/// Whether the gateway hands a body of this media type over as text, if it is UTF-8.
fn is_text(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return true };
    let value = value.to_str().unwrap_or_default();
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let known = ["application/json", "application/javascript", "application/xml"];
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || known.contains(&&*essence)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;
    use serde_json::{Value, json};

    use super::*;

    const CONTRACT: &str = "
paths:
  /cases:
    get: {operationId: listCases, x-permission: read}
  /cases/{id}:
    get: {operationId: getCase, x-permission: read}
    head: {operationId: getCase, x-permission: read}
  /cases/stats:
    get: {operationId: caseStats, x-permission: read}
";

    fn event(request: axum::http::request::Builder, body: &[u8]) -> (String, Value) {
        let contract = Contract::parse(CONTRACT).unwrap();
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let invocation = invocation(&contract, &parts, &Bytes::copy_from_slice(body), "id-1");
        (invocation.function, serde_json::to_value(invocation.event).unwrap())
    }

    fn get(path: &str) -> (String, Value) {
        event(Request::get(path), b"")
    }

    #[test]
    fn literal_segments_win_over_parameters_and_the_rest_goes_to_the_fallback() {
        for (method, path, function, route_key) in [
            ("GET", "/cases", "list-cases", "GET /cases"),
            ("GET", "/cases?limit=5", "list-cases", "GET /cases"),
            ("GET", "/cases/stats", "case-stats", "GET /cases/stats"),
            ("GET", "/cases/7", "get-case", "GET /cases/{id}"),
            ("HEAD", "/cases/7", "get-case", "HEAD /cases/{id}"),
            ("GET", "/cases/", "fallback", "$default"),
            ("POST", "/cases", "fallback", "$default"),
            ("OPTIONS", "/cases", "fallback", "$default"),
            ("PURGE", "/cases", "fallback", "$default"),
            ("GET", "/", "fallback", "$default"),
            ("GET", "/cases/7/x", "fallback", "$default"),
        ] {
            let (went_to, event) = event(Request::builder().method(method).uri(path), b"");
            assert_eq!(went_to, function, "{method} {path}");
            assert_eq!(event["routeKey"], route_key, "{method} {path}");
            assert_eq!(event["requestContext"]["routeKey"], route_key);
            assert_eq!(event["requestContext"]["http"]["method"], method);
        }
    }

    #[test]
    fn the_event_has_what_the_gateway_says_of_a_request() {
        let request = Request::get("/cases/7?a=1&a=2&b=x%20y&c")
            .header("Host", "localhost:5001")
            .header("User-Agent", "curl")
            .header("X-Lab-Id", "123")
            .header("Accept", "text/csv")
            .header("Accept", "application/json")
            .header("Cookie", "a=1; b=2");
        let (_, mut event) = event(request, b"");
        let context = event["requestContext"].take();
        for (name, expected) in [
            ("version", json!("2.0")),
            ("rawPath", json!("/cases/7")),
            ("rawQueryString", json!("a=1&a=2&b=x%20y&c")),
            ("queryStringParameters", json!({"a": "1,2", "b": "x y", "c": ""})),
            ("pathParameters", json!({"id": "7"})),
            ("cookies", json!(["a=1", "b=2"])),
            ("isBase64Encoded", json!(false)),
            ("body", Value::Null),
            (
                "headers",
                json!({
                    "host": "localhost:5001", "user-agent": "curl", "x-lab-id": "123", "accept": "text/csv,application/json",
                }),
            ),
        ] {
            assert_eq!(event[name], expected, "{name}");
        }
        assert_eq!(
            context["http"],
            json!({
                "method": "GET", "path": "/cases/7", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "curl",
            })
        );
        assert_eq!((&context["requestId"], &context["stage"]), (&json!("id-1"), &json!("$default")));
        let seconds = context["timeEpoch"].as_i64().unwrap() / 1000;
        let format = "%d/%b/%Y:%H:%M:%S %z";
        let time = Timestamp::strptime(format, context["time"].as_str().unwrap()).unwrap();
        assert_eq!(time.as_second(), seconds);
    }

    #[test]
    fn the_path_is_decoded_once() {
        let (function, event) = get("/c%61ses/a%20b%25");
        assert_eq!((function.as_str(), &event["rawPath"]), ("get-case", &json!("/cases/a b%")));
        assert_eq!(event["pathParameters"], json!({"id": "a b%"}));
        let (function, event) = get("/cases/1%2Fx");
        assert_eq!((function.as_str(), &event["rawPath"]), ("fallback", &json!("/cases/1/x")));
        assert_eq!(get("/cases/%FF").1["rawPath"], "/cases/\u{fffd}");
    }

    #[test]
    fn a_body_is_text_or_base64() {
        for (content_type, body, is_base64, expected) in [
            (None, &b"{}"[..], false, "{}"),
            (Some("application/json"), b"{}", false, "{}"),
            (Some("application/merge-patch+json; charset=utf-8"), b"{}", false, "{}"),
            (Some("Text/CSV"), b"a,b", false, "a,b"),
            (Some("application/octet-stream"), b"{}", true, "e30="),
            (Some("application/json"), b"\xff", true, "/w=="),
        ] {
            let mut request = Request::post("/cases");
            if let Some(content_type) = content_type {
                request = request.header("content-type", content_type);
            }
            let (_, event) = event(request, body);
            assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!(expected), &json!(is_base64)));
        }
    }

    #[test]
    fn a_header_that_is_not_utf_8_is_made_so() {
        let value = HeaderValue::from_bytes(b"caf\xe9").unwrap();
        let (_, event) = event(Request::get("/cases").header("x-name", value), b"");
        assert_eq!(event["headers"]["x-name"], "caf\u{fffd}");
    }
}
