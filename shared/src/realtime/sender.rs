//! Sends messages to connections, and closes connections.

use aws_sdk_apigatewaymanagement::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    primitives::Blob,
};

use crate::{base::error::Error, config::RealtimeConfig, table::client};

/// The most attempts for a message. API Gateway answers within milliseconds.
const ATTEMPTS: u32 = 2;
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
        let sdk = client::sdk_config(&config.table, Some(&config.endpoint), ATTEMPTS)?;
        Ok(Self { client: Client::new(&sdk) })
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
        Err(error) => Err(client::failed("The WebSocket API", operation, &error)),
    }
}
