//! The configuration: every environment variable that the functions read, and the times and limits that operators cannot
//! set. A function reads the variables once, at its start, and reports all errors together.
//!
//! Each concern is a struct that names its variables. A function reads only the concerns that it uses. The README's table
//! lists the same variables for operators.

mod archive;
mod delivery;
mod env;
mod event_bus;
mod files;
mod import;
mod lab_data;
mod queue;
mod realtime;
mod seal;
mod table;
mod token;
mod verification;
mod webhook;

use std::{num::NonZeroU32, time::Duration};

use jiff::civil::Date;

use crate::{
    base::{error::RETRY_AFTER_SECONDS, private::Secret},
    wire_enum,
};

pub use archive::{ArchiveConfig, StreamsConfig};
pub use delivery::{DeliveryConfig, DeliveryTimes};
pub use env::{ConfigError, Env};
pub use event_bus::EventBusConfig;
pub use files::{FilesConfig, ScansConfig};
pub use import::ImportConfig;
pub use lab_data::LabDataConfig;
pub use queue::QueueConfig;
pub use realtime::{RealtimeConfig, TicketsConfig};
pub use seal::SealConfig;
pub use table::{LabRoleConfig, TableConfig};
pub use token::{JwksConfig, KeyConfig, SecretConfig, TokenConfig};
pub use verification::VerificationConfig;
pub use webhook::WebhookKeysConfig;

/// The time that all calls to UMS, or all calls to LinksHub, may take together in one request.
pub(crate) const UPSTREAM_BUDGET: Duration = Duration::from_secs(2);
/// How long an open circuit breaker blocks calls. It equals the `Retry-After` of the responses, so that the client's retry
/// reaches the service again.
pub(crate) const OUTAGE_PAUSE: Duration = Duration::from_secs(RETRY_AFTER_SECONDS as u64);
/// How long after its start a request may begin another attempt to write. The last attempt may take 2 s for the read, 2 s
/// for the write (each with all retries of DynamoDB) and 2 s for LinksHub, so the response is ready before the function's
/// time-out of 10 s.
pub(crate) const RETRY_BUDGET: Duration = Duration::from_millis(3500);

/// How old a change may be whose words are not in the index of words yet. Searches read the changes of this time themselves.
/// The alarm `streams-late` comes after a quarter of it.
const UNINDEXED_AGE: Duration = Duration::from_secs(60 * 60);

wire_enum! {
    /// Where the service runs (`STAGE`): a developer's machine or sandbox account, acceptance, production. Some rules that
    /// protect real data do not apply in `dev`.
    Stage { Dev = "dev", Qa = "qa", Prod = "prod" }
}

/// The configuration of every function.
#[derive(Clone, Debug)]
pub struct Common {
    /// `STAGE`; unset means prod, which has the strictest rules.
    pub stage: Stage,
    /// `LOG_LEVEL`: error, warn, info or debug.
    pub log_level: tracing::Level,
    /// `AWS_LAMBDA_FUNCTION_NAME`, set by Lambda: the function's name in the log.
    pub function: String,
    /// `CORS_ORIGINS`: the exact origins whose pages may call the API, or `*` in the dev stage.
    pub cors_origins: Vec<String>,
    /// `RATE_LIMIT_PER_SOURCE`: requests without a valid token from one address in a minute, as each instance of a function
    /// counts them. `None` means no limit.
    pub rate_limit_per_source: Option<NonZeroU32>,
    /// `ORIGIN_SECRET`: the secret that a CDN in front of the gateway adds to each request; two, separated by a comma, during
    /// a rotation. Empty if there is no CDN.
    pub origin_secrets: Vec<Secret>,
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
                env.reject("CORS_ORIGINS", "must list exact origins outside the dev stage, not *");
            } else if origin != "*" && !exact {
                env.reject(
                    "CORS_ORIGINS",
                    "must be a comma-separated list of origins such as https://app.example.com",
                );
            }
        }
        let function = env.optional("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_default();
        let rate_limit_per_source = rate_limit(env, "RATE_LIMIT_PER_SOURCE", 600);
        let origin_secrets = origin_secrets(env, stage);
        Self { stage, log_level, function, cors_origins, rate_limit_per_source, origin_secrets }
    }
}

