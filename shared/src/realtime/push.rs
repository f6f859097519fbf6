//! The function that sends signals: a second reader of the stream of cases.
//!
//! A signal that is lost costs a client nothing but time, because the change feed has everything. So nothing here is tried again but
//! the reads of a batch, and nothing is kept.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use aws_lambda_events::event::dynamodb::EventRecord;
use futures_util::{StreamExt, future::join_all, stream};

use super::{
    connection::{Connection, Connections},
    protocol::{ChangedVersion, MAX_CHANGES, ServerMessage},
    sender::{Delivery, Sender},
};
use crate::{
    base::{CaseId, LabId, cursor::CursorKey, error::Error, time::Timestamp},
    case,
    config::{RealtimeConfig, Stage},
    message::{CaseChange, Message},
    streams::{Change, StreamEvent, change_of_case},
    table::Table,
    telemetry::{self, PushBatch},
};

/// How many messages are on their way at the same time.
const AT_ONCE: usize = 64;
/// How long the messages of a batch may take together. The next batch of the stream waits for it.
const BUDGET: Duration = Duration::from_secs(20);

/// Sends signals of changes to the connections.
pub struct ChangePusher {
    stage: Stage,
    cases: Table,
    connections: Connections,
    cursors: CursorKey,
    sender: Sender,
}

/// What happens to a connection.
enum Task {
    /// It gets a message.
    Send(String),
    /// It has ended, so it is closed.
    Close,
}

/// How a task ended.
enum Outcome {
    Sent,
    Failed,
    /// The connection is closed or was gone.
    Ended,
}

impl ChangePusher {
    /// Makes the clients. Sends nothing yet.
    ///
    /// # Errors
    /// The text says which client could not be made.
    pub fn new(config: &RealtimeConfig) -> Result<Self, String> {
        Ok(Self {
            stage: config.common.stage,
            cases: Table::new(&config.table)?,
            connections: Connections(Table::new(&config.connections)?),
            cursors: CursorKey::new(&config.cursor_key),
            sender: Sender::new(config)?,
        })
    }

    /// Sends the signals of a batch of changes.
    ///
    /// # Errors
    /// Unavailable, when the connections of a lab cannot be read. The other labs' signals are sent, and come twice when the batch
    /// is delivered again.
    pub async fn push(&self, event: StreamEvent) -> Result<(), Error> {
        let started = Instant::now();
        let messages = event.records.into_iter().filter_map(message);
        let mut labs: BTreeMap<LabId, Vec<(Timestamp, CaseChange)>> = BTreeMap::new();
        for message in messages {
            let Some(change) = message.data.case else { continue };
            labs.entry(message.data.lab_id).or_default().push((message.timestamp, change));
        }
        let (mut batch, mut tasks, mut failure) = (PushBatch::new(self.stage), Vec::new(), None);
        for planned in join_all(labs.iter().map(|(lab, changes)| self.plan(*lab, changes))).await {
            match planned {
                Ok((connections, planned)) => {
                    batch.connections += connections;
                    tasks.extend(planned);
                }
                Err(error) => failure = Some(error),
            }
        }
        let planned = tasks.len();
        let mut running =
            stream::iter(tasks).map(|(lab, id, task)| self.run(lab, id, task)).buffer_unordered(AT_ONCE);
        let mut done = 0;
        let work = async {
            while let Some(outcome) = running.next().await {
                done += 1;
                match outcome {
                    Outcome::Sent => batch.messages += 1,
                    Outcome::Failed => batch.failures += 1,
                    Outcome::Ended => batch.ended += 1,
                }
            }
        };
        // What is not sent in time is too late anyway.
        let _ = tokio::time::timeout(BUDGET.saturating_sub(started.elapsed()), work).await;
        batch.failures += planned - done;
        batch.oldest = labs.values().flatten().map(|(at, _)| *at).min();
        batch.write();
        match failure {
            Some(error) => {
                telemetry::stream_failure("push", &error);
                Err(error)
            }
            None => Ok(()),
        }
    }

    /// Returns how many connections a lab has, and what happens to each.
    async fn plan(
        &self,
        lab: LabId,
        changes: &[(Timestamp, CaseChange)],
    ) -> Result<(usize, Vec<(LabId, String, Task)>), Error> {
        let connections = self.connections.of_lab(lab).await?;
        let (now, count) = (Timestamp::now(), connections.len());
        let (alive, ended): (Vec<Connection>, Vec<Connection>) =
            connections.into_iter().partition(|connection| connection.is_alive(now));
        let mut tasks: Vec<_> = ended.into_iter().map(|it| (lab, it.connection_id, Task::Close)).collect();
        let wanted = alive.into_iter().map(|connection| (wanted_by(&connection, changes), connection));
        let wanted: Vec<_> = wanted.filter(|(wanted, _)| !wanted.is_empty()).collect();
        if wanted.is_empty() {
            return Ok((count, tasks));
        }
        let cursor = case::newest_cursor(&self.cases, lab, &self.cursors).await?;
        for (wanted, connection) in wanted {
            for changes in wanted.chunks(MAX_CHANGES) {
                let message = ServerMessage::Changes { lab_id: lab, changes, cursor: &cursor };
                tasks.push((lab, connection.connection_id.clone(), Task::Send(message.text())));
            }
        }
        Ok((count, tasks))
    }

    async fn run(&self, lab: LabId, id: String, task: Task) -> Outcome {
        let sent = match task {
            Task::Send(text) => self.sender.send(&id, text).await,
            Task::Close => self.sender.close(&id).await.map(|_| Delivery::Gone),
        };
        let removed = match sent {
            Ok(Delivery::Sent) => return Outcome::Sent,
            Ok(Delivery::Gone) => self.connections.remove(lab, &id).await,
            Err(error) => Err(error),
        };
        match removed {
            Ok(()) => Outcome::Ended,
            Err(error) => {
                telemetry::push_failure(&error);
                Outcome::Failed
            }
        }
    }
}

/// The message of a record of the stream, if it is the change of a live case.
fn message(record: EventRecord) -> Option<Message> {
    Message::of_item(&change_of_case(&Change::of_record(record))?)
}

/// The changes that a connection's client wants to hear of: each case once, with its newest version.
fn wanted_by(connection: &Connection, changes: &[(Timestamp, CaseChange)]) -> Vec<ChangedVersion> {
    let Some(filter) = &connection.filter else { return Vec::new() };
    let mut versions: BTreeMap<CaseId, u32> = BTreeMap::new();
    for (_, change) in changes.iter().filter(|(_, change)| filter.passes(change)) {
        let newest = versions.entry(change.case_id).or_default();
        *newest = change.version.max(*newest);
    }
    versions.into_iter().map(|(case_id, version)| ChangedVersion { case_id, version }).collect()
}
