//! What a function behind a login needs, made once when it starts.

use std::time::Duration;

use super::linkshub::LinksHub;
use crate::{
    auth::Authenticator,
    base::{calendar::Calendar, cursor::CursorKey},
    config::{Config, PagingConfig, Stage},
    table::LabTables,
    upstream,
};

/// The clients and keys of one deployment. Only [`LabScope`](super::LabScope) reaches the table through it.
pub struct Services {
    pub(super) auth: Authenticator,
    pub(super) linkshub: Option<LinksHub>,
    pub(super) stage: Stage,
    pub(super) tables: LabTables,
    pub(crate) paging: PagingConfig,
    pub(crate) cursors: CursorKey,
    pub(crate) retention_days: u32,
    pub(crate) calendar: Calendar,
    pub(super) retry_budget: Duration,
}

impl Services {
    /// Makes all of them; nothing is sent yet.
    ///
    /// # Errors
    /// The text says what could not be set up.
    pub fn new(config: &Config) -> Result<Self, String> {
        let client = upstream::client()?;
        Ok(Self {
            auth: Authenticator::new(config, &client),
            linkshub: config
                .linkshub_base_url
                .clone()
                .map(|url| LinksHub::new(client, url, config.outage_pause)),
            stage: config.common.stage,
            tables: LabTables::new(&config.table, config.lab_role.as_ref())?,
            cursors: CursorKey::new(&config.paging.cursor_key),
            paging: config.paging.clone(),
            retention_days: config.retention_days,
            calendar: Calendar::new(config.holidays.clone()),
            retry_budget: config.retry_budget,
        })
    }
}
