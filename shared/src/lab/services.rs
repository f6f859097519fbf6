//! The clients and keys of a function that needs an access token. The function makes them once, at its start.

use std::{sync::Arc, time::Duration};

use jiff::civil::Date;

use super::linkshub::LinksHub;
use crate::{
    auth::Authenticator,
    base::{calendar::Calendar, cursor::CursorKey, seal::SealKeys},
    config::{Config, PagingConfig, Stage},
    table::LabTables,
    upstream,
};

/// The clients and keys of one deployment. Only [`LabScope`](super::LabScope) has access to the table in it.
pub struct Services {
    pub(super) auth: Authenticator,
    pub(super) linkshub: Option<LinksHub>,
    pub(super) stage: Stage,
    pub(super) tables: LabTables,
    pub(crate) seals: Arc<SealKeys>,
    pub(crate) sealed_since: Option<Date>,
    pub(crate) paging: PagingConfig,
    pub(crate) cursors: CursorKey,
    pub(crate) retention_days: u32,
    pub(crate) calendar: Calendar,
    pub(super) retry_budget: Duration,
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
            seals: Arc::new(SealKeys::new(config.seal.keys.iter().map(|(id, key)| (id.as_str(), key)))),
            sealed_since: config.seal.since,
            cursors: CursorKey::new(&config.paging.cursor_key),
            paging: config.paging.clone(),
            retention_days: config.retention_days,
            calendar: Calendar::new(config.holidays.clone()),
            retry_budget: config.retry_budget,
        })
    }
}
