//! The AWS SDK's client. It gets credentials, region, certificates and time-outs from the configuration and makes no calls
//! to a metadata service. The archive's client has the same identity and the same certificates.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Config,
    config::{
        BehaviorVersion, Credentials, Region, SharedHttpClient, retry::RetryConfig, timeout::TimeoutConfig,
    },
};
use aws_smithy_http_client::tls;

use crate::config::TableConfig;

/// The certificate authorities of AWS (Amazon Trust Services). To parse these five instead of the system's bundle saves
/// more time at a cold start than anything else.
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");
/// The time for all attempts of one operation together. It allows a 503 in time when DynamoDB does not answer.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);
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
        .connect_timeout(Duration::from_millis(500))
        .operation_attempt_timeout(Duration::from_secs(1))
        .operation_timeout(OPERATION_TIMEOUT)
        .build();
    let mut sdk = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(config.region.clone()))
        .credentials_provider(credentials(config))
        .timeout_config(timeouts)
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(ATTEMPTS)
                .with_initial_backoff(Duration::from_millis(25)),
        );
    sdk.set_endpoint_url(config.endpoint.clone());
    Ok(sdk.http_client(http_client(config.endpoint.as_deref())?).build())
}

/// The HTTP client for an endpoint; `None` for AWS itself.
pub(crate) fn http_client(endpoint: Option<&str>) -> Result<SharedHttpClient, String> {
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        // A local emulator with plain HTTP needs no TLS.
        return Ok(aws_smithy_http_client::Builder::new().build_http());
    }
    let roots = tls::TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
    let context = tls::TlsContext::builder().with_trust_store(roots).build();
    let context = context.map_err(|error| format!("no TLS for AWS: {error}"))?;
    Ok(aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
        .tls_context(context)
        .build_https())
}
