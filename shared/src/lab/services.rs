//! The clients and keys of a function that needs an access token. The function makes them once, at its start.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use jiff::civil::Date;

use super::linkshub::LinksHub;
use crate::{
    archive::Archive,
    auth::Authenticator,
    base::{calendar::Calendar, cursor::CursorKey, encryption::EncryptionKeys, error::Error, seal::SealKeys},
    config::{
        ArchiveConfig, Config, FilesConfig, PagingConfig, QueueConfig, Stage, TableConfig, TicketsConfig,
    },
    files::FileStore,
    queue::Queue,
    table::{LabTables, Table},
    upstream,
};

/// The longest warm-up. A request may be waiting for it, so it must not be much longer than the request's own first calls.
const WARM_UP_BUDGET: Duration = Duration::from_millis(500);

/// The clients and keys of one deployment. Only [`LabScope`](super::LabScope) has access to the table in it.
pub struct Services {
    pub(super) auth: Authenticator,
    pub(super) linkshub: Option<LinksHub>,
    pub(crate) stage: Stage,
    pub(super) tables: LabTables,
    pub(crate) seals: Arc<SealKeys>,
    pub(crate) sealed_since: Option<Date>,
    pub(crate) paging: PagingConfig,
    pub(super) cursors: Option<CursorKey>,
    pub(super) webhook_keys: Option<EncryptionKeys>,
    pub(super) realtime: Option<Realtime>,
    pub(crate) retention_days: u32,
    pub(crate) audit_table_days: u32,
    archive: OnceLock<Archive>,
    archive_config: ArchiveConfig,
    files: OnceLock<FileStore>,
    files_config: Option<FilesConfig>,
    webhook_queue: OnceLock<Queue>,
    queue_config: Option<QueueConfig>,
    /// How many bytes the files of one lab may have together.
    pub(crate) files_quota_bytes: u64,
    identity: TableConfig,
    pub(crate) calendar: Calendar,
    pub(super) retry_budget: Duration,
    /// How old a change may be whose words are not in the index of words yet.
    pub(crate) unindexed_age: Duration,
}

/// The WebSocket API, as the function of tickets needs it.
pub(crate) struct Realtime {
    /// The table of tickets and connections. Its items are no data of a lab, so the function's own identity writes them.
    pub connections: Table,
    /// The URL that clients open, without a query.
    pub url: String,
}

impl Realtime {
    fn new(config: &TicketsConfig, identity: &TableConfig) -> Result<Self, String> {
        let connections = TableConfig { name: config.table.clone(), ..identity.clone() };
        Ok(Self { connections: Table::new(&connections)?, url: config.url.clone() })
    }
}

impl Services {
    /// Makes all of them. Sends nothing yet.
    ///
    /// # Errors
    /// The text says which client could not be made.
    pub fn new(config: &Config) -> Result<Self, String> {
        let client = upstream::client()?;
        Ok(Self {
            auth: Authenticator::new(config, &client),
            linkshub: config
                .linkshub_base_url
                .clone()
                .map(|url| LinksHub::new(client, url, config.outage_pause)),
            stage: config.common.stage,
            tables: LabTables::new(&config.table, &config.audit_table_name, config.lab_role.as_ref())?,
            seals: Arc::new(config.seal.seal_keys()),
            sealed_since: config.seal.since,
            cursors: config.cursor_key.as_ref().map(CursorKey::new),
            webhook_keys: config.webhook_keys.as_ref().map(|keys| keys.encryption_keys()).transpose()?,
            realtime: (config.tickets.as_ref())
                .map(|tickets| Realtime::new(tickets, &config.table))
                .transpose()?,
            paging: config.paging.clone(),
            retention_days: config.retention_days,
            audit_table_days: config.audit_table_days,
            archive: OnceLock::new(),
            archive_config: config.archive.clone(),
            files: OnceLock::new(),
            files_config: config.files.clone(),
            webhook_queue: OnceLock::new(),
            queue_config: config.webhook_queue.clone(),
            files_quota_bytes: config.files_quota_bytes,
            identity: config.table.clone(),
            calendar: Calendar::new(config.holidays.clone()),
            retry_budget: config.retry_budget,
            unindexed_age: config.unindexed_age,
        })
    }

    /// Opens the connections to DynamoDB and UMS, and fetches the keys of tokens, all at the same time. Lambda gives a starting
    /// function more of the processor than a request gets, and nobody waits for an instance that starts ahead of demand.
    /// What fails or takes too long is left to the first request.
    pub(crate) async fn warm_up(&self) {
        let all = async { tokio::join!(self.tables.warm_up(), self.auth.warm_up()) };
        let _ = tokio::time::timeout(WARM_UP_BUDGET, all).await;
    }

    /// The archive.
    ///
    /// # Errors
    /// Internal, when the client cannot be made.
    pub(crate) fn archive(&self) -> Result<&Archive, Error> {
        on_first_use(&self.archive, || Archive::new(&self.archive_config, &self.identity))
    }

    /// The store of files.
    ///
    /// # Errors
    /// Internal, when the function does not get the bucket, or the client cannot be made.
    pub(super) fn files(&self) -> Result<&FileStore, Error> {
        let config = self.files_config.as_ref();
        let config =
            config.ok_or_else(|| Error::internal("the operation does not get the bucket of files"))?;
        on_first_use(&self.files, || FileStore::new(config, &self.identity))
    }

    /// The queue of webhooks.
    ///
    /// # Errors
    /// Internal, when the function does not get the queue, or the client cannot be made.
    pub(super) fn webhook_queue(&self) -> Result<&Queue, Error> {
        let config = self.queue_config.as_ref();
        let config =
            config.ok_or_else(|| Error::internal("the operation does not get the queue of webhooks"))?;
        on_first_use(&self.webhook_queue, || Queue::new(config, &self.identity))
    }
}

/// A client that is made on its first use: functions that never use it do not contain its code, which makes them smaller.
fn on_first_use<T>(cell: &OnceLock<T>, make: impl FnOnce() -> Result<T, String>) -> Result<&T, Error> {
    if let Some(client) = cell.get() {
        return Ok(client);
    }
    let made = make().map_err(Error::internal)?;
    Ok(cell.get_or_init(|| made))
}
