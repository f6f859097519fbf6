//! The keys that seal events and audit records.

use jiff::civil::Date;

use super::{Env, Stage};
use crate::base::private::Secret;

/// The keys for seals, and the day since when every event has one.
#[derive(Clone, Debug)]
pub struct SealConfig {
    /// `SEAL_KEYS`: pairs of an id and a key, such as `2026:key,2025:key`. The first pair makes seals; all of them verify.
    pub keys: Vec<(String, Secret)>,
    /// `SEALED_SINCE`: the verification reports an event of this day or later that has no seal. Unset if the table has events
    /// of releases without seals whose time is not known.
    pub since: Option<Date>,
}

impl SealConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        const NAME: &str = "SEAL_KEYS";
        let text = env.required(NAME);
        let mut keys: Vec<(String, Secret)> = Vec::new();
        for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
            let (id, key) = pair.split_once(':').unwrap_or_default();
            let is_id = (1..=32).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
            if !is_id || key.is_empty() || keys.iter().any(|(known, _)| known == id) {
                env.reject(NAME, "must be pairs of a distinct id and a key, such as 2026:key,2025:key");
                break;
            }
            env.check_secret(NAME, stage, key);
            keys.push((id.to_owned(), Secret::new(key)));
        }
        let since = env.optional("SEALED_SINCE").and_then(|text| {
            let date = text.parse().ok();
            if date.is_none() {
                env.reject("SEALED_SINCE", "must be a date such as 2026-12-01");
            }
            date
        });
        Self { keys, since }
    }
}
