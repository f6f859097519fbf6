//! The configuration of the tools that move or destroy all data of a lab.

use super::{ConfigError, Env, FilesConfig, TableConfig};

/// Both tables, and the bucket of files.
#[derive(Clone, Debug)]
pub struct LabDataConfig {
    /// The table of cases.
    pub cases: TableConfig,
    /// `AUDIT_TABLE_NAME`: the table of audit records, at the same address.
    pub audit: TableConfig,
    /// The files of cases.
    pub files: FilesConfig,
}

impl LabDataConfig {
    /// Reads all of it.
    ///
    /// # Errors
    /// The error lists all errors.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let stage = env.stage();
        let cases = TableConfig::read(&mut env, stage);
        let audit = TableConfig { name: env.required("AUDIT_TABLE_NAME"), ..cases.clone() };
        let files = FilesConfig::read(&mut env, stage);
        env.finish().map(|()| Self { cases, audit, files })
    }
}
