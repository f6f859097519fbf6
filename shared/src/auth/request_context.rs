//! One request of a verified caller, with the values for its audit records.

use std::{sync::Arc, time::Instant};

use lambda_http::{
    RequestExt,
    http::{HeaderName, header},
    request,
};

use super::{AccessToken, Authenticator, Caller, Operation};
use crate::{
    base::{
        CaseId,
        error::{Error, ErrorCode},
        field_error::Invalid,
    },
    http::{Request, requested_lab},
    telemetry::LogContext,
};

/// The header in which a system administrator gives the reason for reading a lab's data.
const BREAK_GLASS: HeaderName = HeaderName::from_static("x-break-glass");
/// The longest accepted reason.
const MAX_REASON_BYTES: usize = 200;
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
    pub break_glass: Option<String>,
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
            break_glass: break_glass(request)?,
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

fn break_glass(request: &Request) -> Result<Option<String>, Error> {
    const POINTER: &str = "/header/X-Break-Glass";
    let mut values = request.headers().get_all(&BREAK_GLASS).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Error::parameter(POINTER, Invalid::given_more_than_once()));
    }
    // `to_str` allows tabs, which are not visible characters.
    let reason = value.to_str().ok().filter(|text| !text.contains('\t')).unwrap_or_default().trim();
    if reason.is_empty() || reason.len() > MAX_REASON_BYTES {
        let detail = format!("must be a reason of 1 to {MAX_REASON_BYTES} visible ASCII characters");
        return Err(Error::parameter(POINTER, Invalid::format("break_glass_reason", detail)));
    }
    Ok(Some(reason.to_owned()))
}
