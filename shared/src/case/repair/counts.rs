//! Compares the statistics with the cases.
//!
//! Requests change cases while they are read. So the counts are read first, each shard together with the number of its last
//! change. An event with a later number is not in these counts, and its effect is subtracted from what the cases say.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{ToSpan, civil::Date};

use super::{
    super::{
        change_set::{Created, DAYS_COUNTED, WAITING, created_on, day_updates, last_change, remade_on},
        workflow::Status,
    },
    FaultKind, Repair, RepairReport,
    cases::{Counted, Seen},
    log::LastChanges,
};
use crate::{
    base::{LabId, error::Error, time::Timestamp, wire_enum::WireEnum},
    table::{Attempt, Item, Query, Transaction, Update, keys, number, text},
};

/// How often the counts are read until no request has changed a shard meanwhile.
const ATTEMPTS: usize = 200;
/// The attribute of a shard with the time of its last correction. It keeps two repairs from making the same correction.
const REPAIRED_AT: &str = "repaired_at";

/// What the statistics say, and the last change of each shard that is in them.
#[derive(Default)]
pub(super) struct Counts {
    pub last: LastChanges,
    totals: Totals,
    /// When the shard that corrections go to was corrected last.
    repaired_at: Option<String>,
}

/// The shard that corrections go to.
const CORRECTED: u8 = 0;

/// Live cases by status, those that wait for an answer, and by day of creation: cases and remakes.
#[derive(Clone, Default)]
struct Totals {
    /// By the attributes of the shards: the statuses, and that of the cases that wait for an answer.
    shards: BTreeMap<&'static str, i64>,
    days: BTreeMap<Date, Created>,
}

impl Totals {
    fn count(&mut self, case: Counted, by: i64) {
        *self.shards.entry(case.status.as_str()).or_default() += by;
        if case.is_waiting {
            *self.shards.entry(WAITING).or_default() += by;
        }
        let day = self.days.entry(case.created).or_default();
        day.cases += by;
        day.remakes += if case.is_remake { by } else { 0 };
    }
}

impl Repair {
    /// Reads the counts of all shards, each at a moment without a change.
    pub(super) async fn counted(&self, lab: LabId) -> Result<Counts, Error> {
        let mut left: BTreeSet<u8> = (0..keys::SHARDS).collect();
        let mut counts = Counts::default();
        for _ in 0..ATTEMPTS {
            let before = self.shards(lab).await?;
            let days =
                Query::of_table("DAY", format!("{}{}", keys::MONTH_PREFIX, keys::PAST_ALL)).consistent();
            let days = self.table.query_all(lab, days).await?;
            let after = self.shards(lab).await?;
            let still: Vec<u8> =
                left.iter().copied().filter(|shard| before.get(shard) == after.get(shard)).collect();
            for shard in still {
                left.remove(&shard);
                counts.add(shard, after.get(&shard), &days);
            }
            if left.is_empty() {
                return Ok(counts);
            }
        }
        Err(Error::unavailable("The database", "the statistics changed during every attempt"))
    }

    /// The items of the shards.
    pub(super) async fn shards(&self, lab: LabId) -> Result<BTreeMap<u8, Item>, Error> {
        let range = Query::of_table(keys::SHARD_PREFIX, format!("{}{}", keys::SHARD_PREFIX, keys::PAST_ALL));
        let items = self.table.query_all(lab, range.consistent()).await?;
        let shard = |item: Item| Some((shard_of(&item)?, item));
        Ok(items.into_iter().filter_map(shard).collect())
    }

