//! Every way a request can fail: one table of stable codes, sent to clients as RFC 9457 problem details.
//!
//! An [`Error`] has no `Display`, so its internal cause can reach only the log, never a client. Details never repeat
//! what a client sent, because that may be patient data.

use std::fmt;

use lambda_http::http::StatusCode;
use serde_json::{Map, Value};

use super::field_error::{FieldError, Invalid};

/// A stable machine word for a kind of failure; `openapi.yaml` lists the same words in `Problem.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorCode {
    /// The body is not JSON, or not a JSON object.
    MalformedJson,
    /// A path, query or header parameter is unknown, repeated or has a bad value.
    InvalidParameter,
    /// The cursor does not belong to this list in this lab.
    InvalidCursor,
    /// The caller belongs to several labs and must name one.
    LabRequired,
    /// The request has no valid access token of an active user.
    Unauthorized,
    /// The caller's role in the lab does not permit the operation.
    Forbidden,
    /// The caller has no active membership in the lab.
    LabForbidden,
    /// The caller is a system administrator and must give a reason for reading a lab's data.
    BreakGlassRequired,
    /// The caller signed in too long ago for break-glass access.
    ReauthenticationRequired,
    /// The request did not come through the CDN.
    DirectAccessForbidden,
    /// The path does not exist.
    NotFound,
    /// The case does not exist in the caller's lab.
    CaseNotFound,
    /// The retention of the deleted case has ended.
    CaseDisposed,
    /// The data was restored to an earlier time, and the reader of the feed has read changes that are gone.
    FeedRestarted,
    /// The case does not have this comment.
    CommentNotFound,
    /// The case does not have this file.
    AttachmentNotFound,
    /// The lab does not have this webhook.
    WebhookNotFound,
    /// The webhook does not have this delivery.
    DeliveryNotFound,
    /// The doctor does not exist or is not related to the caller's lab.
    DoctorNotFound,
    /// The path exists, but not with this method.
    MethodNotAllowed,
    /// Concurrent changes of the same data prevented the write.
    Conflict,
    /// The workflow does not allow this status change.
    IllegalTransition,
    /// The author can no longer edit the comment.
    EditPeriodOver,
    /// The comment was removed.
    CommentRemoved,
    /// The file was removed.
    AttachmentRemoved,
    /// The store does not have the whole file.
    UploadIncomplete,
    /// The store has another file than was announced.
    UploadMismatch,
    /// The file is completed, so nothing can be sent any more.
    UploadFinished,
    /// The case has as many files as it can have.
    FileLimitReached,
    /// The files of the lab would exceed its quota.
    StorageQuotaExceeded,
    /// The lab has as many webhooks as it may have.
    TooManyWebhooks,
    /// The webhook is disabled, so it gets no messages.
    WebhookDisabled,
    /// Only a failed delivery can be sent again.
    DeliveryNotFailed,
    /// The idempotency key was used for another request.
    IdempotencyKeyReused,
    /// The case has another version than `If-Match` says.
    PreconditionFailed,
    /// The body is larger than 1 MiB.
    PayloadTooLarge,
    /// The body is not declared as JSON.
    UnsupportedMediaType,
    /// The body is JSON, but breaks the rules that `errors` lists.
    ValidationFailed,
    /// The user, the lab or the address sends more requests in a minute than the limit.
    TooManyRequests,
    /// A defect of this service.
    InternalError,
    /// A service that this one needs (DynamoDB, UMS, LinksHub) failed or was too slow.
    ServiceUnavailable,
}

