//! Every way a request can fail, as one table of stable codes, answered as RFC 9457 problem details.
//!
//! An [`Error`] has no `Display`: its internal cause can only go to the log, and only there, so nothing internal
//! reaches a client by accident. Details never repeat what a client sent, because that may be patient data.

use std::fmt;

use lambda_http::http::{HeaderValue, StatusCode, header};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{http::Response, rate::Standing};

/// A stable machine word for a kind of failure; `openapi.yaml` lists the same words in `Problem.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The body is not JSON, or not a JSON object.
    MalformedJson,
    /// A path, query or header parameter is unknown, repeated or has a bad value.
    InvalidParameter,
    /// The list cursor was not made by this service for this lab.
    InvalidCursor,
    /// The caller belongs to several labs and named none.
    LabRequired,
    /// No valid access token of an active user.
    Unauthorized,
    /// The caller's role in the lab does not permit the operation.
    Forbidden,
    /// The caller has no active membership in the lab.
    LabForbidden,
    /// The caller is a system administrator, who must say why they look into a lab.
    BreakGlassRequired,
    /// No such route.
    NotFound,
    /// No such case in the caller's lab.
    CaseNotFound,
    /// No such doctor, or none related to the caller's lab.
    DoctorNotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// Another change of the same case kept winning.
    Conflict,
    /// The workflow does not have this move.
    IllegalTransition,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// The case has another version than `If-Match` says.
    PreconditionFailed,
    /// The body is larger than [`crate::http::MAX_BODY_BYTES`].
    PayloadTooLarge,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body is JSON, but breaks the rules that `errors` lists.
    ValidationFailed,
    /// The caller, or everybody in the lab together, sends more requests than a minute allows.
    TooManyRequests,
    /// A defect of this service.
    InternalError,
    /// A service that this one needs (DynamoDB, UMS, LinksHub) did not answer properly in time.
    ServiceUnavailable,
}

impl Code {
    /// The code's row: machine word, HTTP status, title.
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Code::MalformedJson => ("malformed_json", S::BAD_REQUEST, "Malformed JSON"),
            Code::InvalidParameter => ("invalid_parameter", S::BAD_REQUEST, "Invalid parameter"),
            Code::InvalidCursor => ("invalid_cursor", S::BAD_REQUEST, "Invalid cursor"),
            Code::LabRequired => ("lab_required", S::BAD_REQUEST, "Lab required"),
            Code::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "Unauthorized"),
            Code::Forbidden => ("forbidden", S::FORBIDDEN, "Forbidden"),
            Code::LabForbidden => ("lab_forbidden", S::FORBIDDEN, "Lab forbidden"),
            Code::BreakGlassRequired => ("break_glass_required", S::FORBIDDEN, "Break-glass required"),
            Code::NotFound => ("not_found", S::NOT_FOUND, "Not found"),
            Code::CaseNotFound => ("case_not_found", S::NOT_FOUND, "Case not found"),
            Code::DoctorNotFound => ("doctor_not_found", S::NOT_FOUND, "Doctor not found"),
            Code::MethodNotAllowed => ("method_not_allowed", S::METHOD_NOT_ALLOWED, "Method not allowed"),
            Code::Conflict => ("conflict", S::CONFLICT, "Conflict"),
            Code::IllegalTransition => ("illegal_transition", S::CONFLICT, "Illegal transition"),
            Code::IdempotencyKeyReused => ("idempotency_key_reused", S::CONFLICT, "Idempotency key reused"),
            Code::PreconditionFailed => {
                ("precondition_failed", S::PRECONDITION_FAILED, "Precondition failed")
            }
            Code::PayloadTooLarge => ("payload_too_large", S::PAYLOAD_TOO_LARGE, "Payload too large"),
            Code::UnsupportedMediaType => {
                ("unsupported_media_type", S::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")
            }
            Code::ValidationFailed => ("validation_failed", S::UNPROCESSABLE_ENTITY, "Validation failed"),
            Code::TooManyRequests => ("too_many_requests", S::TOO_MANY_REQUESTS, "Too many requests"),
            Code::InternalError => ("internal_error", S::INTERNAL_SERVER_ERROR, "Internal error"),
            Code::ServiceUnavailable => {
                ("service_unavailable", S::SERVICE_UNAVAILABLE, "Service unavailable")
            }
        }
    }

    /// The machine word.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status it is answered with.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// Every code, for the test that holds `openapi.yaml` to this table.
    pub const ALL: &[Code] = &[
        Code::MalformedJson,
        Code::InvalidParameter,
        Code::InvalidCursor,
        Code::LabRequired,
        Code::Unauthorized,
        Code::Forbidden,
        Code::LabForbidden,
        Code::BreakGlassRequired,
        Code::NotFound,
        Code::CaseNotFound,
        Code::DoctorNotFound,
        Code::MethodNotAllowed,
        Code::Conflict,
        Code::IllegalTransition,
        Code::IdempotencyKeyReused,
        Code::PreconditionFailed,
        Code::PayloadTooLarge,
        Code::UnsupportedMediaType,
        Code::ValidationFailed,
        Code::TooManyRequests,
        Code::InternalError,
        Code::ServiceUnavailable,
    ];
}

/// One fault of the request: where (a JSON pointer into the body, or `/query/…`, `/path/…`, `/header/…`) and what.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// RFC 6901 JSON pointer. It names unknown fields as the client sent them: it goes back to them, never into the log.
    pub pointer: String,
    /// What is wrong there, without repeating the value.
    pub detail: String,
}

