//! The client of S3, for the archive and for the files of cases.

use std::time::Duration;

use aws_sdk_s3::{
    Client, Config,
    config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};

use crate::{
    base::error::Error,
    config::TableConfig,
    table::{self, client},
};

/// Makes a client with the function's own identity. Sends nothing yet. An `endpoint` is that of an emulator.
///
/// # Errors
/// The text says why it cannot be made.
pub(crate) fn client(endpoint: Option<&str>, identity: &TableConfig) -> Result<Client, String> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_millis(500))
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(5))
        .build();
    let mut sdk = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(identity.region.clone()))
        .credentials_provider(client::credentials(identity))
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(4))
        .http_client(client::http_client(endpoint, identity.ca_bundle.as_deref())?)
        // An emulator has no DNS names for buckets.
        .force_path_style(endpoint.is_some());
    sdk.set_endpoint_url(endpoint.map(str::to_owned));
    Ok(Client::from_conf(sdk.build()))
}

/// The error of a failed call to S3. The log gets its kind and the request's id. `what` is the name of the bucket for people.
pub(crate) fn failed<E: ProvideErrorMetadata>(what: &str, operation: &str, error: &SdkError<E>) -> Error {
    let cause = table::cause(operation, error, error.request_id());
    Error::unavailable(what, cause)
}