impl ErrorCode {
    /// The code's row: machine word, HTTP status, title.
    const fn row(self) -> (&'static str, StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            ErrorCode::MalformedJson => ("malformed_json", S::BAD_REQUEST, "Malformed JSON"),
            ErrorCode::InvalidParameter => ("invalid_parameter", S::BAD_REQUEST, "Invalid parameter"),
            ErrorCode::InvalidCursor => ("invalid_cursor", S::BAD_REQUEST, "Invalid cursor"),
            ErrorCode::LabRequired => ("lab_required", S::BAD_REQUEST, "Lab required"),
            ErrorCode::Unauthorized => ("unauthorized", S::UNAUTHORIZED, "Unauthorized"),
            ErrorCode::Forbidden => ("forbidden", S::FORBIDDEN, "Forbidden"),
            ErrorCode::LabForbidden => ("lab_forbidden", S::FORBIDDEN, "Lab forbidden"),
            ErrorCode::BreakGlassRequired => ("break_glass_required", S::FORBIDDEN, "Break-glass required"),
            ErrorCode::ReauthenticationRequired => {
                ("reauthentication_required", S::FORBIDDEN, "Reauthentication required")
            }
            ErrorCode::DirectAccessForbidden => {
                ("direct_access_forbidden", S::FORBIDDEN, "Direct access forbidden")
            }
            ErrorCode::NotFound => ("not_found", S::NOT_FOUND, "Not found"),
            ErrorCode::CaseNotFound => ("case_not_found", S::NOT_FOUND, "Case not found"),
            ErrorCode::CaseDisposed => ("case_disposed", S::GONE, "Case disposed"),
            ErrorCode::FeedRestarted => ("feed_restarted", S::GONE, "Feed restarted"),
            ErrorCode::CommentNotFound => ("comment_not_found", S::NOT_FOUND, "Comment not found"),
            ErrorCode::AttachmentNotFound => ("attachment_not_found", S::NOT_FOUND, "Attachment not found"),
            ErrorCode::WebhookNotFound => ("webhook_not_found", S::NOT_FOUND, "Webhook not found"),
            ErrorCode::DeliveryNotFound => ("delivery_not_found", S::NOT_FOUND, "Delivery not found"),
            ErrorCode::DoctorNotFound => ("doctor_not_found", S::NOT_FOUND, "Doctor not found"),
            ErrorCode::MethodNotAllowed => {
                ("method_not_allowed", S::METHOD_NOT_ALLOWED, "Method not allowed")
            }
            ErrorCode::Conflict => ("conflict", S::CONFLICT, "Conflict"),
            ErrorCode::IllegalTransition => ("illegal_transition", S::CONFLICT, "Illegal transition"),
            ErrorCode::EditPeriodOver => ("edit_period_over", S::CONFLICT, "Edit period over"),
            ErrorCode::CommentRemoved => ("comment_removed", S::CONFLICT, "Comment removed"),
            ErrorCode::AttachmentRemoved => ("attachment_removed", S::CONFLICT, "Attachment removed"),
            ErrorCode::UploadIncomplete => ("upload_incomplete", S::CONFLICT, "Upload incomplete"),
            ErrorCode::UploadMismatch => ("upload_mismatch", S::CONFLICT, "Upload mismatch"),
            ErrorCode::UploadFinished => ("upload_finished", S::CONFLICT, "Upload finished"),
            ErrorCode::FileLimitReached => ("file_limit_reached", S::CONFLICT, "File limit reached"),
            ErrorCode::StorageQuotaExceeded => {
                ("storage_quota_exceeded", S::CONFLICT, "Storage quota exceeded")
            }
            ErrorCode::TooManyWebhooks => ("too_many_webhooks", S::CONFLICT, "Too many webhooks"),
            ErrorCode::WebhookDisabled => ("webhook_disabled", S::CONFLICT, "Webhook disabled"),
            ErrorCode::DeliveryNotFailed => ("delivery_not_failed", S::CONFLICT, "Delivery not failed"),
            ErrorCode::IdempotencyKeyReused => {
                ("idempotency_key_reused", S::CONFLICT, "Idempotency key reused")
            }
            ErrorCode::PreconditionFailed => {
                ("precondition_failed", S::PRECONDITION_FAILED, "Precondition failed")
            }
            ErrorCode::PayloadTooLarge => ("payload_too_large", S::PAYLOAD_TOO_LARGE, "Payload too large"),
            ErrorCode::UnsupportedMediaType => {
                ("unsupported_media_type", S::UNSUPPORTED_MEDIA_TYPE, "Unsupported media type")
            }
            ErrorCode::ValidationFailed => {
                ("validation_failed", S::UNPROCESSABLE_ENTITY, "Validation failed")
            }
            ErrorCode::TooManyRequests => ("too_many_requests", S::TOO_MANY_REQUESTS, "Too many requests"),
            ErrorCode::InternalError => ("internal_error", S::INTERNAL_SERVER_ERROR, "Internal error"),
            ErrorCode::ServiceUnavailable => {
                ("service_unavailable", S::SERVICE_UNAVAILABLE, "Service unavailable")
            }
        }
    }

    /// The machine word.
    pub const fn as_str(self) -> &'static str {
        self.row().0
    }

    /// The HTTP status of the response.
    pub const fn status(self) -> StatusCode {
        self.row().1
    }

    /// The title of its problem documents.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Every code, for the test that holds `openapi.yaml` to this table.
    pub const ALL: &[ErrorCode] = &[
        ErrorCode::MalformedJson,
        ErrorCode::InvalidParameter,
        ErrorCode::InvalidCursor,
        ErrorCode::LabRequired,
        ErrorCode::Unauthorized,
        ErrorCode::Forbidden,
        ErrorCode::LabForbidden,
        ErrorCode::BreakGlassRequired,
        ErrorCode::ReauthenticationRequired,
        ErrorCode::DirectAccessForbidden,
        ErrorCode::NotFound,
        ErrorCode::CaseNotFound,
        ErrorCode::CaseDisposed,
        ErrorCode::FeedRestarted,
        ErrorCode::CommentNotFound,
        ErrorCode::AttachmentNotFound,
        ErrorCode::WebhookNotFound,
        ErrorCode::DeliveryNotFound,
        ErrorCode::DoctorNotFound,
        ErrorCode::MethodNotAllowed,
        ErrorCode::Conflict,
        ErrorCode::IllegalTransition,
        ErrorCode::EditPeriodOver,
        ErrorCode::CommentRemoved,
        ErrorCode::AttachmentRemoved,
        ErrorCode::UploadIncomplete,
        ErrorCode::UploadMismatch,
        ErrorCode::UploadFinished,
        ErrorCode::FileLimitReached,
        ErrorCode::StorageQuotaExceeded,
        ErrorCode::TooManyWebhooks,
        ErrorCode::WebhookDisabled,
        ErrorCode::DeliveryNotFailed,
        ErrorCode::IdempotencyKeyReused,
        ErrorCode::PreconditionFailed,
        ErrorCode::PayloadTooLarge,
        ErrorCode::UnsupportedMediaType,
        ErrorCode::ValidationFailed,
        ErrorCode::TooManyRequests,
        ErrorCode::InternalError,
        ErrorCode::ServiceUnavailable,
    ];
}

