//! The context of a request, which collects the values of its log line. The handling of the request runs inside of it, so
//! that the lowest layers can add what they used without a parameter in every function.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::{trace::Trace, usage::Usage};
use crate::http::RateLimitStatus;

tokio::task_local! {
    static CURRENT: Arc<LogContext>;
}

/// The values of a request's log line. Each value is set as soon as it is known, so the line has it however the request
/// ends. The path is not among them: a client could write anything into it.
#[derive(Default)]
pub struct LogContext {
    /// The id of the request.
    pub request_id: String,
    /// The gateway's id of the request, if the client chose another one.
    pub(crate) gateway_id: Option<String>,
    /// The function that serves it.
    pub(crate) function: String,
    /// Its method.
    pub(crate) method: String,
    /// The operation of the contract.
    pub(crate) operation: &'static str,
    /// The method and path of the operation, as the contract has them.
    pub(crate) route: &'static str,
    /// Whether it is the first request of this instance.
    pub(crate) is_cold: bool,
    /// Its place in the trace of the client.
    pub(crate) trace: Trace,
    /// The user, once the token is verified.
    pub(crate) user_id: OnceLock<String>,
    /// The lab that the request names, permitted or not; otherwise the lab of the operation.
    pub(crate) lab_id: OnceLock<u64>,
    /// The rate limit with the fewest requests left. The response shows it as well.
    pub(crate) rate_limit: Mutex<Option<RateLimitStatus>>,
    /// What the request used.
    pub(crate) usage: Usage,
}

impl LogContext {
    /// Notes a rate limit that counted the request, and keeps the one with the fewest requests left.
    pub(crate) fn note_rate_limit(&self, status: RateLimitStatus) {
        let mut kept = self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.is_none_or(|kept| status.remaining < kept.remaining) {
            *kept = Some(status);
        }
    }

    /// The rate limit with the fewest requests left.
    pub(crate) fn rate_limit(&self) -> Option<RateLimitStatus> {
        *self.rate_limit.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the handling of a request in its context.
pub(crate) async fn within<F: Future>(context: Arc<LogContext>, work: F) -> F::Output {
    CURRENT.scope(context, work).await
}

/// Gives the context of the current request to `action`. `None` outside of a request, such as in the warm-up.
pub(super) fn with_current<T>(action: impl FnOnce(&LogContext) -> T) -> Option<T> {
    CURRENT.try_with(|context| action(context)).ok()
}

/// The headers `traceparent` and `X-Request-Id` for a call on behalf of the current request.
pub(crate) fn headers_of_call() -> Option<(String, String)> {
    with_current(|context| (context.trace.of_call(), context.request_id.clone()))
}