fn origin_secrets(env: &mut Env, stage: Stage) -> Vec<Secret> {
    const NAME: &str = "ORIGIN_SECRET";
    let Some(list) = env.optional(NAME) else { return Vec::new() };
    let secrets: Vec<&str> = list.split(',').map(str::trim).collect();
    if secrets.contains(&"") {
        env.reject(NAME, "must be a secret, or two with a comma between them");
    }
    secrets.iter().for_each(|secret| env.check_secret(NAME, stage, secret));
    secrets.into_iter().map(Secret::new).collect()
}

/// The address and key of the User Management Service.
#[derive(Clone, Debug)]
pub struct UmsConfig {
    /// `UMS_BASE_URL`, without a trailing slash. Only the dev stage has a default: the local UMS emulator.
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

/// Page sizes.
#[derive(Clone, Debug)]
pub struct PagingConfig {
    /// `DEFAULT_PAGE_SIZE`: cases on a page when the client sends no size.
    pub default_size: u32,
    /// `MAX_PAGE_SIZE`: the largest size that a client may request.
    pub max_size: u32,
}

impl PagingConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env) -> Self {
        let max_size = env.parsed("MAX_PAGE_SIZE", 100, "must be a whole number");
        let default_size = env.parsed("DEFAULT_PAGE_SIZE", 20, "must be a whole number");
        // The contract allows 100 at most.
        if !(1..=100).contains(&max_size) {
            env.reject("MAX_PAGE_SIZE", "must be 1 to 100");
        }
        if !(1..=max_size).contains(&default_size) {
            env.reject("DEFAULT_PAGE_SIZE", "must be 1 to MAX_PAGE_SIZE");
        }
        Self { default_size, max_size }
    }
}

/// Limits of requests in a minute. Each instance of a function counts for itself. `None` means no limit.
#[derive(Clone, Debug)]
pub struct RateConfig {
    /// `RATE_LIMIT_PER_USER`: requests of one user.
    pub per_user: Option<NonZeroU32>,
    /// `RATE_LIMIT_PER_LAB`: requests in one lab.
    pub per_lab: Option<NonZeroU32>,
}

impl RateConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env) -> Self {
        Self {
            per_user: rate_limit(env, "RATE_LIMIT_PER_USER", 600),
            per_lab: rate_limit(env, "RATE_LIMIT_PER_LAB", 6000),
        }
    }
}

fn rate_limit(env: &mut Env, name: &str, default: u32) -> Option<NonZeroU32> {
    NonZeroU32::new(env.parsed(name, default, "must be a whole number of requests, or 0 for no limit"))
}

/// What a function needs that most functions do not get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The key for cursors.
    pub cursor_key: bool,
    /// The bucket of files.
    pub files: bool,
    /// The keys that encrypt the secrets of webhooks.
    pub webhook_keys: bool,
    /// The queue of webhooks.
    pub webhook_queue: bool,
    /// The table of WebSocket connections.
    pub realtime: bool,
}

impl Needs {
    /// All of it, for tests that run every function with one configuration.
    pub const ALL: Self =
        Self { cursor_key: true, files: true, webhook_keys: true, webhook_queue: true, realtime: true };
}

