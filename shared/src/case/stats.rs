//! Statistics: how many cases have which status, from counters that are exact and from the index of open cases. No case
//! is read.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

use super::{Cases, change_set::DAYS_COUNTED, item::from_item, workflow::Status};
use crate::{
    base::{error::Error, time::Timestamp, wire_enum::WireEnum},
    lab::LabScope,
    table::{Consistency, Index, Item, Order, Query, keys, text},
};

/// The numbers of a lab's live cases on a day.
#[derive(Serialize)]
pub struct CaseStats {
    /// The day, in UTC.
    date: Date,
    /// All of them.
    total: u64,
    /// How many have each status.
    by_status: BTreeMap<&'static str, u64>,
    /// Those that are not shipped, delivered or cancelled.
    open: u64,
    /// Open and due before today.
    overdue: u64,
    /// Open and due today.
    due_today: u64,
    /// Open and due from today to seven days from now.
    due_in_7_days: u64,
    /// Open and in a rush.
    rush: u64,
    /// Open, by who works on them.
    by_assignee: Vec<Assigned>,
    /// How much of the work is made again.
    remakes: Remakes,
}

/// The open cases of one assignee; `None` for cases without an assignee.
#[derive(Serialize)]
struct Assigned {
    assigned_to: Option<String>,
    open: u64,
}

/// The remakes among the live cases that were created in the last days.
#[derive(Serialize)]
struct Remakes {
    days: i64,
    cases: u64,
    remakes: u64,
    /// From 0 to 1; 0 without cases.
    rate: f64,
}

/// What the index by status has of a case.
#[derive(Deserialize)]
struct OpenCase {
    due_key: String,
    assigned_to: Option<String>,
    rush_order: bool,
}

/// What is counted of one day in one shard.
#[derive(Deserialize)]
struct Day {
    cases: i64,
    remakes: i64,
}

impl Cases<'_> {
    /// The lab's statistics of today.
    ///
    /// # Errors
    /// Unavailable when the database does not answer.
    pub async fn stats(&self) -> Result<CaseStats, Error> {
        let today = Timestamp::now().date();
        let open = Status::ALL.iter().filter(|status| status.is_open());
        let (counts, open, remakes) = tokio::try_join!(
            by_status(self.lab),
            try_join_all(open.map(|status| self.open_cases(*status))),
            self.remakes(today),
        )?;
        let in_7_days = today.saturating_add(7.days());
        let mut stats = CaseStats {
            date: today,
            total: counts.iter().map(|(_, count)| count).sum(),
            by_status: counts.iter().map(|(status, count)| (status.as_str(), *count)).collect(),
            open: 0,
            overdue: 0,
            due_today: 0,
            due_in_7_days: 0,
            rush: 0,
            by_assignee: Vec::new(),
            remakes,
        };
        let mut by_assignee = BTreeMap::<Option<String>, u64>::new();
        for case in open.into_iter().flatten() {
            let due: Option<Date> = case.due_key.get(..10).and_then(|date| date.parse().ok());
            stats.open += 1;
            stats.overdue += u64::from(due.is_some_and(|due| due < today));
            stats.due_today += u64::from(due == Some(today));
            stats.due_in_7_days += u64::from(due.is_some_and(|due| (today..=in_7_days).contains(&due)));
            stats.rush += u64::from(case.rush_order);
            *by_assignee.entry(case.assigned_to).or_default() += 1;
        }
        stats.by_assignee =
            by_assignee.into_iter().map(|(assigned_to, open)| Assigned { assigned_to, open }).collect();
        Ok(stats)
    }

    async fn open_cases(&self, status: Status) -> Result<Vec<OpenCase>, Error> {
        let query = Query {
            index: Index::ByStatus(status.as_str()),
            from: text(keys::BEFORE_ALL),
            to: text(keys::PAST_ALL),
            order: Order::Ascending,
            filter: None,
            limit: None,
            consistency: Consistency::Eventual,
            only: &["due_key", "assigned_to", "rush_order"],
            start: None,
        };
        let items = self.table().query_all(self.lab.lab_id(), query).await?;
        items.into_iter().map(from_item).collect()
    }

    async fn remakes(&self, today: Date) -> Result<Remakes, Error> {
        let first = today.saturating_sub((DAYS_COUNTED - 1).days());
        let range = Query::of_table(keys::day_prefix(first), keys::day_prefix(today) + keys::PAST_ALL);
        let days = self.table().query_all(self.lab.lab_id(), range.consistent()).await?;
        let days: Vec<Day> = days.into_iter().map(from_item).collect::<Result<_, _>>()?;
        let cases = sum(days.iter().map(|day| day.cases));
        let remakes = sum(days.iter().map(|day| day.remakes));
        let rate = if cases == 0 { 0.0 } else { remakes as f64 / cases as f64 };
        Ok(Remakes { days: DAYS_COUNTED, cases, remakes, rate })
    }
}

/// How many live cases of a lab have each status.
pub(super) async fn by_status(lab: &LabScope) -> Result<Vec<(Status, u64)>, Error> {
    let range = Query::of_table(keys::SHARD_PREFIX, format!("{}{}", keys::SHARD_PREFIX, keys::PAST_ALL));
    let shards = lab.table().query_all(lab.lab_id(), range.consistent()).await?;
    let count = |shard: &Item, status: Status| -> Option<i64> {
        shard.get(status.as_str())?.as_n().ok()?.parse().ok()
    };
    let total = |status| sum(shards.iter().filter_map(|shard| count(shard, status)));
    Ok(Status::ALL.iter().map(|status| (*status, total(*status))).collect())
}

/// A case may be counted out in another shard than it was counted in, so only the sum cannot be negative.
fn sum(counts: impl Iterator<Item = i64>) -> u64 {
    u64::try_from(counts.sum::<i64>()).unwrap_or(0)
}
