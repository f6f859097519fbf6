//! What happens after a change, on the streams of the tables: the lab's webhooks get a message, audit records and events of
//! histories are archived, the index of words gets the names of cases, the patient data in the history of a case is erased
//! when DynamoDB has removed the case at the end of its retention, and files that were not completed in time are removed.
//!
//! A stream delivers each change at least once, and the changes of one item in their order. So every step can be repeated.

mod change;
mod entries;
mod messages;
mod names;
#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use aws_lambda_events::event::{
    dynamodb::Event,
    streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse},
};

use crate::{
    archive::{Archive, ArchiveEntry, ChangeKind},
    base::{AttachmentId, CaseId, error::Error},
    case::{
        attachment,
        disposal::{self, Disposal},
        tokens::{self, NameChange},
    },
    config::{Stage, StreamsConfig},
    event_bus::EventBus,
    files::FileStore,
    message::Message,
    queue::Queue,
    table::{Table, keys},
    telemetry::{self, Details, SecurityEvent},
    webhook,
};
pub(crate) use change::Change;
use change::Kind;
pub(crate) use messages::of_change as change_of_case;

/// How long one invocation may work on disposals. The rest of a long history follows when the batch is delivered again.
const DISPOSAL_BUDGET: Duration = Duration::from_secs(20);

/// The changes that a stream delivers to one invocation.
pub type StreamEvent = Event;
/// Which of the changes must be delivered again.
pub type StreamReport = DynamoDbEventResponse;

/// Processes the changes of the tables' streams.
pub struct StreamProcessor {
    stage: Stage,
    table: Table,
    archive: Archive,
    files: FileStore,
    queue: Queue,
    event_bus: Option<EventBus>,
    audit_table: String,
}

impl StreamProcessor {
    /// Makes the clients. Sends nothing yet.
    ///
    /// # Errors
    /// The text says which client could not be made.
    pub fn new(config: &StreamsConfig) -> Result<Self, String> {
        Ok(Self {
            stage: config.common.stage,
            table: Table::new(&config.table)?,
            archive: Archive::new(&config.archive, &config.table)?,
            files: FileStore::new(&config.files, &config.table)?,
            queue: Queue::new(&config.queue, &config.table)?,
            event_bus: config.event_bus.as_ref().map(|bus| EventBus::new(bus, &config.table)).transpose()?,
            audit_table: config.audit_table.clone(),
        })
    }

    /// Sends messages of the changes, archives them, updates the index of words, and then erases the histories of cases that have
    /// expired, and removes files that were not completed. Reports the changes that must be delivered again. Lambda delivers again
    /// from the first of them.
    pub async fn process(&self, event: StreamEvent) -> StreamReport {
        let changes: Vec<Change> = event.records.into_iter().map(Change::of_record).collect();
        let mut failed = self.publish(&changes).await;
        failed.extend(self.archive(&changes).await);
        failed.extend(self.update_tokens(&changes).await);
        let started = Instant::now();
        for change in changes.iter().filter(|change| is_end_of_life(change)) {
            match self.dispose(change, started).await {
                Ok(Disposal::Done | Disposal::Refused) => {}
                Ok(Disposal::Tampered) => self.report(&change.lab, change.case_id(keys::DELETED_PREFIX)),
                Ok(Disposal::Unfinished) => failed.push(change.stream_id.clone()),
                Err(error) => {
                    telemetry::stream_failure("disposal", &error);
                    failed.push(change.stream_id.clone());
                }
            }
        }
        for change in changes.iter().filter(|change| is_end_of_upload(change)) {
            match self.end_upload(change, started).await {
                Ok(true) => {}
                Ok(false) => failed.push(change.stream_id.clone()),
                Err(error) => {
                    telemetry::stream_failure("uploads", &error);
                    failed.push(change.stream_id.clone());
                }
            }
        }
        let first = changes.iter().find(|change| failed.contains(&change.stream_id));
        let mut report = StreamReport::default();
        report.batch_item_failures.extend(first.map(|change| {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = Some(change.sequence_number.clone());
            failure
        }));
        telemetry::stream_batch(changes.len(), report.batch_item_failures.len());
        report
    }

