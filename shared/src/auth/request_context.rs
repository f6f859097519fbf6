//! One request of a verified caller, with the values for its audit records.

use std::{sync::Arc, time::Instant};

use lambda_http::{RequestExt, http::header, request};

use super::{AccessToken, Authenticator, BreakGlass, Caller, Operation};
use crate::{
    base::{
        CaseId,
        error::{Error, ErrorCode},
    },
    http::{Request, requested_lab},
    telemetry::LogContext,
};

/// How much of the client's `User-Agent` an audit record holds.
const MAX_USER_AGENT_BYTES: usize = 256;

/// A request whose token is verified.
pub(crate) struct RequestContext {
    pub token: AccessToken,
    pub operation: Operation,
    pub request_id: String,
    pub started: Instant,
    /// The case in the path.
    pub case_id: Option<CaseId>,
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
    /// Why a system administrator reads a lab's data.
    pub break_glass: Option<BreakGlass>,
}

impl RequestContext {
    /// Verifies the caller's token and counts the request, before any other work. It counts for the user, or without a valid
    /// token for the source address.
    ///
    /// # Errors
    /// Unauthorized; too many requests; invalid parameter, for a break-glass reason that is not accepted.
    pub(crate) async fn begin(
        auth: &Authenticator,
        operation: Operation,
        request: &Request,
        log: &LogContext,
    ) -> Result<Arc<Self>, Error> {
        let started = Instant::now();
        let verified = auth.verifier.verify(request).await;
        if verified.as_ref().is_err_and(|error| error.code() == ErrorCode::Unauthorized) {
            auth.sources.count(request)?;
        }
        let token = verified?;
        let _ = log.user_id.set(token.subject().to_string());
        if let Ok(Some(lab)) = requested_lab(request) {
            let _ = log.lab_id.set(lab.get());
        }
        auth.limits.count_user(token.subject(), log)?;
        let id = request.path_parameters_ref().and_then(|parameters| parameters.first("id"));
        Ok(Arc::new(Self {
            token,
            operation,
            request_id: log.request_id.clone(),
            started,
            case_id: id.and_then(CaseId::parse),
            source_ip: source_ip(request),
            user_agent: user_agent(request),
            break_glass: BreakGlass::of(request)?,
        }))
    }

    /// Gets the user and their memberships from UMS.
    pub(crate) async fn caller(&self, auth: &Authenticator) -> Result<Caller, Error> {
        auth.ums.caller(&self.token).await
    }
}

pub(super) fn source_ip(request: &Request) -> Option<String> {
    match request.request_context_ref() {
        Some(request::RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _ => None,
    }
}

fn user_agent(request: &Request) -> Option<String> {
    let text = request.headers().get(header::USER_AGENT)?.to_str().ok()?;
    Some(text[..text.len().min(MAX_USER_AGENT_BYTES)].to_owned())
}
