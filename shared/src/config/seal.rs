//! The keys that seal events and audit records.

use jiff::civil::Date;

use super::{Env, Stage};
use crate::base::{private::Secret, seal::SealKeys};

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
    /// Makes the keys.
    pub(crate) fn seal_keys(&self) -> SealKeys {
        SealKeys::new(self.keys.iter().map(|(id, key)| (id.as_str(), key)))
    }

    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        const NAME: &str = "SEAL_KEYS";
        let keys = env.keys(NAME);
        keys.iter().for_each(|(_, key)| env.check_secret(NAME, stage, key.expose()));
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
