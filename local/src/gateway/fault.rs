//! What the gateway answers by itself: `{"message": …}`, as API Gateway does.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;

use super::admission::Refused;

/// Why the answer is not the function's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The client broke off while it sent the body.
    Incomplete,
    /// Request line and headers are too long.
    LongHeaders,
    /// The body is too large, for the gateway or for an event.
    LargeBody,
    /// The request was not let in.
    Refused(Refused),
    /// The function did not answer in time.
    TimedOut,
    /// A process of this function ended, or cargo-lambda did, before the answer.
    Ended(String),
    /// The function failed, or its answer is no response.
    Failed,
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, message, retry_after) = match self {
            Self::Incomplete => (StatusCode::BAD_REQUEST, "Bad Request".to_owned(), None),
            Self::LongHeaders => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "Request Header Fields Too Large".into(), None)
            }
            Self::LargeBody => (StatusCode::PAYLOAD_TOO_LARGE, "Request Entity Too Large".into(), None),
            Self::Refused(Refused::QueueFull) => {
                (StatusCode::TOO_MANY_REQUESTS, "Too Many Requests".into(), Some("1"))
            }
            Self::Refused(Refused::WaitedTooLong) | Self::TimedOut => {
                (StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable".into(), Some("5"))
            }
            Self::Refused(Refused::NoProcess) => {
                let message =
                    "Service Unavailable: the function has no process that answers; restart `make dev`";
                (StatusCode::SERVICE_UNAVAILABLE, message.into(), Some("60"))
            }
            Self::Ended(function) => {
                let message =
                    format!("Bad Gateway: {function} ended before it answered; see the log of `make dev`");
                (StatusCode::BAD_GATEWAY, message, None)
            }
            Self::Failed => (StatusCode::INTERNAL_SERVER_ERROR, "Internal Server Error".into(), None),
        };
        let mut response = (status, Json(json!({"message": message}))).into_response();
        if let Some(seconds) = retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(seconds));
        }
        response
    }
}
