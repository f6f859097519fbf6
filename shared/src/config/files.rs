//! The configuration of the bucket of files, and of the function that gets the results of scans.

use super::{Common, ConfigError, Env, SealConfig, Stage, TableConfig, retention_days};

/// The S3 bucket with the files of cases. The identity for access to it is that of the table.
#[derive(Clone, Debug)]
pub struct FilesConfig {
    /// `FILES_BUCKET_NAME`.
    pub bucket: String,
    /// `AWS_ENDPOINT_URL_S3`: the URL of an emulator; unset on AWS.
    pub endpoint: Option<String>,
}

impl FilesConfig {
    /// Reads and checks.
    pub fn read(env: &mut Env, stage: Stage) -> Self {
        Self { bucket: env.required(NAME), endpoint: env.endpoint("AWS_ENDPOINT_URL_S3", stage) }
    }

    /// Reads and checks, for a program that works without the bucket as well.
    pub(super) fn read_if_set(env: &mut Env, stage: Stage) -> Option<Self> {
        env.optional(NAME).map(|_| Self::read(env, stage))
    }
}

const NAME: &str = "FILES_BUCKET_NAME";

/// A tebibyte.
const QUOTA_BYTES: u64 = 1 << 40;

/// `FILES_QUOTA_BYTES`: how many bytes the files of one lab may have together.
pub(super) fn quota_bytes(env: &mut Env) -> u64 {
    env.parsed("FILES_QUOTA_BYTES", QUOTA_BYTES, "must be a whole number of bytes")
}

/// The configuration of the function that gets the results of scans. It changes cases, so it has the keys of seals. It does not
/// call S3.
#[derive(Clone, Debug)]
pub struct ScansConfig {
    /// The concern of every function.
    pub common: Common,
    /// The table of cases.
    pub table: TableConfig,
    /// The keys of seals.
    pub seal: SealConfig,
    /// `RETENTION_DAYS`: how long a deleted case is kept.
    pub retention_days: u32,
    /// `FILES_BUCKET_NAME`: results of other buckets are ignored.
    pub bucket: String,
}

impl ScansConfig {
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
            seal: SealConfig::read(&mut env, stage),
            retention_days: retention_days(&mut env),
            bucket: env.required(NAME),
        };
        env.finish().map(|()| config)
    }
}
