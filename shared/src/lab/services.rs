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
    config::{ArchiveConfig, Config, PagingConfig, Stage, TableConfig, TicketsConfig},
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
    pub(super) files: Option<FileStore>,
    pub(super) webhook_keys: Option<EncryptionKeys>,
    pub(super) webhook_queue: Option<Queue>,
    pub(super) realtime: Option<Realtime>,
    pub(crate) retention_days: u32,
    pub(crate) audit_table_days: u32,
    archive: OnceLock<Archive>,
    archive_config: ArchiveConfig,
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
            files: (config.files.as_ref()).map(|files| FileStore::new(files, &config.table)).transpose()?,
            webhook_keys: config.webhook_keys.as_ref().map(|keys| keys.encryption_keys()).transpose()?,
            webhook_queue: (config.webhook_queue.as_ref())
                .map(|queue| Queue::new(queue, &config.table))
                .transpose()?,
            realtime: (config.tickets.as_ref())
                .map(|tickets| Realtime::new(tickets, &config.table))
                .transpose()?,
            paging: config.paging.clone(),
            retention_days: config.retention_days,
            audit_table_days: config.audit_table_days,
            archive: OnceLock::new(),
            archive_config: config.archive.clone(),
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

    /// The archive. Its client is made on the first call, because only one function needs it.
    ///
    /// # Errors
    /// Internal, when the client cannot be made.
    pub(crate) fn archive(&self) -> Result<&Archive, Error> {
        if let Some(archive) = self.archive.get() {
            return Ok(archive);
        }
        let made = Archive::new(&self.archive_config, &self.identity).map_err(Error::internal)?;
        Ok(self.archive.get_or_init(|| made))
    }
}