    /// Corrects the counts by what they differ. `last` are the last changes of the shards that the log proves.
    pub(super) async fn check_counts(
        &self,
        lab: LabId,
        seen: &Seen,
        before: &Counts,
        last: &LastChanges,
        report: &mut RepairReport,
    ) -> Result<(), Error> {
        if seen.cases.values().any(|case| case.is_unreadable) {
            report.add(
                FaultKind::StatusCount,
                keys::SHARD_PREFIX,
                "not compared, because a case cannot be read",
                false,
            );
            return Ok(());
        }
        let mut expected = Totals::default();
        for case in seen.cases.values() {
            case.counted.into_iter().for_each(|counted| expected.count(counted, 1));
            let later = case.deltas.iter().filter(|((shard, number), _)| *number > last[usize::from(*shard)]);
            for (counted, by) in later.flat_map(|(_, amounts)| amounts) {
                expected.count(*counted, -by);
            }
        }
        let mut shard = Update {
            expression: format!("SET {REPAIRED_AT} = :now"),
            condition: Some(format!("attribute_not_exists({REPAIRED_AT})")),
            values: vec![(":now".to_owned(), text(Timestamp::now().to_string()))],
            ..Update::default()
        };
        if let Some(seen) = &before.repaired_at {
            shard.condition = Some(format!("{REPAIRED_AT} = :seen"));
            shard.values.push((":seen".to_owned(), text(seen)));
        }
        let mut sums = Vec::new();
        for name in counted_names() {
            let of = |totals: &Totals| totals.shards.get(name).copied().unwrap_or(0);
            let (is, should) = (of(&before.totals), of(&expected));
            if is != should {
                let detail = format!("{name} is {is} instead of {should}");
                let kind = if name == WAITING { FaultKind::WaitingCount } else { FaultKind::StatusCount };
                report.add(kind, keys::SHARD_PREFIX, detail, true);
                let index = sums.len();
                sums.push(format!("#count{index} :amount{index}"));
                shard.names.push((format!("#count{index}"), name.to_owned()));
                shard.values.push((format!(":amount{index}"), number(should - is)));
            }
        }
        if !sums.is_empty() {
            shard.expression += &format!(" ADD {}", sums.join(", "));
        }
        let today = Timestamp::now().date();
        let first = today.saturating_sub((DAYS_COUNTED - 1).days());
        let mut days = BTreeMap::new();
        for day in first.series(1.day()).take_while(|day| *day <= today) {
            let of = |totals: &Totals| totals.days.get(&day).copied().unwrap_or_default();
            let (is, should) = (of(&before.totals), of(&expected));
            if is != should {
                let detail = format!(
                    "{day} has {} cases and {} remakes instead of {} and {}",
                    is.cases, is.remakes, should.cases, should.remakes
                );
                report.add(FaultKind::DayCount, keys::MONTH_PREFIX, detail, true);
                let (cases, remakes) = (should.cases - is.cases, should.remakes - is.remakes);
                days.insert(day, Created { cases, remakes });
            }
        }
        let months = day_updates(days);
        if (sums.is_empty() && months.is_empty()) || !self.writes() {
            return Ok(());
        }
        let attempt = || async {
            let mut transaction = Transaction::new(&self.table, lab);
            transaction.update(&keys::shard(CORRECTED), shard.clone())?;
            for (last_day, update) in &months {
                transaction.update(&keys::month(*last_day, CORRECTED), update.clone())?;
            }
            Ok(Attempt::Commit(transaction, ()))
        };
        self.table.write(Self::retry(), attempt).await
    }
}

impl Counts {
    /// Adds the counts of a shard.
    fn add(&mut self, shard: u8, item: Option<&Item>, days: &[Item]) {
        self.last[usize::from(shard)] = item.map_or(0, last_change);
        let count = |item: &Item, name: &str| -> i64 {
            item.get(name).and_then(|count| count.as_n().ok()?.parse().ok()).unwrap_or(0)
        };
        if let Some(item) = item {
            for name in counted_names() {
                *self.totals.shards.entry(name).or_default() += count(item, name);
            }
            if shard == CORRECTED {
                self.repaired_at = item.get(REPAIRED_AT).and_then(|at| at.as_s().ok()).cloned();
            }
        }
        for item in days.iter().filter(|item| shard_of(item) == Some(shard)) {
            let sk = item.get("sk").and_then(|sk| sk.as_s().ok()).map_or("", String::as_str);
            let mut add = |date: Date, cases: i64, remakes: i64| {
                let day = self.totals.days.entry(date).or_default();
                day.cases += cases;
                day.remakes += remakes;
            };
            if let Some(month) = sk.strip_prefix(keys::MONTH_PREFIX).and_then(|rest| rest.get(..7)) {
                let Ok(start) = format!("{month}-01").parse::<Date>() else { continue };
                for date in start.series(1.day()).take_while(|date| *date <= start.last_of_month()) {
                    add(date, count(item, &created_on(date)), count(item, &remade_on(date)));
                }
            } else if let Some(Ok(date)) =
                sk.strip_prefix("DAY#").and_then(|rest| Some(rest.get(..10)?.parse()))
            {
                // An item of an earlier release.
                add(date, count(item, "cases"), count(item, "remakes"));
            }
        }
    }
}

/// The attributes of a shard that count live cases.
fn counted_names() -> impl Iterator<Item = &'static str> {
    Status::ALL.iter().map(|status| status.as_str()).chain([WAITING])
}

/// The shard at the end of the sort key of an item.
fn shard_of(item: &Item) -> Option<u8> {
    let shard = item.get("sk")?.as_s().ok()?.rsplit('#').next()?.parse().ok()?;
    (shard < keys::SHARDS).then_some(shard)
}
