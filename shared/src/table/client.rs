//! The AWS SDK's client. It gets credentials, region, certificates and time-outs from the configuration and makes no calls
//! to a metadata service. The archive's client has the same identity and the same certificates.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Config,
    config::{
        BehaviorVersion, Credentials, Region, SharedCredentialsProvider, retry::RetryConfig,
        timeout::TimeoutConfig,
    },
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
};
use aws_types::SdkConfig;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

use super::{cause, connector::Connector, metering::Metering};
use crate::{base::error::Error, config::TableConfig, upstream};

/// The certificate authorities of AWS (Amazon Trust Services). To parse these five instead of the system's bundle saves
/// more time at a cold start than anything else.
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");
/// The time for all attempts of one operation together. It allows a 503 in time when DynamoDB does not answer.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);
/// The time for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);
/// The most attempts after throttling, broken connections and 500s, with random pauses that double from 25 ms.
/// [`OPERATION_TIMEOUT`] usually ends them sooner.
const ATTEMPTS: u32 = 8;

/// The function's own identity.
pub(crate) fn credentials(config: &TableConfig) -> Credentials {
    Credentials::new(
        &config.access_key_id,
        config.secret_access_key.expose(),
        config.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "environment",
    )
}

/// The configuration of the client with the function's own identity.
pub(crate) fn config(config: &TableConfig) -> Result<Config, String> {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let mut sdk = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .credentials_provider(credentials(config))
        .timeout_config(timeouts)
        .interceptor(Metering)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(25)),
        );
    sdk.set_endpoint_url(config.endpoint.clone());
    Ok(sdk.http_client(http_client(config.endpoint.as_deref(), config.ca_bundle.as_deref())?).build())
}

/// The configuration of the client of another service of AWS, with the function's own identity: `attempts` of at most 2 s, and
/// at most 5 s together. An `endpoint` is that of an emulator.
///
/// # Errors
/// The text says why the HTTP client cannot be made.
pub(crate) fn sdk_config(
    identity: &TableConfig,
    endpoint: Option<&str>,
    attempts: u32,
) -> Result<SdkConfig, String> {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(Duration::from_secs(2))
        .operation_timeout(Duration::from_secs(5))
        .build();
    let mut sdk = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(identity.region.clone()))
        .credentials_provider(SharedCredentialsProvider::new(credentials(identity)))
        .timeout_config(timeouts)
        .retry_config(RetryConfig::standard().with_max_attempts(attempts))
        .http_client(http_client(endpoint, identity.ca_bundle.as_deref())?);
    sdk.set_endpoint_url(endpoint.map(str::to_owned));
    Ok(sdk.build())
}

/// The error of a failed call to such a service, which `what` names for people. The log gets its kind and the request's id.
pub(crate) fn failed<E: ProvideErrorMetadata>(what: &str, operation: &str, error: &SdkError<E>) -> Error {
    Error::unavailable(what, cause(operation, error, error.request_id()))
}

/// The HTTP client for an endpoint; `None` for AWS itself. An emulator with TLS needs a file with its certificate authorities.
pub(crate) fn http_client(endpoint: Option<&str>, ca_bundle: Option<&str>) -> Result<Connector, String> {
    let mut roots = RootCertStore::empty();
    // A local emulator with plain HTTP needs no TLS.
    if !endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        let pem = match ca_bundle {
            Some(file) => {
                std::fs::read(file).map_err(|error| format!("AWS_CA_BUNDLE cannot be read: {error}"))?
            }
            None => AMAZON_ROOTS.into(),
        };
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let added = certificate.map(|certificate| roots.add(certificate));
            added
                .map_err(|error| format!("no TLS for AWS: {error}"))?
                .map_err(|error| format!("no TLS for AWS: {error}"))?;
        }
    }
    upstream::client_with(roots, CONNECT_TIMEOUT).map(Connector)
}
