//! A request as the gateway passes it on, and the checks for every reply: it matches the contract and leaks nothing.

use std::{collections::BTreeMap, time::Duration};

use lambda_http::{Request, http::header, request::LambdaRequest};
use serde_json::{Map, Value, json};
use shared::http::make_readable;

use super::{Reply, Service, leaks, spec};

/// `Timeout` of the functions in template.yaml.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(10);

/// A request under construction.
pub(crate) struct Call<'s> {
    service: &'s Service,
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: Option<Vec<u8>>,
    /// Whether the data is of a newer release, whose contract this one does not know.
    is_of_newer_release: bool,
}

impl<'s> Call<'s> {
    pub(super) fn new(service: &'s Service, method: &str, path: &str) -> Self {
        Self {
            service,
            method: method.to_owned(),
            path: path.to_owned(),
            headers: Vec::new(),
            body: None,
            is_of_newer_release: false,
        }
    }

    pub(crate) fn token(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    pub(crate) fn lab(self, lab: i64) -> Self {
        self.header("x-lab-id", &lab.to_string())
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn json(self, body: Value) -> Self {
        self.header("content-type", "application/json").bytes(body.to_string())
    }

    pub(crate) fn bytes(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Does not compare a successful reply with the contract.
    pub(crate) fn of_newer_release(self) -> Self {
        Self { is_of_newer_release: true, ..self }
    }

    /// Sends the request as the gateway would, and checks the reply against the contract. Like Lambda, it gives up after ten
    /// seconds.
    pub(crate) async fn send(self) -> Reply {
        let what = format!("{} {}", self.method, self.path);
        let reply = tokio::time::timeout(FUNCTION_TIMEOUT, self.exchange()).await;
        reply.unwrap_or_else(|_| panic!("{what} did not answer"))
    }

    async fn exchange(self) -> Reply {
        let (path, query) = self.path.split_once('?').unwrap_or((&self.path, ""));
        let routed = spec::route(&self.method, path);
        let function =
            routed.as_ref().map_or_else(|| "fallback".to_owned(), |(operation, _)| operation.function());
        let parameters = routed.as_ref().map(|(_, parameters)| parameters.clone()).unwrap_or_default();
        let event = self.event(path, query, &parameters);
        let mut event: LambdaRequest = serde_json::from_str(&event.to_string()).unwrap();
        make_readable(&mut event);
        let mut request: Request = event.into();
        // A JSON event cannot repeat a header, and the gateway joins repeated ones with a comma. Tests that need two set them here.
        for (name, value) in &self.headers {
            let name: header::HeaderName = name.parse().unwrap();
            let repeats = self.headers.iter().filter(|(other, _)| name == other.as_str()).count() > 1;
            if repeats {
                request.headers_mut().append(name, value.parse().unwrap());
            }
        }
        let reply = self.service.answer(&function, request).await;
        self.check(&reply, routed.as_ref().map(|(operation, _)| operation));
        reply
    }

    fn event(&self, path: &str, query: &str, parameters: &BTreeMap<String, String>) -> Value {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            if !headers.contains_key(name) {
                headers.insert(name.clone(), json!(value));
            }
        }
        headers.retain(|name, _| self.headers.iter().filter(|(other, _)| other == name).count() == 1);
        let mut event = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": query, "headers": headers,
            "pathParameters": parameters, "isBase64Encoded": false,
            "requestContext": {
                "accountId": "1", "apiId": "a", "domainName": "api.example.com", "domainPrefix": "api", "stage": "$default",
                "requestId": "request-id-1", "routeKey": "$default", "time": "24/Nov/2026:09:30:00 +0000",
                "timeEpoch": 1_795_512_600_000_i64,
                "http": {"method": self.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "192.0.2.1", "userAgent": "test"},
            },
        });
        match self.body.as_deref().map(std::str::from_utf8) {
            None => {}
            Some(Ok(text)) => event["body"] = json!(text),
            Some(Err(_)) => {
                event["body"] = json!(base64(self.body.as_deref().unwrap_or_default()));
                event["isBase64Encoded"] = json!(true);
            }
        }
        event
    }

    /// Checks that the response matches the contract, has the headers of all responses, and leaks nothing.
    #[track_caller]
    fn check(&self, reply: &Reply, operation: Option<&spec::Operation>) {
        let context = format!("{} {} answered {}", self.method, self.path, reply.status);
        assert_eq!(leaks::in_reply(reply), [""; 0], "{context}");
        assert_eq!(leaks::in_log(), [""; 0], "{context}");
        assert_eq!(leaks::faults_of_metrics(), [""; 0], "{context}");
        let own_id = self.headers.iter().find(|(name, _)| name == "x-request-id");
        let expected = own_id.map_or("request-id-1", |(_, id)| id);
        // An id that is not well formed is ignored.
        let is_expected = |id: &str| id == expected || (own_id.is_some() && id == "request-id-1");
        assert!(reply.header("x-request-id").is_some_and(is_expected), "{context}");
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"), "{context}");
        assert_eq!(reply.header("referrer-policy"), Some("no-referrer"), "{context}");
        assert_eq!(
            reply.header("strict-transport-security"),
            Some("max-age=63072000; includeSubDomains"),
            "{context}"
        );
        let is_beyond_contract = self.is_of_newer_release && reply.status < 300;
        if let Some(operation) = operation.filter(|_| !is_beyond_contract) {
            let faults = spec::faults(operation, reply.status, &reply.headers, &reply.bytes);
            assert!(
                faults.is_empty(),
                "{context} against the contract: {faults:#?}\n{}",
                String::from_utf8_lossy(&reply.bytes)
            );
        }
    }
}

fn base64(bytes: &[u8]) -> String {
    use lambda_http::aws_lambda_events::encodings::Body;
    serde_json::to_value(Body::Binary(bytes.to_vec())).unwrap().as_str().unwrap().to_owned()
}
