//! A change in a table, as its stream delivers it.

use aws_lambda_events::event::dynamodb::EventRecord;
use serde_json::{Map, Value};

use crate::base::{CaseId, LabId, time::Timestamp};

/// The principal of changes that DynamoDB makes itself, when items expire.
const DYNAMODB: (&str, &str) = ("Service", "dynamodb.amazonaws.com");

/// An item's attributes as JSON.
pub(crate) type Image = Map<String, Value>;

/// What a change did to an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Insert,
    Modify,
    Remove,
}

/// One change of one item.
pub(crate) struct Change {
    /// The id of the change, the same in each delivery.
    pub stream_id: String,
    /// Its place in the stream, for the report of failures.
    pub sequence_number: String,
    /// The name of the table.
    pub table: String,
    pub kind: Kind,
    /// Whether DynamoDB removed the item because it had expired. No caller of DynamoDB can make such a change.
    pub is_expiry: bool,
    /// When DynamoDB made the change, to the second.
    pub changed_at: Timestamp,
    /// The partition key.
    pub lab: String,
    pub sk: String,
    /// The item before the change; empty for a new item.
    pub before: Image,
    /// The item after the change; empty for a removed item.
    pub after: Image,
}

impl Change {
    /// Reads a record of a stream. It accepts every item, because a tampered item must not stop the stream.
    pub(crate) fn of_record(record: EventRecord) -> Self {
        let user = record.user_identity.as_ref();
        let is_by_dynamodb =
            user.is_some_and(|user| (user.type_.as_str(), user.principal_id.as_str()) == DYNAMODB);
        let kind = match record.event_name.as_str() {
            "INSERT" => Kind::Insert,
            "MODIFY" => Kind::Modify,
            _ => Kind::Remove,
        };
        let keys = image(record.change.keys);
        let text = |name: &str| keys.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let moment = record.change.approximate_creation_date_time.timestamp_millis();
        Self {
            stream_id: record.event_id,
            sequence_number: record.change.sequence_number.unwrap_or_default(),
            // arn:aws:dynamodb:region:account:table/NAME/stream/LABEL
            table: record
                .event_source_arn
                .and_then(|arn| arn.split('/').nth(1).map(str::to_owned))
                .unwrap_or_default(),
            kind,
            is_expiry: kind == Kind::Remove && is_by_dynamodb,
            changed_at: Timestamp::from_epoch_milliseconds(moment).unwrap_or_else(Timestamp::now),
            lab: text("lab_id"),
            sk: text("sk"),
            before: image(record.change.old_image),
            after: image(record.change.new_image),
        }
    }

    /// The lab, if the partition key is a lab's id.
    pub(crate) fn lab_id(&self) -> Option<LabId> {
        LabId::parse(&self.lab)
    }

    /// The case in a sort key that begins with `prefix`.
    pub(crate) fn case_id(&self, prefix: &str) -> Option<CaseId> {
        let digits = self.sk.strip_prefix(prefix)?.split('#').next()?;
        digits.parse().ok().and_then(CaseId::new)
    }

    /// The item: after the change, or before its removal.
    pub(crate) fn image(&self) -> &Image {
        if self.kind == Kind::Remove { &self.before } else { &self.after }
    }
}

/// The attributes as JSON; empty if an attribute has no form in JSON, which no item of this service has.
fn image(item: serde_dynamo::Item) -> Image {
    serde_dynamo::from_item(item).unwrap_or_default()
}
