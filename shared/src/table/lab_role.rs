//! The second wall around each lab's data: a role that opens the partitions of the one lab that its session is tagged
//! with, so that a defect that got past [`LabScope`](crate::lab::LabScope) would be refused by DynamoDB. ADR 15.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use aws_credential_types::provider::{self, error::CredentialsError, future};
use aws_sdk_dynamodb::{
    Client,
    config::{Config, Credentials, ProvideCredentials, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_sdk_sts::{config::BehaviorVersion, types::Tag};

use super::{Table, client};
use crate::{
    base::LabId,
    config::{LabRoleConfig, TableConfig},
};

/// The session's tag; the policy of the role in `template.yaml` compares `dynamodb:LeadingKeys` with it.
const TAG: &str = "lab";
/// As long as AWS lets a role assume another.
const SESSION_SECONDS: i32 = 3600;
/// Labs whose clients are kept; an instance rarely serves so many.
const MAX_CLIENTS: usize = 256;

/// The table, for each lab with the identity that may reach it.
pub(crate) struct LabTables {
    /// With the function's own identity, which opens every partition unless there is a role for labs.
    table: Table,
    role: Option<Role>,
}

struct Role {
    arn: String,
    sts: aws_sdk_sts::Client,
    config: Config,
    clients: Mutex<HashMap<LabId, Client>>,
}

impl LabTables {
    /// The table that the configuration names; nothing is sent yet.
    pub(crate) fn new(config: &TableConfig, role: Option<&LabRoleConfig>) -> Result<Self, String> {
        let sdk = client::config(config)?;
        Ok(Self {
            role: role.map(|role| Role::new(role, config, sdk.clone())),
            table: Table { client: Client::from_conf(sdk), name: config.name.clone() },
        })
    }

    /// The table for one lab; nothing is sent yet.
    pub(crate) fn of(&self, lab: LabId) -> Table {
        match &self.role {
            None => self.table.clone(),
            Some(role) => Table { client: role.client(lab), name: self.table.name.clone() },
        }
    }
}

impl Role {
    fn new(config: &LabRoleConfig, table: &TableConfig, sdk: Config) -> Self {
        // As quick to give up as DynamoDB's client: both have to answer within the time of one operation.
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_millis(500))
            .operation_timeout(Duration::from_millis(1500))
            .build();
        let mut sts = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .credentials_provider(client::credentials(table))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(25)));
        sts.set_region(sdk.region().cloned());
        sts.set_http_client(sdk.http_client());
        sts.set_endpoint_url(config.endpoint.clone());
        Self {
            arn: config.arn.clone(),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            config: sdk,
            clients: Mutex::default(),
        }
    }

    /// The client of a lab. It asks for a session with its first call and keeps it until shortly before it ends.
    fn client(&self, lab: LabId) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(&lab) {
            clients.clear();
        }
        let new = || {
            let provider = Session { sts: self.sts.clone(), arn: self.arn.clone(), lab };
            Client::from_conf(self.config.to_builder().credentials_provider(provider).build())
        };
        clients.entry(lab).or_insert_with(new).clone()
    }
}

/// Asks for the sessions of one lab.
#[derive(Debug)]
struct Session {
    sts: aws_sdk_sts::Client,
    arn: String,
    lab: LabId,
}

impl Session {
    async fn begin(&self) -> provider::Result {
        let lab = self.lab.to_string();
        let tag = Tag::builder().key(TAG).value(&lab).build().map_err(CredentialsError::unhandled)?;
        let asked = self.sts.assume_role().role_arn(&self.arn).role_session_name(format!("lab-{lab}"));
        let answer = asked.duration_seconds(SESSION_SECONDS).tags(tag).send().await;
        // The error goes no further than to the SDK, which says that there are no credentials.
        let given = answer.map_err(CredentialsError::provider_error)?.credentials;
        let given = given.ok_or_else(|| CredentialsError::unhandled("a session without credentials"))?;
        let end = SystemTime::try_from(given.expiration).map_err(CredentialsError::unhandled)?;
        Ok(Credentials::new(
            given.access_key_id,
            given.secret_access_key,
            Some(given.session_token),
            Some(end),
            "lab role",
        ))
    }
}

impl ProvideCredentials for Session {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.begin())
    }
}
