//! The client of an event bus of EventBridge, which gets the message of each change if the operator wants it.

use aws_sdk_eventbridge::{Client, types::PutEventsRequestEntry};

use crate::{
    base::{error::Error, wire_enum::WireEnum},
    config::{EventBusConfig, TableConfig},
    message::Message,
    table::client,
};

/// Its name in errors.
const NAME: &str = "The event bus";
/// The source of the events, by which rules can choose them.
const SOURCE: &str = "lhcms";
/// The most attempts of a call.
const ATTEMPTS: u32 = 4;
/// EventBridge's limit of events in one call.
const BATCH: usize = 10;

/// The event bus of one deployment.
pub(crate) struct EventBus {
    client: Client,
    name: String,
}

impl EventBus {
    /// Makes a client with the function's own identity. Sends nothing yet.
    pub(crate) fn new(config: &EventBusConfig, identity: &TableConfig) -> Result<Self, String> {
        let sdk = client::sdk_config(identity, config.endpoint.as_deref(), ATTEMPTS)?;
        Ok(Self { client: Client::new(&sdk), name: config.name.clone() })
    }

    /// Puts messages on the bus. Returns the places of those that are not there, with the error of one of them.
    pub(crate) async fn put(&self, messages: &[&Message]) -> Result<(), (Vec<usize>, Error)> {
        let (mut failed, mut failure) = (Vec::new(), None);
        for (number, batch) in messages.chunks(BATCH).enumerate() {
            let Err((places, error)) = self.put_batch(batch).await else { continue };
            failed.extend(places.into_iter().map(|place| number * BATCH + place));
            failure.get_or_insert(error);
        }
        failure.map_or(Ok(()), |error| Err((failed, error)))
    }

    async fn put_batch(&self, batch: &[&Message]) -> Result<(), (Vec<usize>, Error)> {
        let all = || (0..batch.len()).collect::<Vec<usize>>();
        let entries: Result<Vec<PutEventsRequestEntry>, Error> =
            batch.iter().map(|message| self.entry(message)).collect();
        let entries = entries.map_err(|error| (all(), error))?;
        let sent = self.client.put_events().set_entries(Some(entries)).send().await;
        let answer = sent.map_err(|error| (all(), client::failed(NAME, "PutEvents", &error)))?;
        // The answer has an entry for each event, in their order.
        let refused = answer.entries().iter().enumerate().filter(|(_, entry)| entry.error_code().is_some());
        let refused: Vec<usize> = refused.map(|(place, _)| place).collect();
        if refused.is_empty() {
            return Ok(());
        }
        Err((refused, Error::unavailable(NAME, "PutEvents: some events were refused")))
    }

    fn entry(&self, message: &Message) -> Result<PutEventsRequestEntry, Error> {
        let detail =
            serde_json::to_string(message).map_err(|_| Error::internal("a message does not serialize"))?;
        let entry = PutEventsRequestEntry::builder().event_bus_name(&self.name).source(SOURCE);
        Ok(entry.detail_type(message.kind.as_str()).detail(detail).build())
    }
}
