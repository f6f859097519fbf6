//! Every environment variable the functions read: once, at start, all faults reported together; and the times and limits
//! that are not for operators to set.
//!
//! Each concern is a struct that names its variables; a function reads only the concerns it uses. The README's table
//! lists the same variables for operators.

mod env;
mod table;
mod token;

use std::{num::NonZeroU32, time::Duration};

use jiff::civil::Date;

use crate::{
    base::{error::RETRY_AFTER_SECONDS, private::Secret},
    wire_enum,
};

pub use env::{ConfigError, Env};
pub use table::{LabRoleConfig, TableConfig};
pub use token::{JwksConfig, KeyConfig, TokenConfig};

/// The most that all calls to UMS or LinksHub for one request may take together.
pub(crate) const UPSTREAM_BUDGET: Duration = Duration::from_secs(2);
/// How long a service that keeps failing gets no calls: as long as clients are told to wait, so that their retry finds the
/// service tried again.
pub(crate) const OUTAGE_PAUSE: Duration = Duration::from_secs(RETRY_AFTER_SECONDS as u64);
/// How long after its start a request goes on trying to write. A last attempt, begun just before, may take 2 s for the
/// read, 2 s for the write (each with all sends to DynamoDB) and 2 s for LinksHub: it is answered before the function's
/// time-out of 10 s.
pub(crate) const RETRY_BUDGET: Duration = Duration::from_millis(3500);

wire_enum! {
    /// Where the service runs (`STAGE`): a developer's machine or sandbox account, acceptance, production. `dev` relaxes
    /// the rules that protect real data.
    Stage { Dev = "dev", Qa = "qa", Prod = "prod" }
}

/// What every function reads.
#[derive(Clone, Debug)]
pub struct Common {
    /// `STAGE`; unset means prod, the strictest.
    pub stage: Stage,
    /// `LOG_LEVEL`: error, warn, info or debug.
    pub log_level: tracing::Level,
    /// `AWS_LAMBDA_FUNCTION_NAME`, set by Lambda: names the function in the log.
    pub function: String,
    /// `CORS_ORIGINS`: the exact origins whose pages may call the API, or `*` in the dev stage.
    pub cors_origins: Vec<String>,
}

impl Common {
    /// Reads and checks.
    pub fn read(env: &mut Env) -> Self {
        let stage = env.stage();
        let log_level = env.parsed("LOG_LEVEL", tracing::Level::INFO, "must be error, warn, info or debug");
        let cors_origins: Vec<String> = env
            .optional("CORS_ORIGINS")
            .map(|list| list.split(',').map(|origin| origin.trim().to_owned()).collect())
            .unwrap_or_default();
        for origin in &cors_origins {
            let exact = origin.split_once("://").is_some_and(|(scheme, host)| {
                matches!(scheme, "http" | "https") && !host.is_empty() && !host.contains(['/', '*', ' '])
            });
            if origin == "*" && stage != Stage::Dev {
                env.fault("CORS_ORIGINS", "must list exact origins outside the dev stage, not *");
            } else if origin != "*" && !exact {
                env.fault(
                    "CORS_ORIGINS",
                    "must be a comma-separated list of origins such as https://app.example.com",
                );
            }
        }
        let function = env.optional("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
        Self { stage, log_level, function, cors_origins }
    }
}

/// How the User Management Service is reached.
#[derive(Clone, Debug)]
pub struct UmsConfig {
    /// `UMS_BASE_URL`, without a trailing slash; defaults to the local stand-in in the dev stage only.
    pub base_url: String,
    /// `UMS_API_KEY`, sent as `X-API-Key` when set.
    pub api_key: Option<Secret>,
}

impl UmsConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        let base_url = match env.optional("UMS_BASE_URL") {
            None if stage == Stage::Dev => "http://localhost:5000".to_owned(),
            None => env.required("UMS_BASE_URL"),
            Some(text) => env.base_url("UMS_BASE_URL", stage, text),
        };
        Self { base_url, api_key: env.optional("UMS_API_KEY").map(Secret::new) }
    }
}

