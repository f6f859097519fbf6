//! The configuration of the archive, and of the function on the tables' streams.

use super::{Common, ConfigError, Env, EventBusConfig, FilesConfig, QueueConfig, Stage, TableConfig};

/// The S3 bucket of the archive. The identity for access to it is that of the table.
#[derive(Clone, Debug)]
pub struct ArchiveConfig {
    /// `ARCHIVE_BUCKET_NAME`.
    pub bucket: String,
    /// `AWS_ENDPOINT_URL_S3`: the URL of an emulator; unset on AWS.
    pub endpoint: Option<String>,
}

impl ArchiveConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        Self {
            bucket: env.required("ARCHIVE_BUCKET_NAME"),
            endpoint: env.endpoint("AWS_ENDPOINT_URL_S3", stage),
        }
    }
}

/// The configuration of the function on the tables' streams. It has no keys for tokens and cursors.
#[derive(Clone, Debug)]
pub struct StreamsConfig {
    /// The concern of every function.
    pub common: Common,
    /// The table of the cases.
    pub table: TableConfig,
    /// `AUDIT_TABLE_NAME`: the table of the audit records.
    pub audit_table: String,
    /// The archive.
    pub archive: ArchiveConfig,
    /// The files of cases, which end with their cases.
    pub files: FilesConfig,
    /// The queue of webhooks.
    pub queue: QueueConfig,
    /// The event bus, if the operator wants one.
    pub event_bus: Option<EventBusConfig>,
}

impl StreamsConfig {
    /// Reads all of it.
    ///
    /// # Errors
    /// The error lists all errors.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let common = Common::read(&mut env);
        let stage = common.stage;
        let config = Self {
            common,
            table: TableConfig::read(&mut env, stage),
            audit_table: env.required("AUDIT_TABLE_NAME"),
            archive: ArchiveConfig::read(&mut env, stage),
            files: FilesConfig::read(&mut env, stage),
            queue: QueueConfig::read(&mut env, stage),
            event_bus: EventBusConfig::read(&mut env, stage),
        };
        env.finish().map(|()| config)
    }
}
