//! What a function answered, as the response to the client.

use aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use axum::{
    body::Body,
    http::{HeaderValue, Response, StatusCode, header},
};
use base64::{Engine, engine::general_purpose::STANDARD};

/// The most that Lambda takes from a function.
const MAX_PAYLOAD: usize = 6 * 1024 * 1024;

/// The response that a function's payload describes, in format 2.0; none when the gateway could not make one of it.
pub(super) fn response(payload: &[u8]) -> Option<Response<Body>> {
    if payload.len() > MAX_PAYLOAD {
        return None;
    }
    let answer: ApiGatewayV2httpResponse = serde_json::from_slice(payload).ok()?;
    let body = answer.body.as_deref().unwrap_or_default();
    let body = if answer.is_base64_encoded { STANDARD.decode(body).ok()? } else { body.to_vec() };
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(u16::try_from(answer.status_code).ok()?).ok()?;
    *response.headers_mut() = answer.headers;
    for cookie in &answer.cookies {
        response.headers_mut().append(header::SET_COOKIE, HeaderValue::from_str(cookie).ok()?);
    }
    // The server writes these by the body that it sends.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    response.headers_mut().remove(header::TRANSFER_ENCODING);
    Some(response)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn answer(changes: Value) -> Option<Response<Body>> {
        let mut payload = json!({
            "statusCode": 200, "headers": {"content-type": "application/json", "etag": "\"1\""}, "multiValueHeaders": {},
            "cookies": ["a=1", "b=2"], "body": "{}", "isBase64Encoded": false,
        });
        payload.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        response(payload.to_string().as_bytes())
    }

    async fn bytes(response: Response<Body>) -> Vec<u8> {
        axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec()
    }

    #[tokio::test]
    async fn status_headers_cookies_and_body_are_the_function_s() {
        let response = answer(json!({"statusCode": 201})).unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["etag"], "\"1\"");
        let cookies: Vec<_> = response.headers().get_all(header::SET_COOKIE).iter().collect();
        assert_eq!(cookies, ["a=1", "b=2"]);
        assert_eq!(bytes(response).await, b"{}");
        let binary = answer(json!({"body": "/w==", "isBase64Encoded": true})).unwrap();
        assert_eq!(bytes(binary).await, b"\xff");
        assert_eq!(bytes(answer(json!({"body": null})).unwrap()).await, b"");
    }

    #[test]
    fn what_is_no_response_or_too_large_gives_none() {
        for changes in [
            json!({"statusCode": 1}),
            json!({"statusCode": "x"}),
            json!({"body": "?", "isBase64Encoded": true}),
            json!({"cookies": ["\n"]}),
            json!({"body": "x".repeat(MAX_PAYLOAD)}),
        ] {
            assert!(answer(changes).is_none());
        }
        assert!(response(b"").is_none());
        assert!(response(b"{\"message\":\"hello\"}").is_none());
    }
}