    /// Returns the ids of the changes whose messages could not be sent.
    async fn publish(&self, changes: &[Change]) -> Vec<String> {
        let of_cases = changes.iter().filter(|change| change.table != self.audit_table);
        let of_cases = of_cases.filter_map(change_of_case);
        let messages: Vec<(&str, Message)> =
            of_cases.filter_map(|change| Some((change.id, Message::of_item(&change)?))).collect();
        let (queued, put) =
            tokio::join!(webhook::publish(&self.table, &self.queue, &messages), self.put_on_bus(&messages));
        let mut failed = Vec::new();
        for (ids, error) in [queued.err(), put.err()].into_iter().flatten() {
            telemetry::stream_failure("messages", &error);
            failed.extend(ids);
        }
        failed
    }

    /// Puts messages on the event bus, if there is one.
    async fn put_on_bus(&self, messages: &[(&str, Message)]) -> Result<(), (HashSet<String>, Error)> {
        let Some(bus) = &self.event_bus else { return Ok(()) };
        let (ids, messages): (Vec<&str>, Vec<&Message>) =
            messages.iter().map(|(id, message)| (*id, message)).unzip();
        let put = bus.put(&messages).await;
        put.map_err(|(places, error)| {
            (places.into_iter().map(|place| ids[place].to_owned()).collect(), error)
        })
    }

    /// Returns the ids of the changes that could not be archived.
    async fn archive(&self, changes: &[Change]) -> Vec<String> {
        let entries: Vec<ArchiveEntry> =
            changes.iter().filter_map(|change| entries::of_change(change, &self.audit_table)).collect();
        let written = self.archive.write(&entries).await;
        for entry in entries.iter().filter(|entry| is_tampering(entry.change)) {
            self.report(&entry.lab_id, None);
        }
        written.map_or_else(
            |(failed, error)| {
                telemetry::archive_failure(self.stage, &error);
                failed
            },
            |()| Vec::new(),
        )
    }

    /// Returns the ids of the changes whose words could not be written.
    async fn update_tokens(&self, changes: &[Change]) -> Vec<String> {
        let of_names = changes.iter().filter(|change| change.table != self.audit_table);
        let (ids, of_names): (Vec<String>, Vec<NameChange>) =
            of_names.filter_map(|change| Some((change.stream_id.clone(), names::of_change(change)?))).unzip();
        match tokens::update(&self.table, &of_names).await {
            Ok(()) => Vec::new(),
            Err(error) => {
                telemetry::stream_failure("tokens", &error);
                ids
            }
        }
    }

    /// Reports that somebody else than this service changed or removed an item.
    fn report(&self, lab: &str, case_id: Option<CaseId>) {
        let details = Details { lab_id: lab.parse().ok(), case_id, ..Details::default() };
        telemetry::security_event(self.stage, SecurityEvent::VerificationFailed, details);
    }

    async fn dispose(&self, change: &Change, started: Instant) -> Result<Disposal, Error> {
        let (Some(lab), Some(case)) = (change.lab_id(), change.case_id(keys::DELETED_PREFIX)) else {
            return Ok(Disposal::Refused);
        };
        let deadline = started + DISPOSAL_BUDGET;
        let (table, files) = (&self.table, &self.files);
        disposal::dispose(table, files, lab, case, &change.before, change.changed_at, deadline).await
    }

    /// Removes a file that was not completed in time. Returns whether it is done.
    async fn end_upload(&self, change: &Change, started: Instant) -> Result<bool, Error> {
        let id = change.sk.rsplit('#').next().and_then(AttachmentId::parse);
        let (Some(lab), Some(case), Some(id)) = (change.lab_id(), change.case_id(keys::UPLOAD_PREFIX), id)
        else {
            return Ok(true);
        };
        let (file, deadline) = ((lab, case, &id), started + DISPOSAL_BUDGET);
        attachment::disposal::end_upload(&self.table, &self.files, file, &change.before, deadline).await
    }
}

/// Whether DynamoDB has removed a deleted case at the end of its retention. If somebody removed it, it is no end of life, and
/// its history must stay.
fn is_end_of_life(change: &Change) -> bool {
    change.kind == Kind::Remove && change.is_expiry && change.sk.starts_with(keys::DELETED_PREFIX)
}

/// Whether DynamoDB has removed an upload that was not completed in time.
fn is_end_of_upload(change: &Change) -> bool {
    change.kind == Kind::Remove && change.is_expiry && change.sk.starts_with(keys::UPLOAD_PREFIX)
}

/// Whether only tampering makes such a change: this service adds records and events, and erases events at their end.
fn is_tampering(change: ChangeKind) -> bool {
    matches!(change, ChangeKind::Changed | ChangeKind::Removed)
}
