//! Health: whether the service runs, and whether the services that it needs answer.

use std::time::{Duration, Instant, SystemTime};

use lambda_http::http::{StatusCode, header};
use reqwest::Client;
use serde::Serialize;
use tokio::sync::Mutex;

use crate::{
    base::{COMMIT, error::RETRY_AFTER_SECONDS},
    config::{Common, ConfigError, Env, TableConfig, UmsConfig},
    http,
    table::Table,
    telemetry::Dependency,
    upstream::{self, Call},
};

/// The time for each check. All checks run at the same time.
const TIMEOUT: Duration = Duration::from_secs(1);
/// How long a result is used again, so that a flood of health checks does not reach the other services.
const LIFETIME: Duration = Duration::from_secs(5);

/// The clients of the health check, and its last result. They have no circuit breaker: a check calls the services although
/// they fail, and never opens a circuit.
pub struct Probe {
    table: Table,
    client: Client,
    ums_base_url: String,
    linkshub_base_url: Option<String>,
    /// The result with its time by the wall clock. A request holds the lock while it checks; the others wait for the result.
    last: Mutex<Option<(SystemTime, Health)>>,
}

/// That the service runs. These are the members of the predecessor.
#[derive(Clone, Serialize)]
struct Alive {
    status: &'static str,
    service: &'static str,
    version: &'static str,
    /// The commit of the release.
    commit: &'static str,
}

/// The result of the health check.
#[derive(Clone, Serialize)]
pub struct Health {
    #[serde(flatten)]
    service: Alive,
    checks: Checks,
}

#[derive(Clone, Serialize)]
struct Checks {
    table: Check,
    ums: Check,
    /// `None` when the integration is off.
    #[serde(skip_serializing_if = "Option::is_none")]
    linkshub: Option<Check>,
}

#[derive(Clone, Serialize)]
struct Check {
    status: &'static str,
    latency_ms: u128,
}

/// The configuration of the health check. It has no keys for tokens and cursors.
#[derive(Clone, Debug)]
pub struct ProbeConfig {
    /// The concern of every function.
    pub common: Common,
    /// The table.
    pub table: TableConfig,
    /// The User Management Service.
    pub ums: UmsConfig,
    /// `LINKSHUB_BASE_URL`, without a trailing slash. Unset turns the integration off.
    pub linkshub_base_url: Option<String>,
}

impl ProbeConfig {
    /// Reads all of it. The error lists all errors.
    pub fn read(mut env: Env) -> Result<Self, ConfigError> {
        let common = Common::read(&mut env);
        let stage = common.stage;
        let config = Self {
            common,
            table: TableConfig::read(&mut env, stage),
            ums: UmsConfig::read(&mut env, stage),
            linkshub_base_url: env.endpoint("LINKSHUB_BASE_URL", stage),
        };
        env.finish().map(|()| config)
    }
}

impl Alive {
    fn new(status: &'static str) -> Self {
        Self { status, service: "case_service", version: env!("CARGO_PKG_VERSION"), commit: COMMIT }
    }
}

/// The response that says that the service runs. It needs no other service.
///
/// # Errors
/// Internal, when the body does not serialize.
pub fn alive() -> http::Result {
    http::ok(&Alive::new("healthy"))
}

impl Probe {
    /// Makes the clients. Sends nothing yet.
    ///
    /// # Errors
    /// The text says which client could not be made.
    pub fn new(config: &ProbeConfig) -> Result<Self, String> {
        Ok(Self {
            table: Table::new(&config.table)?,
            client: upstream::client()?,
            ums_base_url: config.ums.base_url.clone(),
            linkshub_base_url: config.linkshub_base_url.clone(),
            last: Mutex::default(),
        })
    }

    /// Asks the table, UMS and LinksHub at the same time, for 1 s at most, or returns the result of the last 5 s.
    pub async fn check(&self) -> Health {
        let mut last = self.last.lock().await;
        let fresh = last.as_ref().filter(|(at, _)| upstream::is_within(*at, LIFETIME, SystemTime::now()));
        if let Some((_, health)) = fresh {
            return health.clone();
        }
        let health = self.ask().await;
        *last = Some((SystemTime::now(), health.clone()));
        health
    }

    async fn ask(&self) -> Health {
        let linkshub = async {
            match &self.linkshub_base_url {
                Some(url) => Some(check(self.answers(Dependency::LinksHub, url)).await),
                None => None,
            }
        };
        let (table, ums, linkshub) = tokio::join!(
            check(self.table.is_up()),
            check(self.answers(Dependency::Ums, &self.ums_base_url)),
            linkshub
        );
        let checks = Checks { table, ums, linkshub };
        let all_up = [Some(&checks.table), Some(&checks.ums), checks.linkshub.as_ref()]
            .into_iter()
            .flatten()
            .all(|check| check.status == "up");
        Health { service: Alive::new(if all_up { "healthy" } else { "unhealthy" }), checks }
    }

    /// Whether the service with this URL answers, without a failure of its own. The real UMS has no health route, so any
    /// status below 500 counts.
    async fn answers(&self, dependency: Dependency, base_url: &str) -> bool {
        let url = format!("{base_url}/health");
        let answer = upstream::send(&self.client, Call::get(Some(dependency), &url)).await;
        answer.is_ok_and(|answer| !answer.status.is_server_error())
    }
}

async fn check(is_up: impl Future<Output = bool>) -> Check {
    let started = Instant::now();
    let is_up = tokio::time::timeout(TIMEOUT, is_up).await.unwrap_or(false);
    Check { status: if is_up { "up" } else { "down" }, latency_ms: started.elapsed().as_millis() }
}

impl Health {
    /// 200 when all answered, otherwise 503.
    ///
    /// # Errors
    /// Internal, when the body does not serialize.
    pub fn response(&self) -> http::Result {
        if self.service.status == "healthy" {
            return http::ok(self);
        }
        let mut response = http::with_status(StatusCode::SERVICE_UNAVAILABLE, self)?;
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER_SECONDS.into());
        Ok(response)
    }
}
