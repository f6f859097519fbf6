//! Sends messages to connections, and closes connections.

use std::time::Duration;

use aws_sdk_apigatewaymanagement::{
    Client, Config,
    config::{BehaviorVersion, Region, retry::RetryConfig, timeout::TimeoutConfig},
    error::{ProvideErrorMetadata, SdkError},
    operation::RequestId,
    primitives::Blob,
};

use crate::{
    base::error::Error,
    config::RealtimeConfig,
    table::{self, client},
};

/// The time for a message. API Gateway answers within milliseconds.
const TIMEOUT: Duration = Duration::from_secs(2);
/// The status for a connection that is closed.
const GONE: u16 = 410;

/// Whether a connection still takes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// API Gateway has the message. Whether the client has got it is not known.
    Sent,
    /// The connection is closed.
    Gone,
}

/// The client of the WebSocket API's own address.
pub(super) struct Sender {
    client: Client,
}

impl Sender {
    /// Makes a client with the function's own identity. Sends nothing yet.
    pub(super) fn new(config: &RealtimeConfig) -> Result<Self, String> {
        let identity = &config.table;
        let timeouts = TimeoutConfig::builder().operation_timeout(TIMEOUT).build();
        let sdk = Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(identity.region.clone()))
            .credentials_provider(client::credentials(identity))
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_max_attempts(2))
            .http_client(client::http_client(Some(&config.endpoint), identity.ca_bundle.as_deref())?)
            .endpoint_url(&config.endpoint);
        Ok(Self { client: Client::from_conf(sdk.build()) })
    }

    /// Sends a message.
    ///
    /// # Errors
    /// Unavailable. The client may have got the message.
    pub(super) async fn send(&self, connection_id: &str, text: String) -> Result<Delivery, Error> {
        let post = self.client.post_to_connection().connection_id(connection_id);
        delivery("PostToConnection", post.data(Blob::new(text)).send().await)
    }

    /// Closes a connection.
    ///
    /// # Errors
    /// Unavailable.
    pub(super) async fn close(&self, connection_id: &str) -> Result<Delivery, Error> {
        let closed = self.client.delete_connection().connection_id(connection_id).send().await;
        delivery("DeleteConnection", closed)
    }
}

fn delivery<T, E: ProvideErrorMetadata>(
    operation: &str,
    sent: Result<T, SdkError<E>>,
) -> Result<Delivery, Error> {
    match sent {
        Ok(_) => Ok(Delivery::Sent),
        Err(error) if error.raw_response().is_some_and(|it| it.status().as_u16() == GONE) => {
            Ok(Delivery::Gone)
        }
        Err(error) => {
            Err(Error::unavailable("The WebSocket API", table::cause(operation, &error, error.request_id())))
        }
    }
}