impl Fault {
    /// A fault at `pointer`.
    pub fn new(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { pointer: pointer.into(), detail: detail.into() }
    }
}

/// Why a request failed: what the client is told, and a cause that only the log sees. `Debug` shows what the log may
/// show: faults name fields as the client sent them.
#[derive(Clone)]
pub struct Error(Box<Failure>);

#[derive(Clone)]
struct Failure {
    code: Code,
    detail: String,
    faults: Vec<Fault>,
    extra: Map<String, Value>,
    allow: Option<String>,
    retry_after: Option<u16>,
    standing: Option<Standing>,
    cause: Option<String>,
    outage: bool,
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { code, cause, .. } = &*self.0;
        f.debug_struct("Error").field("code", code).field("cause", cause).finish_non_exhaustive()
    }
}

/// The most faults of a request that are named: a body has room for a hundred thousand, and an answer has not.
const MAX_FAULTS: usize = 100;

/// Seconds after which a client may try again when a dependency failed.
pub(crate) const RETRY_AFTER_SECONDS: u16 = 2;

impl Error {
    /// A failure of this kind; `detail` is shown to the client.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Failure {
            code,
            detail,
            faults: Vec::new(),
            extra: Map::new(),
            allow: None,
            retry_after: (code == Code::ServiceUnavailable).then_some(RETRY_AFTER_SECONDS),
            standing: None,
            cause: None,
            outage: false,
        }))
    }

    /// The body breaks the rules: all faults at once.
    pub fn validation(mut faults: Vec<Fault>) -> Self {
        faults.truncate(MAX_FAULTS);
        let mut error = Self::new(Code::ValidationFailed, "The body has fields that cannot be accepted.");
        error.0.faults = faults;
        error
    }

    /// One parameter outside the body is wrong; `pointer` is `/query/…`, `/path/…` or `/header/…`.
    pub fn parameter(pointer: impl Into<String>, detail: impl Into<String>) -> Self {
        Self::parameters(vec![Fault::new(pointer, detail)])
    }

    /// Several parameters outside the body are wrong.
    pub fn parameters(mut faults: Vec<Fault>) -> Self {
        faults.truncate(MAX_FAULTS);
        let mut error =
            Self::new(Code::InvalidParameter, "The request has parameters that cannot be accepted.");
        error.0.faults = faults;
        error
    }

    /// The token is missing, invalid or of a user who may not sign in.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(Code::Unauthorized, detail)
    }

    /// The case does not exist in the caller's lab; whether another lab has it is not told.
    pub fn case_not_found() -> Self {
        Self::new(Code::CaseNotFound, "The lab has no such case.")
    }

    /// No such route.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "There is nothing at this path.")
    }

    /// The path exists with the methods in `allow` (the value of the `Allow` header).
    pub fn method_not_allowed(allow: &str) -> Self {
        let mut error = Self::new(Code::MethodNotAllowed, "The path does not have this method.");
        error.0.allow = Some(allow.to_owned());
        error
    }

    /// A dependency failed; `cause` goes to the log only and must not hold patient data or secrets.
    pub fn unavailable(dependency: &str, cause: impl Into<String>) -> Self {
        Self::new(Code::ServiceUnavailable, format!("{dependency} did not answer. Try again shortly."))
            .because(cause)
    }

    /// A dependency failed in a way that other requests will meet as well: no connection, no answer in time, or an
    /// answer that says that it is broken.
    pub(crate) fn outage(dependency: &str, cause: impl Into<String>) -> Self {
        let mut error = Self::unavailable(dependency, cause);
        error.0.outage = true;
        error
    }

    /// Whether it was made by [`Error::outage`].
    pub(crate) fn is_outage(&self) -> bool {
        self.0.outage
    }

    /// A defect of this service; `cause` goes to the log only and must not hold patient data or secrets.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::new(Code::InternalError, "The service failed. The request id helps to find out why.")
            .because(cause)
    }

    /// Adds a member to the problem document.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.0.extra.insert(member.to_owned(), value);
        self
    }

    /// Says after how many seconds to try again.
    pub(crate) fn retry_after(mut self, seconds: u16) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    /// Says which limit was reached.
    pub(crate) fn at_limit(mut self, standing: Standing) -> Self {
        self.0.standing = Some(standing);
        self
    }

    fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> Code {
        self.0.code
    }

    /// What only the log may show.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The problem document.
    pub(crate) fn problem(&self, request_id: &str) -> Value {
        let Failure { code, detail, faults, extra, .. } = &*self.0;
        let (word, status, title) = code.row();
        let mut problem = json!({
            "type": format!("urn:lhcms:problem:{word}"),
            "title": title,
            "status": status.as_u16(),
            "detail": detail,
            "code": word,
            "request_id": request_id,
        });
        if !faults.is_empty() {
            problem["errors"] = json!(faults);
        }
        for (member, value) in extra {
            problem[member] = value.clone();
        }
        problem
    }

    /// The problem document with its status and headers.
    pub fn into_response(self, request_id: &str) -> Response {
        let problem = self.problem(request_id);
        let failure = *self.0;
        let mut response = Response::new(problem.to_string().into());
        *response.status_mut() = failure.code.status();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if failure.code == Code::Unauthorized {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = failure.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(standing) = failure.standing {
            standing.add_to(headers);
        }
        if let Some(allow) = failure.allow.and_then(|methods| HeaderValue::try_from(methods).ok()) {
            headers.insert(header::ALLOW, allow);
        }
        response
    }
}
