//! Who calls, and what they may do: tokens, the User Management Service, rate limits, operations and their permissions.

mod operation;
mod permission;
mod rate_limit;
mod request_context;
mod token;
mod ums;

use reqwest::Client;

pub use operation::Operation;
pub use permission::{ATTRIBUTES, BREAK_GLASS, Permission, Permissions, ROLES};
pub(crate) use rate_limit::RateLimits;
pub(crate) use request_context::RequestContext;
pub(crate) use token::{AccessToken, Verifier};
pub(crate) use ums::{Caller, Grant, Membership, Ums, within_budget};

use crate::config::Config;

/// What finds out who calls.
pub(crate) struct Authenticator {
    pub verifier: Verifier,
    pub ums: Ums,
    pub limits: RateLimits,
}

impl Authenticator {
    /// With the keys, the UMS and the limits of the configuration; nothing is sent yet.
    pub(crate) fn new(config: &Config, client: &Client) -> Self {
        Self {
            verifier: Verifier::new(&config.token, client.clone()),
            ums: Ums::new(client.clone(), config.ums.clone(), config.outage_pause),
            limits: RateLimits::new(&config.rate),
        }
    }
}
