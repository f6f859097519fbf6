//! Every environment variable the functions read: once, at start, all faults reported together.
//!
//! Each concern is a struct that names its variables; a function reads only the concerns it uses. The README's table
//! lists the same variables for operators.

mod table;
mod token;

use std::{fmt, num::NonZeroU32, str::FromStr, time::Duration};

use jiff::civil::Date;

use crate::{retry, upstream};

pub use table::{LabRoleConfig, TableConfig};
pub use token::{JwksConfig, KeyConfig, TokenConfig};

/// A value that must not be shown: `Debug` prints a placeholder and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides `value`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; for the call that needs it, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Reads variables and collects what is wrong with them.
pub struct Env<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    faults: Vec<String>,
}

impl<'a> Env<'a> {
    /// Reads through `lookup`; the functions use [`Env::process`].
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, faults: Vec::new() }
    }

    /// Reads the process environment.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn process() -> Env<'static> {
        Env::new(&|name| std::env::var(name).ok())
    }

    /// All faults found so far, one line each; `Ok` when there are none.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.faults.is_empty() { Ok(()) } else { Err(ConfigError(self.faults)) }
    }

    fn fault(&mut self, name: &str, what: &str) {
        self.faults.push(format!("{name}: {what}"));
    }

    /// The variable's value; an empty one counts as unset.
    fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.fault(name, "is required");
            String::new()
        })
    }

    fn parsed<T: FromStr>(&mut self, name: &str, default: T, what: &str) -> T {
        match self.optional(name).map(|text| text.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.fault(name, what);
                default
            }
        }
    }

    fn dates(&mut self, name: &str) -> Vec<Date> {
        let list = self.optional(name).unwrap_or_default();
        let dates: Option<Vec<Date>> = list
            .split(',')
            .map(str::trim)
            .filter(|date| !date.is_empty())
            .map(|date| date.parse().ok())
            .collect();
        dates.unwrap_or_else(|| {
            self.fault(name, "must be a comma-separated list of dates such as 2026-12-25");
            Vec::new()
        })
    }

    fn base_url(&mut self, name: &str, stage: Stage, text: String) -> String {
        self.url(name, stage, &text, &['?', '#', ' ', '@']);
        text.trim_end_matches('/').to_owned()
    }

    fn endpoint(&mut self, name: &str, stage: Stage) -> Option<String> {
        self.optional(name).map(|text| self.base_url(name, stage, text))
    }

    fn url(&mut self, name: &str, stage: Stage, text: &str, forbidden: &[char]) {
        let rest = match text.split_once("://") {
            Some(("https", rest)) => rest,
            Some(("http", rest)) if stage == Stage::Dev => rest,
            Some(("http", _)) => return self.fault(name, "must be an https:// URL outside the dev stage"),
            _ => "",
        };
        if rest.is_empty() || rest.contains(forbidden) {
            self.fault(name, "must be a URL such as https://ums.example.com");
        }
    }

    fn secret(&mut self, name: &str, stage: Stage) -> Secret {
        let value = self.required(name);
        self.check_secret(name, stage, &value);
        Secret(value)
    }

    fn check_secret(&mut self, name: &str, stage: Stage, value: &str) {
        // RFC 7518 section 3.2: a key for HMAC-SHA-256 has at least the 256 bits of its output.
        if stage != Stage::Dev && !value.is_empty() && value.len() < 32 {
            self.fault(name, "must be at least 32 bytes outside the dev stage");
        }
    }
}

/// Everything that is wrong with the environment.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} fault(s):", self.0.len())?;
        self.0.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

impl std::error::Error for ConfigError {}

/// Where the service runs; `dev` relaxes the rules that protect real data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// A developer's machine or sandbox account.
    Dev,
    /// Acceptance.
    Qa,
    /// Production.
    Prod,
}

impl Stage {
    /// The name in `STAGE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Dev => "dev",
            Stage::Qa => "qa",
            Stage::Prod => "prod",
        }
    }
}

impl FromStr for Stage {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "dev" => Ok(Stage::Dev),
            "qa" => Ok(Stage::Qa),
            "prod" => Ok(Stage::Prod),
            _ => Err(()),
        }
    }
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
        let stage = env.parsed("STAGE", Stage::Prod, "must be dev, qa or prod");
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
        Self { base_url, api_key: env.optional("UMS_API_KEY").map(Secret) }
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
    /// How long UMS or LinksHub is left alone when it keeps failing. No variable: only tests want another.
    pub outage_pause: Duration,
    /// How long after its start a request goes on trying. No variable either.
    pub patience: Duration,
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
            outage_pause: upstream::PAUSE,
            patience: retry::BUDGET,
        };
        if config.retention_days == 0 {
            env.fault("RETENTION_DAYS", "must be at least 1");
        }
        env.finish().map(|()| config)
    }
}

#[cfg(test)]
mod tests;
