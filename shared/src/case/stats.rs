//! Statistics of a lab's cases, from exact counters and from the index of open cases. They read no case.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};
use serde::{Deserialize, Serialize};

use super::{
    Cases,
    change_set::{DAYS_COUNTED, WAITING, created_on, remade_on},
    due_info::{DueInfo, DueList, NOBODY},
    item::from_item,
    workflow::Status,
};
use crate::{
    base::{error::Error, time::Timestamp, wire_enum::WireEnum},
    lab::LabScope,
    table::{Consistency, Index, Item, Order, Query, keys, text},
};

/// The statistics of a lab's live cases on a day.
#[derive(Serialize)]
pub struct CaseStats {
    /// The day, in UTC.
    date: Date,
    /// All live cases.
    total: u64,
    /// Those that wait for an answer to a comment.
    waiting_for_answer: u64,
    /// The number of cases in each status.
    by_status: BTreeMap<&'static str, u64>,
    /// Cases that are not shipped, delivered or cancelled.
    open: u64,
    /// Open cases that were due before today.
    overdue: u64,
    /// Open cases that are due today.
    due_today: u64,
    /// Open cases that are due within seven days, including today.
    due_in_7_days: u64,
    /// Open rush orders.
    rush: u64,
    /// Open cases by assignee.
    by_assignee: Vec<Assigned>,
    /// The remakes of the last days.
    remakes: Remakes,
}

/// The open cases of one assignee; `None` for cases without an assignee.
#[derive(Serialize)]
struct Assigned {
    assigned_to: Option<String>,
    open: u64,
}

/// Remakes among the live cases that were created in the last `days` days.
#[derive(Serialize)]
struct Remakes {
    days: i64,
    cases: u64,
    remakes: u64,
    /// `remakes` divided by `cases`, from 0 to 1; 0 without cases.
    rate: f64,
}

/// The attributes of a case in the index by due date.
#[derive(Deserialize)]
struct OpenCase {
    due_key: String,
    info: String,
}

impl Cases<'_> {
    /// Computes the lab's statistics of today.
    ///
    /// # Errors
    /// Unavailable, when the database does not answer.
    pub async fn stats(&self) -> Result<CaseStats, Error> {
        let today = Timestamp::now().date();
        let (counts, open, remakes) =
            tokio::try_join!(counts(self.lab, Consistency::Strong), self.open_cases(), self.remakes(today),)?;
        let in_7_days = today.saturating_add(7.days());
        let mut stats = CaseStats {
            date: today,
            total: counts.by_status.iter().map(|(_, count)| count).sum(),
            waiting_for_answer: counts.waiting_for_answer,
            by_status: counts.by_status.iter().map(|(status, count)| (status.as_str(), *count)).collect(),
            open: 0,
            overdue: 0,
            due_today: 0,
            due_in_7_days: 0,
            rush: 0,
            by_assignee: Vec::new(),
            remakes,
        };
        let mut by_assignee = BTreeMap::<Option<&str>, u64>::new();
        for case in &open {
            let info = DueInfo::parse(&case.info);
            let info =
                info.ok_or_else(|| Error::internal("an entry of the index by due date is malformed"))?;
            let due: Option<Date> = case.due_key.get(..10).and_then(|date| date.parse().ok());
            stats.open += 1;
            stats.overdue += u64::from(due.is_some_and(|due| due < today));
            stats.due_today += u64::from(due == Some(today));
            stats.due_in_7_days += u64::from(due.is_some_and(|due| (today..=in_7_days).contains(&due)));
            stats.rush += u64::from(info.rush_order);
            let assignee = Some(info.assigned_to).filter(|assignee| *assignee != NOBODY);
            *by_assignee.entry(assignee).or_default() += 1;
        }
        let by_assignee = by_assignee.into_iter();
        stats.by_assignee = by_assignee
            .map(|(assigned_to, open)| Assigned { assigned_to: assigned_to.map(str::to_owned), open })
            .collect();
        Ok(stats)
    }

    async fn open_cases(&self) -> Result<Vec<OpenCase>, Error> {
        let query = Query {
            index: Index::ByDue(DueList::Open.as_str()),
            from: text(keys::BEFORE_ALL),
            to: text(keys::PAST_ALL),
            order: Order::Ascending,
            filter: None,
            limit: None,
            consistency: Consistency::Eventual,
            attributes: &["due_key", "info"],
            start: None,
        };
        let items = self.table().query_all(self.lab.lab_id(), query).await?;
        items.into_iter().map(from_item).collect()
    }

    async fn remakes(&self, today: Date) -> Result<Remakes, Error> {
        let first = today.saturating_sub((DAYS_COUNTED - 1).days());
        // The days of earlier releases come before the months, so one query reads both.
        let range = Query::of_table(keys::day_prefix(first), keys::month_prefix(today) + keys::PAST_ALL);
        let items = self.table().query_all(self.lab.lab_id(), range).await?;
        let (cases, remakes) = created_between(&items, first, today);
        let rate = if cases == 0 { 0.0 } else { remakes as f64 / cases as f64 };
        Ok(Remakes { days: DAYS_COUNTED, cases, remakes, rate })
    }
}

