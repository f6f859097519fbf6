//! Whether the service can do its work: the table answers a read, and UMS answers at all.

use lambda_http::http::{StatusCode, header};
use serde::Serialize;

use crate::{
    auth::Ums,
    base::error::RETRY_AFTER_SECONDS,
    config::{Common, ConfigError, Env, OUTAGE_PAUSE, TableConfig, UmsConfig},
    http,
    table::Table,
    upstream,
};

/// What the health check asks.
pub struct Probe {
    table: Table,
    ums: Ums,
}

/// What it found.
#[derive(Serialize)]
pub struct Health {
    status: &'static str,
    service: &'static str,
    version: &'static str,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    table: &'static str,
    ums: &'static str,
}

/// The part of the configuration that the health check needs: no secrets.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// The concern of every function.
    pub common: Common,
    /// The table.
    pub table: TableConfig,
    /// The User Management Service.
    pub ums: UmsConfig,
}

impl ProbeConfig {
    /// Reads all of it; the error lists every fault.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let common = Common::read(&mut env);
        let stage = common.stage;
        let config =
            Self { common, table: TableConfig::read(&mut env, stage), ums: UmsConfig::read(&mut env, stage) };
        env.finish().map(|()| config)
    }
}

impl Probe {
    /// Makes the clients; nothing is sent yet.
    ///
    /// # Errors
    /// The text says what could not be set up.
    pub fn new(config: &ProbeConfig) -> Result<Self, String> {
        let ums = Ums::new(upstream::client()?, config.ums.clone(), OUTAGE_PAUSE);
        Ok(Self { table: Table::new(&config.table)?, ums })
    }

    /// Asks both at once; takes 2 s at most.
    pub async fn check(&self) -> Health {
        let (table, ums) = tokio::join!(self.table.is_up(), self.ums.is_up());
        let word = |up| if up { "up" } else { "down" };
        Health {
            status: if table && ums { "healthy" } else { "unhealthy" },
            service: "case_service",
            version: env!("CARGO_PKG_VERSION"),
            checks: Checks { table: word(table), ums: word(ums) },
        }
    }
}

impl Health {
    /// 200 when everything answered, else 503.
    ///
    /// # Errors
    /// Internal, when the body does not serialize.
    pub fn response(&self) -> http::Result {
        if self.status == "healthy" {
            return http::ok(self);
        }
        let mut response = http::with_status(StatusCode::SERVICE_UNAVAILABLE, self)?;
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        Ok(response)
    }
}
