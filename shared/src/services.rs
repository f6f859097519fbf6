//! What a function behind a login needs, made once when it starts.

use std::time::Duration;

use crate::{
    calendar::Calendar,
    config::{Config, PagingConfig, Stage},
    cursor::CursorKey,
    linkshub::LinksHub,
    rate::Limits,
    table::LabTables,
    token::Verifier,
    ums::Ums,
    upstream,
};

/// The clients and keys of one deployment. Only [`LabScope`](crate::lab::LabScope) reaches the table through it.
pub struct Services {
    pub(crate) verifier: Verifier,
    pub(crate) ums: Ums,
    pub(crate) linkshub: Option<LinksHub>,
    pub(crate) stage: Stage,
    pub(crate) tables: LabTables,
    pub(crate) paging: PagingConfig,
    pub(crate) cursors: CursorKey,
    pub(crate) retention_days: u32,
    pub(crate) calendar: Calendar,
    pub(crate) limits: Limits,
    pub(crate) patience: Duration,
}

impl Services {
    /// Makes all of them; nothing is sent yet.
    ///
    /// # Errors
    /// The text says what could not be set up.
    pub fn new(config: &Config) -> Result<Self, String> {
        let client = upstream::client()?;
        let pause = config.outage_pause;
        Ok(Self {
            verifier: Verifier::new(&config.token, client.clone()),
            ums: Ums::new(client.clone(), config.ums.clone(), pause),
            linkshub: config.linkshub_base_url.clone().map(|url| LinksHub::new(client, url, pause)),
            stage: config.common.stage,
            tables: LabTables::new(&config.table, config.lab_role.as_ref())?,
            cursors: CursorKey::new(&config.paging.cursor_key),
            paging: config.paging.clone(),
            retention_days: config.retention_days,
            calendar: Calendar::new(config.holidays.clone()),
            limits: Limits::new(&config.rate),
            patience: config.patience,
        })
    }
}
