//! The configuration of the scheduled verification. It has no keys for tokens and cursors, and no other service.

use super::{Common, ConfigError, Env, FilesConfig, SealConfig, TableConfig, retention_days};

/// The configuration of the scheduled verification.
#[derive(Clone, Debug)]
pub struct VerificationConfig {
    /// The concern of every function.
    pub common: Common,
    /// The table of cases.
    pub table: TableConfig,
    /// The keys that verify seals.
    pub seal: SealConfig,
    /// `RETENTION_DAYS`: how long a deleted case is kept.
    pub retention_days: u32,
    /// The files of cases, which only the check of a lab's data reads. Unset, they are not compared.
    pub files: Option<FilesConfig>,
}

impl VerificationConfig {
    /// Reads all of it. The error lists all errors.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let common = Common::read(&mut env);
        let stage = common.stage;
        let config = Self {
            common,
            table: TableConfig::read(&mut env, stage),
            seal: SealConfig::read(&mut env, stage),
            retention_days: retention_days(&mut env),
            files: FilesConfig::read_if_set(&mut env, stage),
        };
        env.finish().map(|()| config)
    }
}
