//! The AWS SDK's client: credentials, region, trust and time-outs from the configuration, and nothing looked up at a
//! metadata service.

use std::time::Duration;

use aws_sdk_dynamodb::{
    Config,
    config::{BehaviorVersion, Credentials, Region, retry::RetryConfig, timeout::TimeoutConfig},
};
use aws_smithy_http_client::tls;

use crate::config::TableConfig;

/// The certificate authorities of AWS (Amazon Trust Services). Parsing these five instead of the system's bundle is
/// the largest saving at a cold start.
const AMAZON_ROOTS: &str = include_str!("amazon_roots.pem");
/// All attempts of one operation together; with it a request answers 503 in time when DynamoDB does not.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(2);
/// Throttling, broken connections and 500s are tried again this often, with random pauses that double from 25 ms;
/// [`OPERATION_TIMEOUT`] usually ends it sooner.
const ATTEMPTS: u32 = 8;

/// The function's own identity.
pub(super) fn credentials(config: &TableConfig) -> Credentials {
    Credentials::new(
        &config.access_key_id,
        config.secret_access_key.expose(),
        config.session_token.as_ref().map(|token| token.expose().to_owned()),
        None,
        "environment",
    )
}

/// The configuration of the client with the function's own identity.
pub(super) fn config(config: &TableConfig) -> Result<Config, String> {
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
    sdk = match &config.endpoint {
        // An emulator next door: plain HTTP, so no TLS is set up at all.
        Some(endpoint) if endpoint.starts_with("http://") => {
            sdk.endpoint_url(endpoint).http_client(aws_smithy_http_client::Builder::new().build_http())
        }
        endpoint => {
            sdk.set_endpoint_url(endpoint.clone());
            let roots = tls::TrustStore::empty().with_pem_certificate(AMAZON_ROOTS);
            let context = tls::TlsContext::builder()
                .with_trust_store(roots)
                .build()
                .map_err(|error| format!("no TLS for DynamoDB: {error}"))?;
            sdk.http_client(
                aws_smithy_http_client::Builder::new()
                    .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc))
                    .tls_context(context)
                    .build_https(),
            )
        }
    };
    Ok(sdk.build())
}