/// Why a request failed: texts for the client, and a cause for the log. `Debug` shows only what the log may show. It
/// leaves out the field errors, which name fields as the client sent them.
#[derive(Clone)]
pub struct Error(Box<Failure>);

#[derive(Clone)]
struct Failure {
    code: ErrorCode,
    detail: String,
    errors: Vec<FieldError>,
    extra: Map<String, Value>,
    allow: Option<String>,
    challenge: Option<String>,
    retry_after: Option<u16>,
    cause: Option<String>,
    outage: bool,
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failure { code, cause, .. } = &*self.0;
        f.debug_struct("Error").field("code", code).field("cause", cause).finish_non_exhaustive()
    }
}

/// The response lists at most this many errors. A body can have a hundred thousand, which would not fit.
const MAX_FIELD_ERRORS: usize = 100;

/// The `Retry-After` of a failed dependency or a conflict, in seconds.
pub(crate) const RETRY_AFTER_SECONDS: u16 = 2;

impl Error {
    /// Makes an error of this kind. The client sees `detail`.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self(Box::new(Failure {
            code,
            detail,
            errors: Vec::new(),
            extra: Map::new(),
            allow: None,
            challenge: (code == ErrorCode::Unauthorized).then(|| "Bearer".to_owned()),
            retry_after: (code == ErrorCode::ServiceUnavailable).then_some(RETRY_AFTER_SECONDS),
            cause: None,
            outage: false,
        }))
    }

    /// The body breaks the rules. The response lists all errors at once.
    pub fn validation(mut errors: Vec<FieldError>) -> Self {
        errors.truncate(MAX_FIELD_ERRORS);
        let mut error = Self::new(ErrorCode::ValidationFailed, "Some fields of the body are not valid.");
        error.0.errors = errors;
        error
    }

    /// One parameter outside the body is wrong. `pointer` is `/query/…`, `/path/…` or `/header/…`.
    pub fn parameter(pointer: impl Into<String>, invalid: Invalid) -> Self {
        Self::parameters(vec![FieldError::new(pointer, invalid)])
    }

    /// Several parameters outside the body are wrong.
    pub fn parameters(mut errors: Vec<FieldError>) -> Self {
        errors.truncate(MAX_FIELD_ERRORS);
        let mut error =
            Self::new(ErrorCode::InvalidParameter, "Some parameters of the request are not valid.");
        error.0.errors = errors;
        error
    }

    /// The token is missing, invalid or of a user who may not sign in.
    pub fn unauthorized(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Unauthorized, detail)
    }

    /// The case does not exist in the caller's lab. The response is the same when another lab has it.
    pub fn case_not_found() -> Self {
        Self::new(ErrorCode::CaseNotFound, "The lab does not have this case.")
    }

    /// The case does not have this comment.
    pub(crate) fn comment_not_found() -> Self {
        Self::new(ErrorCode::CommentNotFound, "The case does not have this comment.")
    }

    /// The case does not have this file.
    pub(crate) fn attachment_not_found() -> Self {
        Self::new(ErrorCode::AttachmentNotFound, "The case does not have this file.")
    }

    /// The lab does not have this webhook. The response is the same when another lab has it.
    pub(crate) fn webhook_not_found() -> Self {
        Self::new(ErrorCode::WebhookNotFound, "The lab does not have this webhook.")
    }

    /// The retention of the deleted case has ended, so its data is gone.
    pub(crate) fn case_disposed() -> Self {
        Self::new(ErrorCode::CaseDisposed, "The retention of this case has ended. Its data is gone.")
    }

    /// Other requests changed the same data until the time for retries was over. Nothing was written.
    pub(crate) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(ErrorCode::Conflict, detail).retry_after(RETRY_AFTER_SECONDS)
    }

    /// The user signed in too long ago: more than `max_age` seconds (RFC 9470).
    pub(crate) fn reauthentication_required(detail: impl Into<String>, max_age: u64) -> Self {
        let mut error = Self::new(ErrorCode::ReauthenticationRequired, detail);
        error.0.challenge =
            Some(format!("Bearer error=\"insufficient_user_authentication\", max_age={max_age}"));
        error
    }

    /// The path does not exist.
    pub fn not_found() -> Self {
        Self::new(ErrorCode::NotFound, "There is nothing at this path.")
    }

    /// The path exists with the methods in `allow` (the value of the `Allow` header).
    pub fn method_not_allowed(allow: &str) -> Self {
        let mut error = Self::new(ErrorCode::MethodNotAllowed, "The path does not have this method.");
        error.0.allow = Some(allow.to_owned());
        error
    }

    /// A dependency failed. `cause` goes to the log only and must not hold patient data or secrets.
    pub fn unavailable(dependency: &str, cause: impl Into<String>) -> Self {
        Self::new(ErrorCode::ServiceUnavailable, format!("{dependency} did not answer. Try again shortly."))
            .because(cause)
    }

    /// A dependency may be down for all requests: no connection, no answer in time, or a status of 500 and above. The
    /// circuit breaker counts these errors.
    pub(crate) fn outage(dependency: &str, cause: impl Into<String>) -> Self {
        let mut error = Self::unavailable(dependency, cause);
        error.0.outage = true;
        error
    }

    /// Whether [`Error::outage`] made this error.
    pub(crate) fn is_outage(&self) -> bool {
        self.0.outage
    }

    /// A defect of this service. `cause` goes to the log only and must not hold patient data or secrets.
    pub fn internal(cause: impl Into<String>) -> Self {
        Self::new(ErrorCode::InternalError, "The service failed. Send the request id to support.")
            .because(cause)
    }

    /// Adds a member to the problem document.
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.0.extra.insert(member.to_owned(), value);
        self
    }

    /// Sets the `Retry-After` header, in seconds.
    pub(crate) fn retry_after(mut self, seconds: u16) -> Self {
        self.0.retry_after = Some(seconds);
        self
    }

    fn because(mut self, cause: impl Into<String>) -> Self {
        self.0.cause = Some(cause.into());
        self
    }

    /// The kind of failure.
    pub fn code(&self) -> ErrorCode {
        self.0.code
    }

    /// The internal cause, for the log only.
    pub fn cause(&self) -> Option<&str> {
        self.0.cause.as_deref()
    }

    /// The parts that the client may see, for the problem document.
    pub(crate) fn report(&self) -> Report<'_> {
        let Failure { detail, errors, extra, allow, challenge, retry_after, .. } = &*self.0;
        Report {
            detail,
            errors,
            extra,
            allow: allow.as_deref(),
            challenge: challenge.as_deref(),
            retry_after: *retry_after,
        }
    }
}

/// The parts of an error that the client may see, besides its code.
pub(crate) struct Report<'a> {
    /// What is wrong, in words.
    pub detail: &'a str,
    /// What is wrong with each field or parameter.
    pub errors: &'a [FieldError],
    /// More members of the problem document.
    pub extra: &'a Map<String, Value>,
    /// The value of `Allow`.
    pub allow: Option<&'a str>,
    /// The value of `WWW-Authenticate`.
    pub challenge: Option<&'a str>,
    /// The value of `Retry-After`, in seconds.
    pub retry_after: Option<u16>,
}
