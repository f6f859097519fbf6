//! An event for `cargo lambda invoke`, for each function a first one: a good request of its first operation.

use contract::{Contract, Operation};
use serde_json::{Map, Value, json};

use crate::{Output, Result};

/// The event of a new function. It is a start: what the request should say is known to whoever writes the function.
pub(crate) fn of_function(contract: &Contract, name: &str, operation: &Operation) -> Result<Output> {
    let names: Vec<&str> = operation.parameters().collect();
    let path =
        names.iter().fold(operation.path.clone(), |path, name| path.replace(&format!("{{{name}}}"), "1"));
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"accept": "application/json"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "localhost",
            "domainPrefix": "localhost",
            "http": {
                "method": operation.method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "cargo-lambda",
            },
            "requestId": "local-invoke",
            "routeKey": "$default",
            "stage": "$default",
            "time": "24/Nov/2026:09:30:00 +0000",
            "timeEpoch": 1_795_512_600_000_u64,
        },
        "isBase64Encoded": false,
    });
    if !operation.is_public() {
        event["headers"]["authorization"] = json!("Bearer TOKEN");
    }
    if !names.is_empty() {
        event["pathParameters"] =
            names.into_iter().map(|name| (name.to_owned(), json!("1"))).collect::<Map<_, _>>().into();
    }
    if let Some((media_type, body)) = body(contract, operation) {
        event["headers"]["content-type"] = json!(media_type);
        event["body"] = json!(body.to_string());
    }
    event.sort_all_objects();
    let content = serde_json::to_string_pretty(&event)? + "\n";
    Ok(Output::once(format!("tests/events/{name}.json"), content))
}

/// The first example of the request body, with its media type.
fn body<'a>(contract: &'a Contract, operation: &Operation) -> Option<(&'a str, &'a Value)> {
    let content = contract.details(operation)["requestBody"]["content"].as_object()?;
    let (media_type, media) = content.iter().next()?;
    let example = media["examples"].as_object()?.values().next()?;
    let example = match example["$ref"].as_str() {
        Some(reference) => contract.document().pointer(reference.strip_prefix('#')?)?,
        None => example,
    };
    Some((media_type, &example["value"]))
}
