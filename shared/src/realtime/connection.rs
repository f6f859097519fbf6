//! The connections of the WebSocket API, in a table of their own.

use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use super::ticket::Ticket;
use crate::{
    base::{CaseId, LabId, error::Error, time::Timestamp},
    case::workflow::Status,
    message::CaseChange,
    table::{self, Query, Table, Update, from_item, keys, number, to_attribute},
};

/// API Gateway ends a connection after this time.
const LONGEST_SECONDS: i64 = 2 * 60 * 60;

/// A connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Connection {
    /// The id that API Gateway gave it.
    pub connection_id: String,
    /// Whose it is.
    pub user_id: String,
    /// When it was opened, in seconds since the Unix epoch.
    pub connected_at: i64,
    /// When it ends. DynamoDB removes the item some time after that.
    pub expires_at: i64,
    /// Which cases its client wants to hear of; `None` before it has subscribed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub filter: Option<CaseFilter>,
}

/// A choice of cases: by status or by id. Without both, all cases.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CaseFilter {
    pub statuses: Vec<Status>,
    pub case_ids: Vec<CaseId>,
}

impl CaseFilter {
    /// Whether a change is of a chosen case. A case whose status has changed counts as one of both statuses.
    pub(super) fn passes(&self, change: &CaseChange) -> bool {
        let has_status =
            |status: &Option<Status>| status.is_some_and(|status| self.statuses.contains(&status));
        let chooses_all = self.statuses.is_empty() && self.case_ids.is_empty();
        chooses_all
            || self.case_ids.contains(&change.case_id)
            || has_status(&change.status_from)
            || has_status(&change.status_to)
    }
}

impl Connection {
    /// A connection that was opened at `now` with a ticket.
    pub(super) fn new(id: &str, ticket: &Ticket, now: Timestamp) -> Self {
        let connected_at = now.epoch_seconds();
        Self {
            connection_id: id.to_owned(),
            user_id: ticket.user_id.clone(),
            connected_at,
            expires_at: ticket.connected_until.min(connected_at + LONGEST_SECONDS),
            filter: None,
        }
    }

    /// Until when another ticket keeps it.
    pub(super) fn renewed_until(&self, ticket: &Ticket) -> i64 {
        ticket.connected_until.min(self.connected_at + LONGEST_SECONDS)
    }

    /// Whether it has not ended yet.
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        now.epoch_seconds() < self.expires_at
    }

    /// When it ends.
    pub(super) fn ends_at(&self) -> Timestamp {
        Timestamp::from_epoch_milliseconds(self.expires_at * 1000).unwrap_or_else(Timestamp::now)
    }
}

/// The connections of the deployment.
pub(super) struct Connections(pub Table);

impl Connections {
    /// Adds a new connection.
    pub(super) async fn add(&self, lab: LabId, connection: &Connection) -> Result<(), Error> {
        let mut item = table::to_item(connection)?;
        item.extend(table::key(lab, &keys::connection(&connection.connection_id)));
        self.0.add(item).await
    }

    /// Reads a connection of a lab, strongly consistent.
    pub(super) async fn get(&self, lab: LabId, id: &str) -> Result<Option<Connection>, Error> {
        self.0.get(lab, &keys::connection(id)).await?.map(from_item).transpose()
    }

    /// Returns the lab of a connection. One that was opened a moment ago may not be found.
    pub(super) async fn lab_of(&self, id: &str) -> Result<Option<LabId>, Error> {
        self.0.lab_of_connection(id).await
    }

    /// Reads the connections of a lab, strongly consistent: with all that were subscribed before. Items of a newer release that this one
    /// cannot read are left out.
    pub(super) async fn of_lab(&self, lab: LabId) -> Result<Vec<Connection>, Error> {
        let range = Query::of_table(keys::CONNECTION_PREFIX, keys::last_connection()).consistent();
        let items = self.0.query_all(lab, range).await?;
        Ok(items.into_iter().filter_map(|item| from_item(item).ok()).collect())
    }

    /// Sets what a connection's client wants to hear of. Returns whether the connection is still there.
    pub(super) async fn subscribe(&self, lab: LabId, id: &str, filter: &CaseFilter) -> Result<bool, Error> {
        self.set(lab, id, "filter", to_attribute(filter)?).await
    }

    /// Sets when a connection ends. Returns whether it is still there.
    pub(super) async fn renew(&self, lab: LabId, id: &str, expires_at: i64) -> Result<bool, Error> {
        self.set(lab, id, "expires_at", number(expires_at)).await
    }

    /// Removes a connection that may be gone already.
    pub(super) async fn remove(&self, lab: LabId, id: &str) -> Result<(), Error> {
        self.0.take(lab, &keys::connection(id)).await.map(drop)
    }

    async fn set(
        &self,
        lab: LabId,
        id: &str,
        name: &'static str,
        value: AttributeValue,
    ) -> Result<bool, Error> {
        let update = Update {
            expression: "SET #name = :value".to_owned(),
            // An update would otherwise make a connection that is gone.
            condition: Some("attribute_exists(sk)".to_owned()),
            names: vec![("#name".to_owned(), name.to_owned())],
            values: vec![(":value".to_owned(), value)],
        };
        self.0.update(lab, &keys::connection(id), update).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(id: u64, from: Option<Status>, to: Option<Status>) -> CaseChange {
        CaseChange {
            case_id: CaseId::new(id).unwrap(),
            case_number: format!("DL-2611-{id}"),
            version: 2,
            status_from: from,
            status_to: to,
        }
    }

    #[test]
    fn a_filter_passes_cases_by_status_before_or_after_or_by_id() {
        use Status::{OnHold, Pending, Shipped};
        let all = CaseFilter::default();
        let some = CaseFilter { statuses: vec![Pending], case_ids: vec![CaseId::new(7).unwrap()] };
        for (change, passes) in [
            (change(1, None, Some(Pending)), true),
            (change(1, Some(Pending), Some(OnHold)), true),
            (change(1, Some(OnHold), Some(Pending)), true),
            (change(1, Some(Pending), None), true),
            (change(1, Some(OnHold), Some(Shipped)), false),
            (change(7, Some(OnHold), Some(Shipped)), true),
        ] {
            assert!(all.passes(&change));
            assert_eq!(some.passes(&change), passes, "{change:?}");
        }
    }

    #[test]
    fn a_ticket_keeps_a_connection_for_two_hours_at_most() {
        let opened_at = Timestamp::parse("2026-11-28T20:00:00.000Z").unwrap();
        let ticket = |minutes: i64| {
            let until = opened_at.epoch_seconds() + 60 * minutes;
            serde_json::from_value(
                serde_json::json!({"user_id": "7", "connected_until": until, "expires_at": until}),
            )
            .unwrap()
        };
        let connection = Connection::new("abc=", &ticket(15), opened_at);
        assert_eq!(connection.ends_at().to_string(), "2026-11-28T20:15:00.000Z");
        assert!(connection.is_alive(Timestamp::parse("2026-11-28T20:14:59.999Z").unwrap()));
        assert!(!connection.is_alive(Timestamp::parse("2026-11-28T20:15:00.000Z").unwrap()));
        let minutes =
            |until: i64| (connection.renewed_until(&ticket(until)) - opened_at.epoch_seconds()) / 60;
        assert_eq!((minutes(25), minutes(119), minutes(121)), (25, 119, 120));
    }
}
