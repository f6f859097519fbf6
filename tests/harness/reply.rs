//! A response, with the assertions that tests make on it.

use std::{
    io::Read,
    time::{Duration, Instant},
};

use flate2::read::GzDecoder;
use lambda_http::http::HeaderMap;
use serde_json::Value;
use shared::http::Response;

/// The answer of the service, already checked against the contract.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// The body, decompressed.
    pub(crate) bytes: Vec<u8>,
    /// The size of the body as it was sent.
    pub(crate) sent_bytes: usize,
}

impl Reply {
    /// Takes a response as the gateway would send it.
    pub(crate) fn of(response: Response) -> Self {
        let (parts, body) = response.into_parts();
        let (sent, mut bytes) = (body.to_vec(), Vec::new());
        if parts.headers.get("content-encoding").is_some_and(|coding| coding == "gzip") {
            GzDecoder::new(&*sent).read_to_end(&mut bytes).unwrap();
        } else {
            bytes.clone_from(&sent);
        }
        Self { status: parts.status.as_u16(), headers: parts.headers, bytes, sent_bytes: sent.len() }
    }

    /// The body as JSON; null when there is none.
    pub(crate) fn json(&self) -> Value {
        if self.bytes.is_empty() { Value::Null } else { serde_json::from_slice(&self.bytes).unwrap() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// Expects a success of any media type.
    #[track_caller]
    pub(crate) fn expect_success(&self) {
        assert!(self.status < 300, "{}", String::from_utf8_lossy(&self.bytes));
    }

    /// Expects this status and returns the body.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.bytes));
        self.json()
    }

    /// Expects problem details with this status and code, and every header that problems have.
    #[track_caller]
    pub(crate) fn expect_problem(&self, status: u16, code: &str) -> Value {
        let body = self.expect(status);
        assert_eq!(body["code"], code, "{body}");
        assert_eq!(body["status"], status);
        assert_eq!(body["type"], format!("urn:lhcms:problem:{code}"));
        assert_eq!(self.header("content-type"), Some("application/problem+json"));
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("x-request-id"), body["request_id"].as_str());
        let challenge = match code {
            "reauthentication_required" => {
                Some("Bearer error=\"insufficient_user_authentication\", max_age=900")
            }
            _ => (status == 401).then_some("Bearer"),
        };
        assert_eq!(self.header("www-authenticate"), challenge);
        let may_succeed_later = [429, 503].contains(&status) || code == "conflict";
        assert_eq!(self.header("retry-after").is_some(), may_succeed_later);
        body
    }

    /// The pointers of a problem's errors, in order.
    #[track_caller]
    pub(crate) fn pointers(&self) -> Vec<String> {
        let body = self.json();
        let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no errors in {body}"));
        errors.iter().map(|error| error["pointer"].as_str().unwrap().to_owned()).collect()
    }
}

/// Sends a request again and again until it succeeds. Fails after half a minute.
pub(crate) async fn retry_until_success<F: Future<Output = Reply>>(send: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let reply = send().await;
        if reply.status < 300 {
            return;
        }
        assert!(Instant::now() < deadline, "still {}", String::from_utf8_lossy(&reply.bytes));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
