//! One request of a verified caller, with what the access records tell of it.

use std::{sync::Arc, time::Instant};

use lambda_http::{
    RequestExt,
    http::{HeaderName, header},
    request::RequestContext,
};

use super::choice::wanted_lab;
use crate::{
    case::CaseId, error::Error, http::Request, rate::Standing, services::Services, telemetry::Seen,
    token::AccessToken, ums::Caller,
};

/// The header in which a system administrator says why they look into a lab.
const BREAK_GLASS: HeaderName = HeaderName::from_static("x-break-glass");
/// The longest reason for that.
const MAX_REASON_BYTES: usize = 200;
/// How much is kept of what a client calls itself.
const MAX_USER_AGENT_BYTES: usize = 256;

/// A request whose token is verified.
pub(crate) struct Visit {
    pub token: AccessToken,
    pub request_id: String,
    pub started: Instant,
    /// The case that the path names.
    pub case_id: Option<CaseId>,
    pub source_ip: Option<String>,
    pub user_agent: Option<String>,
    /// Where the user stands with the limit of requests.
    pub standing: Option<Standing>,
    /// Why a system administrator looks into a lab.
    pub break_glass: Option<String>,
}

impl Visit {
    /// Verifies the caller's token, and counts the request before anything is asked for it.
    ///
    /// # Errors
    /// Unauthorized; too many requests; invalid parameter, for a reason of a system administrator that is none.
    pub(super) async fn begin(
        services: &Services,
        request: &Request,
        seen: &Seen,
    ) -> Result<Arc<Self>, Error> {
        let started = Instant::now();
        let token = services.verifier.verify(request).await?;
        let _ = seen.user_id.set(token.subject().to_string());
        if let Ok(Some(lab)) = wanted_lab(request) {
            let _ = seen.lab_id.set(lab.get());
        }
        let standing = services.limits.user(token.subject())?;
        let id = request.path_parameters_ref().and_then(|parameters| parameters.first("id"));
        Ok(Arc::new(Self {
            token,
            request_id: seen.request_id.clone(),
            started,
            case_id: id.and_then(CaseId::parse),
            source_ip: source_ip(request),
            user_agent: user_agent(request),
            standing,
            break_glass: break_glass(request)?,
        }))
    }

    /// Who the caller is to UMS.
    pub(super) async fn caller(&self, services: &Services) -> Result<Caller, Error> {
        services.ums.caller(&self.token).await
    }
}

fn source_ip(request: &Request) -> Option<String> {
    match request.request_context_ref() {
        Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.clone(),
        _ => None,
    }
}

fn user_agent(request: &Request) -> Option<String> {
    let text = request.headers().get(header::USER_AGENT)?.to_str().ok()?;
    Some(text[..text.len().min(MAX_USER_AGENT_BYTES)].to_owned())
}

fn break_glass(request: &Request) -> Result<Option<String>, Error> {
    let mut values = request.headers().get_all(&BREAK_GLASS).iter();
    let (Some(value), second) = (values.next(), values.next()) else { return Ok(None) };
    // A header's text may have tabs, which are none of the visible characters.
    let reason = value.to_str().ok().filter(|text| !text.contains('\t')).unwrap_or_default().trim();
    if second.is_some() || reason.is_empty() || reason.len() > MAX_REASON_BYTES {
        let detail = format!("must be a reason of 1 to {MAX_REASON_BYTES} visible ASCII characters, once");
        return Err(Error::parameter("/header/X-Break-Glass", detail));
    }
    Ok(Some(reason.to_owned()))
}
