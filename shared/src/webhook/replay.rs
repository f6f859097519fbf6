//! Sends messages about all cases that have changed since a time, for a receiver that has missed some.

use std::collections::HashMap;

use serde::Serialize;

use super::{Assignment, Delivery, DeliveryState, Webhook, WebhookId, Webhooks, delivery};
use crate::{
    base::{
        LabId,
        error::Error,
        field_error::Invalid,
        time::Timestamp,
        validate::{Checked, Fields, FromObject, not_text, string},
        wire_enum::{Stored, WireEnum},
    },
    case::{
        Cases, ChangedCase,
        event::{Action, Event},
        workflow::Status,
    },
    message::{CaseChange, Message, MessageType},
    table::{Consistency, from_item, keys},
};

/// How far back a replay can begin: as long as the records of deliveries are kept.
const MAX_DAYS: u32 = delivery::RETENTION_DAYS;
/// The most cases of one call.
const LIMIT: u32 = 100;
/// The longest cursor.
const MAX_CURSOR: usize = 1024;

/// Which messages to send again.
pub struct Replay {
    since: Timestamp,
    cursor: Option<String>,
}

impl FromObject for Replay {
    fn from_object(fields: &mut Fields) -> Option<Self> {
        let since = fields.required("since", recent_time);
        let cursor = fields.optional("cursor", string(1..=MAX_CURSOR)).value();
        Some(Self { since: since?, cursor: cursor.map(|cursor| cursor.expose().clone()) })
    }
}

fn recent_time(value: &serde_json::Value) -> Checked<Timestamp> {
    let text = value.as_str().ok_or_else(not_text)?;
    let earliest = Timestamp::now().days_ago(MAX_DAYS);
    Timestamp::parse(text).filter(|since| *since >= earliest).ok_or_else(|| {
        Invalid::format("recent_time", "must be a time of the last 30 days, such as 2026-11-28T09:30:00Z")
    })
}

/// What a replay has sent.
#[derive(Serialize)]
pub struct Replayed {
    /// The number of messages.
    sent: usize,
    /// The cursor for the rest; `None` if there is no rest.
    next_cursor: Option<String>,
}

impl Webhooks<'_> {
    /// Sends the newest message of each live case that has changed since the time, in the order of the changes, and of at most 100
    /// cases. Messages that wait already are not sent twice.
    ///
    /// # Errors
    /// Webhook not found; webhook disabled; invalid cursor; unavailable.
    pub async fn replay(&self, id: &WebhookId, replay: &Replay) -> Result<Replayed, Error> {
        let lab = self.lab.lab_id();
        let list = format!("replay to {id} of {lab} since {}", replay.since);
        let cursors = self.lab.cursors()?;
        let after = replay.cursor.as_ref().map(|cursor| cursors.open_text(&list, cursor)).transpose()?;
        let webhook = self.get(id).await?;
        webhook.check_enabled()?;
        let cases = Cases::of(self.lab);
        let (changed, position) = cases.changed_since(replay.since, after.as_deref(), LIMIT).await?;
        let messages = changed.iter().map(|changed| message_of(lab, changed));
        let messages: Vec<Message> = messages.filter(|message| webhook.types.passes(message.kind)).collect();
        let assignments = self.assignments(&webhook, messages).await?;
        self.send(&assignments).await?;
        let next_cursor = position.map(|position| cursors.seal(&list, position.as_bytes()));
        Ok(Replayed { sent: assignments.len(), next_cursor })
    }

    /// The assignments of messages: a new series of attempts for those that had one, none for those that still wait.
    async fn assignments(&self, webhook: &Webhook, messages: Vec<Message>) -> Result<Vec<Assignment>, Error> {
        let sk = |message: &Message| keys::delivery(webhook.id.as_str(), message.delivery_id().as_str());
        let sks: Vec<String> = messages.iter().map(sk).collect();
        let (lab, retry) = (self.lab.lab_id(), self.lab.retry());
        let items = self.table().get_many(lab, &sks, Consistency::Strong, retry).await?;
        let mut records: HashMap<String, Delivery> = HashMap::new();
        for (sk, item) in items {
            records.insert(sk, from_item(item)?);
        }
        let assignment = |message: Message| match records.get(&sk(&message)) {
            Some(record) if record.state == DeliveryState::Pending => None,
            Some(record) => Some(record.again()),
            None => Some(Assignment::new(lab, webhook.id.clone(), message)),
        };
        Ok(messages.into_iter().filter_map(assignment).collect())
    }
}

/// The message of the last change of a case, the same as that of the change itself.
fn message_of(lab: LabId, ChangedCase { case, event }: &ChangedCase) -> Message {
    use Stored::Known;
    let before = event.as_ref().and_then(status_before);
    let kind = match event.as_ref().map(|event| &event.action) {
        _ if case.version == 1 => MessageType::CaseCreated,
        Some(Known(Action::Restored)) => MessageType::CaseRestored,
        _ if before.is_some() => MessageType::CaseStatusChanged,
        Some(Known(Action::Commented)) => MessageType::CaseCommented,
        _ => MessageType::CaseUpdated,
    };
    let is_new = matches!(kind, MessageType::CaseCreated | MessageType::CaseRestored);
    let change = CaseChange {
        case_id: case.id,
        case_number: case.case_number.clone(),
        version: case.version,
        status_from: if is_new { None } else { before.or(Some(case.status)) },
        status_to: Some(case.status),
    };
    Message::of_case(kind, case.updated_at, lab, change)
}

/// The status before the change, if it is another one.
fn status_before(event: &Event) -> Option<Status> {
    let change = event.changes.iter().find(|change| change.field == "status")?;
    change.from.expose().as_str().and_then(Status::parse)
}
