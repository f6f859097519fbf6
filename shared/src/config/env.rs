//! Reads environment variables and collects all errors.

use std::{fmt, str::FromStr};

use jiff::civil::Date;

use super::Stage;
use crate::base::{private::Secret, wire_enum::WireEnum};

/// Reads variables and collects all errors, so that an operator sees them at once.
pub struct Env<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    errors: Vec<String>,
}

impl<'a> Env<'a> {
    /// Reads variables with `lookup`, for tests. Functions use [`Env::process`].
    pub fn new(lookup: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Self { lookup, errors: Vec::new() }
    }

    /// Reads the process environment.
    #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn process() -> Env<'static> {
        Env::new(&|name| std::env::var(name).ok())
    }

    /// Reports all errors, one line each.
    pub fn finish(self) -> Result<(), ConfigError> {
        if self.errors.is_empty() { Ok(()) } else { Err(ConfigError(self.errors)) }
    }

    pub(super) fn reject(&mut self, name: &str, detail: &str) {
        self.errors.push(format!("{name}: {detail}"));
    }

    /// `STAGE`; unset means prod, which has the strictest rules.
    pub(super) fn stage(&mut self) -> Stage {
        let Some(name) = self.optional("STAGE") else { return Stage::Prod };
        Stage::parse(&name).unwrap_or_else(|| {
            self.reject("STAGE", "must be dev, qa or prod");
            Stage::Prod
        })
    }

    /// The variable's value; an empty one counts as unset.
    pub(super) fn optional(&self, name: &str) -> Option<String> {
        (self.lookup)(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty())
    }

    pub(super) fn required(&mut self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.reject(name, "is required");
            String::new()
        })
    }

    pub(super) fn parsed<T: FromStr>(&mut self, name: &str, default: T, detail: &str) -> T {
        match self.optional(name).map(|text| text.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                self.reject(name, detail);
                default
            }
        }
    }

    pub(super) fn dates(&mut self, name: &str) -> Vec<Date> {
        let list = self.optional(name).unwrap_or_default();
        let dates: Option<Vec<Date>> = list
            .split(',')
            .map(str::trim)
            .filter(|date| !date.is_empty())
            .map(|date| date.parse().ok())
            .collect();
        dates.unwrap_or_else(|| {
            self.reject(name, "must be a comma-separated list of dates such as 2026-12-25");
            Vec::new()
        })
    }

    pub(super) fn base_url(&mut self, name: &str, stage: Stage, text: String) -> String {
        self.url(name, stage, &text, &['?', '#', ' ', '@']);
        text.trim_end_matches('/').to_owned()
    }

    pub(crate) fn endpoint(&mut self, name: &str, stage: Stage) -> Option<String> {
        self.optional(name).map(|text| self.base_url(name, stage, text))
    }

    pub(super) fn url(&mut self, name: &str, stage: Stage, text: &str, forbidden: &[char]) {
        let rest = match text.split_once("://") {
            Some(("https", rest)) => rest,
            Some(("http", rest)) if stage == Stage::Dev => rest,
            Some(("http", _)) => return self.reject(name, "must be an https:// URL outside the dev stage"),
            _ => "",
        };
        if rest.is_empty() || rest.contains(forbidden) {
            self.reject(name, "must be a URL such as https://ums.example.com");
        }
    }

    pub(super) fn secret(&mut self, name: &str, stage: Stage) -> Secret {
        let value = self.required(name);
        self.check_secret(name, stage, &value);
        Secret::new(value)
    }

    /// Pairs of a distinct id and a key, such as `2026:key,2025:key`.
    pub(super) fn keys(&mut self, name: &str) -> Vec<(String, Secret)> {
        let text = self.required(name);
        let mut keys: Vec<(String, Secret)> = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (id, key) = pair.split_once(':').unwrap_or_default();
            let is_id = (1..=32).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !is_id || key.is_empty() || keys.iter().any(|(known, _)| known == id) {
                self.reject(name, "must be pairs of a distinct id and a key, such as 2026:key,2025:key");
                break;
            }
            keys.push((id.to_owned(), Secret::new(key)));
        }
        keys
    }

    pub(super) fn check_secret(&mut self, name: &str, stage: Stage, value: &str) {
        // RFC 7518 section 3.2: a key for HMAC-SHA-256 has at least the 256 bits of its output.
        if stage != Stage::Dev && !value.is_empty() && value.len() < 32 {
            self.reject(name, "must be at least 32 bytes outside the dev stage");
        }
    }
}

/// All errors of the environment.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigError(Vec<String>);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the configuration has {} error(s):", self.0.len())?;
        self.0.iter().try_for_each(|error| write!(f, "\n  {error}"))
    }
}

impl std::error::Error for ConfigError {}