/// Adds the counts of cases created from one day to another, and of the remakes among them.
fn created_between(items: &[Item], first: Date, last: Date) -> (u64, u64) {
    let mut counts = Vec::new();
    for item in items {
        let count =
            |name: &str| item.get(name).and_then(|count| count.as_n().ok()?.parse().ok()).unwrap_or(0i64);
        let sk = item.get("sk").and_then(|sk| sk.as_s().ok());
        let month = sk.and_then(|sk| sk.strip_prefix(keys::MONTH_PREFIX)?.get(..7));
        match month.and_then(|month| format!("{month}-01").parse::<Date>().ok()) {
            Some(start) => counts.extend(
                start
                    .series(1.day())
                    .take_while(|date| *date <= start.last_of_month())
                    .filter(|date| (first..=last).contains(date))
                    .map(|date| (count(&created_on(date)), count(&remade_on(date)))),
            ),
            // A day's item of an earlier release. The query has no older ones.
            None => counts.push((count("cases"), count("remakes"))),
        }
    }
    (sum(counts.iter().map(|(cases, _)| *cases)), sum(counts.iter().map(|(_, remakes)| *remakes)))
}

/// The numbers of live cases that the shards count.
pub(super) struct Counts {
    /// In each status.
    pub by_status: Vec<(Status, u64)>,
    /// Those that wait for an answer.
    pub waiting_for_answer: u64,
}

/// Reads the counts of the shards.
pub(super) async fn counts(lab: &LabScope, consistency: Consistency) -> Result<Counts, Error> {
    let range = Query::of_table(keys::SHARD_PREFIX, format!("{}{}", keys::SHARD_PREFIX, keys::PAST_ALL));
    let shards = lab.table().query_all(lab.lab_id(), Query { consistency, ..range }).await?;
    let count = |shard: &Item, name: &str| -> Option<i64> { shard.get(name)?.as_n().ok()?.parse().ok() };
    let total = |name: &str| sum(shards.iter().filter_map(|shard| count(shard, name)));
    let by_status = Status::ALL.iter().map(|status| (*status, total(status.as_str()))).collect();
    Ok(Counts { by_status, waiting_for_answer: total(WAITING) })
}

/// Adds the counts of all shards. One shard may count a case's start and another its end, so a single count may be
/// negative, but the sum is not.
fn sum(counts: impl Iterator<Item = i64>) -> u64 {
    u64::try_from(counts.sum::<i64>()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::number;

    fn item(sk: &str, counts: &[(&str, i64)]) -> Item {
        let counts = counts.iter().map(|(name, count)| ((*name).to_owned(), number(*count)));
        counts.chain([("sk".to_owned(), text(sk))]).collect()
    }

    #[test]
    fn created_cases_are_counted_by_day_also_those_of_earlier_releases() {
        let items = [
            item("DAY#2026-09-30#07", &[("cases", 5), ("remakes", 1)]),
            item("DAYS#2026-09#00", &[("c01", 100), ("c27", 1), ("c30", 2), ("r30", 1)]),
            item("DAYS#2026-11#00", &[("c25", 4), ("c26", 100), ("r25", 2)]),
            item("DAYS#2026-11#15", &[("c25", -1)]),
        ];
        let date = |text: &str| text.parse().unwrap();
        assert_eq!(created_between(&items, date("2026-09-27"), date("2026-11-25")), (11, 4));
        assert_eq!(created_between(&items[2..], date("2026-11-25"), date("2026-11-25")), (3, 2));
        assert_eq!(created_between(&[], date("2026-11-25"), date("2026-11-25")), (0, 0));
    }
}
