//! The configuration of the import.

use jiff::civil::Date;

use super::{ConfigError, Env, VerificationConfig};

/// The configuration of the import.
#[derive(Clone, Debug)]
pub struct ImportConfig {
    /// The table of cases, and the keys of seals: the import makes events.
    pub data: VerificationConfig,
    /// `HOLIDAYS`: the days without work, for lead times.
    pub holidays: Vec<Date>,
}

impl ImportConfig {
    /// Reads all of it.
    ///
    /// # Errors
    /// The error lists all errors.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let holidays = env.dates("HOLIDAYS");
        Ok(Self { data: VerificationConfig::read(env)?, holidays })
    }
}