/// How lists are cut into pages.
#[derive(Clone, Debug)]
pub struct PagingConfig {
    /// `DEFAULT_PAGE_SIZE`: cases on a page when the client does not say.
    pub default_size: u32,
    /// `MAX_PAGE_SIZE`: the most a client may ask for.
    pub max_size: u32,
    /// `CURSOR_SECRET_KEY`: signs cursors.
    pub cursor_key: Secret,
}

impl PagingConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        let max_size = env.parsed("MAX_PAGE_SIZE", 100, "must be a whole number");
        let default_size = env.parsed("DEFAULT_PAGE_SIZE", 20, "must be a whole number");
        // The contract promises that nobody gets more than 100.
        if !(1..=100).contains(&max_size) {
            env.fault("MAX_PAGE_SIZE", "must be 1 to 100");
        }
        if !(1..=max_size).contains(&default_size) {
            env.fault("DEFAULT_PAGE_SIZE", "must be 1 to MAX_PAGE_SIZE");
        }
        Self { default_size, max_size, cursor_key: env.secret("CURSOR_SECRET_KEY", stage) }
    }
}

/// How many requests may be sent in a minute, as each instance of a function counts them; `None` is any number.
#[derive(Clone, Debug)]
pub struct RateConfig {
    /// `RATE_LIMIT_PER_USER`: by one user.
    pub per_user: Option<NonZeroU32>,
    /// `RATE_LIMIT_PER_LAB`: in one lab.
    pub per_lab: Option<NonZeroU32>,
}

impl RateConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env) -> Self {
        let mut limit = |name, default| {
            NonZeroU32::new(env.parsed(
                name,
                default,
                "must be a whole number of requests, or 0 for no limit",
            ))
        };
        Self { per_user: limit("RATE_LIMIT_PER_USER", 600), per_lab: limit("RATE_LIMIT_PER_LAB", 6000) }
    }
}

/// What the functions behind a login read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The concern of every function.
    pub common: Common,
    /// The table.
    pub table: TableConfig,
    /// The role that opens one lab's partitions; without it the function's own identity opens all.
    pub lab_role: Option<LabRoleConfig>,
    /// The User Management Service.
    pub ums: UmsConfig,
    /// `LINKSHUB_BASE_URL`: LinksHub without a trailing slash; unset turns the integration off.
    pub linkshub_base_url: Option<String>,
    /// Tokens.
    pub token: TokenConfig,
    /// Pages.
    pub paging: PagingConfig,
    /// Requests in a minute.
    pub rate: RateConfig,
    /// `RETENTION_DAYS`: how long a deleted case is kept.
    pub retention_days: u32,
    /// `HOLIDAYS`: the days besides weekends on which labs do not work, for lead times.
    pub holidays: Vec<Date>,
    /// [`OUTAGE_PAUSE`]. No variable: only tests need another.
    pub outage_pause: Duration,
    /// [`RETRY_BUDGET`]. No variable either.
    pub retry_budget: Duration,
}

/// Seven years with their leap days.
const RETENTION_DAYS: u32 = 2557;

impl Config {
    /// Reads all concerns; the error lists every fault of all of them.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let common = Common::read(&mut env);
        let stage = common.stage;
        let config = Self {
            common,
            table: TableConfig::read(&mut env, stage),
            lab_role: LabRoleConfig::read(&mut env, stage),
            ums: UmsConfig::read(&mut env, stage),
            linkshub_base_url: env
                .optional("LINKSHUB_BASE_URL")
                .map(|text| env.base_url("LINKSHUB_BASE_URL", stage, text)),
            token: TokenConfig::read(&mut env, stage),
            paging: PagingConfig::read(&mut env, stage),
            rate: RateConfig::read(&mut env),
            holidays: env.dates("HOLIDAYS"),
            retention_days: env.parsed("RETENTION_DAYS", RETENTION_DAYS, "must be a whole number of days"),
            outage_pause: OUTAGE_PAUSE,
            retry_budget: RETRY_BUDGET,
        };
        if config.retention_days == 0 {
            env.fault("RETENTION_DAYS", "must be at least 1");
        }
        env.finish().map(|()| config)
    }
}

#[cfg(test)]
mod tests;
