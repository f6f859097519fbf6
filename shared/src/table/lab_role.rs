//! The second protection of each lab's data: a role whose session has a lab as its tag and gives access to the partitions
//! of this lab only. If a defect bypassed [`LabScope`](crate::lab::LabScope), DynamoDB would reject the call. The session has
//! only the rights that the function needs, not all of the role's. See ADRs 15 and 24.

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

/// The name of the session's tag. The role's policy in `template.yaml` compares `dynamodb:LeadingKeys` with it.
const TAG: &str = "lab";
/// The longest session that AWS allows when one role assumes another.
const SESSION_SECONDS: i32 = 3600;
/// The most clients that an instance keeps. It rarely serves so many labs.
const MAX_CLIENTS: usize = 256;

/// The tables, with a separate identity for each lab.
pub(crate) struct LabTables {
    /// The client with the function's own identity. It has access to every partition, unless there is a role for labs.
    client: Client,
    cases: String,
    audit: String,
    role: Option<Role>,
}

/// The tables as one lab uses them.
pub(crate) struct LabTable {
    /// The table of cases.
    pub cases: Table,
    /// The table of audit records.
    pub audit: Table,
}

struct Role {
    arn: String,
    policy: String,
    sts: aws_sdk_sts::Client,
    config: Config,
    clients: Mutex<HashMap<LabId, Client>>,
}

impl LabTables {
    /// Makes the clients of the configured tables. Sends nothing yet.
    pub(crate) fn new(
        config: &TableConfig,
        audit_table_name: &str,
        role: Option<&LabRoleConfig>,
    ) -> Result<Self, String> {
        let sdk = client::config(config)?;
        Ok(Self {
            role: role.map(|role| Role::new(role, config, sdk.clone())),
            client: Client::from_conf(sdk),
            cases: config.name.clone(),
            audit: audit_table_name.to_owned(),
        })
    }

    /// Opens the connections for two calls at the same time: the read of a case and the write of its audit record. With a
    /// role for labs the function's own identity may not read, but the refusal has opened the connection.
    pub(crate) async fn warm_up(&self) {
        let table = Table { client: self.client.clone(), name: self.cases.clone() };
        tokio::join!(table.is_up(), table.is_up());
    }

    /// Returns the tables for one lab. Sends nothing yet.
    pub(crate) fn of(&self, lab: LabId) -> LabTable {
        let client = self.role.as_ref().map_or_else(|| self.client.clone(), |role| role.client(lab));
        let table = |name: &String| Table { client: client.clone(), name: name.clone() };
        LabTable { cases: table(&self.cases), audit: table(&self.audit) }
    }
}

impl Role {
    fn new(config: &LabRoleConfig, table: &TableConfig, sdk: Config) -> Self {
        // Shorter than the time for one operation, because the session and the operation share it.
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
            policy: config.session_policy.clone(),
            sts: aws_sdk_sts::Client::from_conf(sts.build()),
            config: sdk,
            clients: Mutex::default(),
        }
    }

    /// Returns the client of a lab. Its first call starts a session, which it renews shortly before the session ends.
    fn client(&self, lab: LabId) -> Client {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= MAX_CLIENTS && !clients.contains_key(&lab) {
            clients.clear();
        }
        let new = || {
            let (sts, arn, policy) = (self.sts.clone(), self.arn.clone(), self.policy.clone());
            let provider = Session { sts, arn, policy, lab };
            Client::from_conf(self.config.to_builder().credentials_provider(provider).build())
        };
        clients.entry(lab).or_insert_with(new).clone()
    }
}

/// Starts the sessions of one lab.
#[derive(Debug)]
struct Session {
    sts: aws_sdk_sts::Client,
    arn: String,
    policy: String,
    lab: LabId,
}

impl Session {
    async fn begin(&self) -> provider::Result {
        let lab = self.lab.to_string();
        let tag = Tag::builder().key(TAG).value(&lab).build().map_err(CredentialsError::unhandled)?;
        let call = self.sts.assume_role().role_arn(&self.arn).role_session_name(format!("lab-{lab}"));
        let answer = call.policy(&self.policy).duration_seconds(SESSION_SECONDS).tags(tag).send().await;
        // Only the SDK sees this error. It reports that there are no credentials.
        let credentials = answer.map_err(CredentialsError::provider_error)?.credentials;
        let credentials =
            credentials.ok_or_else(|| CredentialsError::unhandled("a session without credentials"))?;
        let end = SystemTime::try_from(credentials.expiration).map_err(CredentialsError::unhandled)?;
        Ok(Credentials::new(
            credentials.access_key_id,
            credentials.secret_access_key,
            Some(credentials.session_token),
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