/// The configuration of the functions that need an access token.
#[derive(Clone, Debug)]
pub struct Config {
    /// The concern of every function.
    pub common: Common,
    /// The table of cases.
    pub table: TableConfig,
    /// `AUDIT_TABLE_NAME`: the table of audit records, at the same address.
    pub audit_table_name: String,
    /// The role that gives access to one lab's partitions. Without it, the function's own identity has access to all.
    pub lab_role: Option<LabRoleConfig>,
    /// The archive of the audit trail.
    pub archive: ArchiveConfig,
    /// The files of cases. Only functions that work with their bucket read it.
    pub files: Option<FilesConfig>,
    /// `FILES_QUOTA_BYTES`: how many bytes the files of one lab may have together.
    pub files_quota_bytes: u64,
    /// The User Management Service.
    pub ums: UmsConfig,
    /// `LINKSHUB_BASE_URL`, without a trailing slash. Unset turns the integration off.
    pub linkshub_base_url: Option<String>,
    /// Verification of tokens.
    pub token: TokenConfig,
    /// The keys that seal events and audit records.
    pub seal: SealConfig,
    /// Page sizes.
    pub paging: PagingConfig,
    /// `CURSOR_SECRET_KEY`: signs cursors. Only functions whose responses have cursors read it.
    pub cursor_key: Option<Secret>,
    /// The keys that encrypt the secrets of webhooks. Only functions that make secrets read it.
    pub webhook_keys: Option<WebhookKeysConfig>,
    /// The queue of webhooks. Only functions that send messages read it.
    pub webhook_queue: Option<QueueConfig>,
    /// Tickets of WebSockets. Only the function that makes them reads it.
    pub tickets: Option<TicketsConfig>,
    /// Rate limits.
    pub rate: RateConfig,
    /// `AUDIT_TABLE_DAYS`: how long the table keeps an audit record. The archive keeps it longer.
    pub audit_table_days: u32,
    /// `RETENTION_DAYS`: how long a deleted case is kept.
    pub retention_days: u32,
    /// `HOLIDAYS`: days besides weekends that do not count in lead times.
    pub holidays: Vec<Date>,
    /// [`OUTAGE_PAUSE`]. It has no variable: only tests change it.
    pub outage_pause: Duration,
    /// [`RETRY_BUDGET`]. It has no variable either.
    pub retry_budget: Duration,
    /// [`UNINDEXED_AGE`]. It has no variable either.
    pub unindexed_age: Duration,
}

/// Seven years, including two leap days.
const RETENTION_DAYS: u32 = 2557;

fn retention_days(env: &mut Env) -> u32 {
    const NAME: &str = "RETENTION_DAYS";
    let days = env.parsed(NAME, RETENTION_DAYS, "must be a whole number of days");
    if days == 0 {
        env.reject(NAME, "must be at least 1");
    }
    days
}

/// A year for questions about access, and a month to answer them.
const AUDIT_TABLE_DAYS: u32 = 400;

impl Config {
    /// Reads all concerns, and of those that few functions have, what the function `needs`.
    ///
    /// # Errors
    /// The error lists all errors of all concerns.
    pub fn read(mut env: Env, needs: Needs) -> Result<Self, ConfigError> {
        let common = Common::read(&mut env);
        let stage = common.stage;
        let config = Self {
            common,
            table: TableConfig::read(&mut env, stage),
            audit_table_name: env.required("AUDIT_TABLE_NAME"),
            lab_role: LabRoleConfig::read(&mut env, stage),
            archive: ArchiveConfig::read(&mut env, stage),
            files: needs.files.then(|| FilesConfig::read(&mut env, stage)),
            files_quota_bytes: files::quota_bytes(&mut env),
            ums: UmsConfig::read(&mut env, stage),
            linkshub_base_url: env
                .optional("LINKSHUB_BASE_URL")
                .map(|text| env.base_url("LINKSHUB_BASE_URL", stage, text)),
            token: TokenConfig::read(&mut env, stage),
            seal: SealConfig::read(&mut env, stage),
            paging: PagingConfig::read(&mut env),
            cursor_key: needs.cursor_key.then(|| env.secret("CURSOR_SECRET_KEY", stage)),
            webhook_keys: needs.webhook_keys.then(|| WebhookKeysConfig::read(&mut env)),
            webhook_queue: needs.webhook_queue.then(|| QueueConfig::read(&mut env, stage)),
            tickets: needs.realtime.then(|| TicketsConfig::read(&mut env, stage)),
            rate: RateConfig::read(&mut env),
            holidays: env.dates("HOLIDAYS"),
            audit_table_days: env.parsed(
                "AUDIT_TABLE_DAYS",
                AUDIT_TABLE_DAYS,
                "must be a whole number of days",
            ),
            retention_days: retention_days(&mut env),
            outage_pause: OUTAGE_PAUSE,
            retry_budget: RETRY_BUDGET,
            unindexed_age: UNINDEXED_AGE,
        };
        if config.audit_table_days == 0 {
            env.reject("AUDIT_TABLE_DAYS", "must be at least 1");
        }
        env.finish().map(|()| config)
    }
}

#[cfg(test)]
mod tests;
