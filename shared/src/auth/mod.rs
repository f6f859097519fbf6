//! Authentication and authorization: tokens, the User Management Service, rate limits, operations and their permissions.

mod break_glass;
mod operation;
mod permission;
mod rate_limit;
mod request_context;
mod token;
mod ums;

use reqwest::Client;

pub use break_glass::BreakGlassCode;
pub(crate) use break_glass::{BreakGlass, MAX_SIGN_IN_AGE_SECONDS};
pub use operation::Operation;
pub(crate) use operation::PUBLIC_OPERATIONS;
pub use permission::{ATTRIBUTES, BREAK_GLASS, Permission, Permissions, ROLES};
pub(crate) use rate_limit::{RateLimits, SourceLimit};
pub(crate) use request_context::RequestContext;
pub(crate) use token::{AccessToken, LEEWAY_SECONDS, Verifier};
pub(crate) use ums::{Caller, Grant, Membership, Ums, within_budget};

use crate::config::Config;

/// Everything that identifies the caller of a request.
pub(crate) struct Authenticator {
    pub verifier: Verifier,
    pub ums: Ums,
    pub limits: RateLimits,
    pub sources: SourceLimit,
}

impl Authenticator {
    /// Uses the keys, the UMS and the limits of the configuration. Sends nothing yet.
    pub(crate) fn new(config: &Config, client: &Client) -> Self {
        Self {
            verifier: Verifier::new(&config.token, client.clone()),
            ums: Ums::new(client.clone(), config.ums.clone(), config.outage_pause),
            limits: RateLimits::new(&config.rate),
            sources: SourceLimit::new(config.common.rate_limit_per_source),
        }
    }

    /// Opens connections and fetches keys before the first request.
    pub(crate) async fn warm_up(&self) {
        tokio::join!(self.ums.warm_up(), self.verifier.warm_up());
    }
}
