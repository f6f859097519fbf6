//! How changes are written: in one transaction the cases as they are now, an event for each, what it changes in the
//! statistics, and its place in the change log. All of it or nothing.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::types::{
    Delete, Put, TransactWriteItem, Update,
    builders::{DeleteBuilder, PutBuilder},
};
use jiff::{ToSpan, civil::Date, tz::TimeZone};

use super::{
    Case, CaseId, Cases,
    item::{self, Kept},
};
use crate::{
    error::{Code, Error},
    event::{self, Action, Event},
    idempotency::IdempotencyKey,
    keys,
    privacy::Private,
    retry::Retry,
    table::{Item, Refused, key, number, text, unbuilt},
    time::Timestamp,
    validate::Choice,
};

/// How long a day's counts are kept: the statistics look back 90 days.
pub(super) const DAYS_COUNTED: i64 = 90;

/// Where in the change log a transaction writes: behind the last change of a shard.
pub(super) struct Place {
    shard: u8,
    last_change: u64,
}

impl Place {
    /// A shard at random.
    pub(super) fn shard() -> u8 {
        fastrand::u8(0..keys::SHARDS)
    }

    /// Behind the last change of a shard, which has no item before its first change.
    pub(super) fn behind(shard: u8, item: Option<&Item>) -> Self {
        Self { shard, last_change: item.map_or(0, last_change) }
    }
}

/// The number of the last change in a shard's log.
pub(super) fn last_change(shard: &Item) -> u64 {
    shard.get("last_change").and_then(|number| number.as_n().ok()?.parse().ok()).unwrap_or(0)
}

/// A transaction that is being put together.
pub(super) struct Transaction<'a> {
    cases: &'a Cases<'a>,
    place: Place,
    actions: Vec<TransactWriteItem>,
    logged: u64,
    statuses: HashMap<&'static str, i64>,
    days: BTreeMap<Date, Created>,
}

/// What is counted of the cases created on a day.
#[derive(Default)]
struct Created {
    cases: i64,
    remakes: i64,
}

impl<'a> Transaction<'a> {
    pub(super) fn new(cases: &'a Cases<'a>, place: Place) -> Self {
        Self { cases, place, actions: Vec::new(), logged: 0, statuses: HashMap::new(), days: BTreeMap::new() }
    }

    /// Adds a change of a case, or its creation. Nothing of the transaction is written if the case has another version
    /// than `before` by then.
    pub(super) fn change(
        &mut self,
        action: Action,
        before: Option<&Kept>,
        after: &Case,
        reason: Option<&Private<String>>,
    ) -> Result<(), Error> {
        if after.version > keys::MAX_VERSION {
            return Err(Error::new(Code::Conflict, "The case was changed as often as a case can be."));
        }
        let event = Event {
            case_id: after.id,
            version: after.version,
            action,
            at: after.updated_at,
            user_id: self.cases.lab.user_id().to_string(),
            request_id: self.cases.lab.request_id().to_owned(),
            reason: reason.cloned(),
            changes: event::changes(before.map(|kept| &kept.case), Some(after))?,
            previous_hash: before.and_then(|kept| kept.last_event_hash.clone()),
            hash: String::new(),
        }
        .sealed()?;
        self.move_item(before.map(|kept| &kept.case), after, &event.hash)?;
        self.put_new(keys::event(event.case_id, event.version), item::to_item(&event)?)?;
        self.log(after)?;
        self.count(before.map(|kept| &kept.case).filter(|case| case.is_live()), -1);
        self.count(Some(after).filter(|case| case.is_live()), 1);
        Ok(())
    }

    /// Keeps what is answered to a request that changes nothing, or, without an answer, that a request of several parts
    /// was begun: false when something is kept already.
    pub(super) async fn claim(
        cases: &'a Cases<'a>,
        once: &IdempotencyKey,
        answer: Option<&Case>,
        retry: &mut Retry,
    ) -> Result<bool, Error> {
        let mut transaction = Self::new(cases, Place { shard: 0, last_change: 0 });
        transaction.keep(once, answer, Timestamp::now())?;
        transaction.write(retry).await
    }

    /// Puts on record that the request did this to the cases, and showed them.
    pub(super) fn record(&mut self, ids: Vec<CaseId>) -> Result<(), Error> {
        let item = self.cases.lab.recorder().granted_item(ids)?;
        self.put(self.item(item))
    }

    /// Keeps what is answered to a request with an idempotency key.
    pub(super) fn answer(
        &mut self,
        once: &IdempotencyKey,
        answer: &Case,
        now: Timestamp,
    ) -> Result<(), Error> {
        self.keep(once, Some(answer), now)
    }

    fn keep(&mut self, once: &IdempotencyKey, answer: Option<&Case>, now: Timestamp) -> Result<(), Error> {
        let mut item = item::to_item(&once.record(answer, now))?;
        item.extend(key(self.cases.lab.lab_id(), &self.cases.answer_key(once)));
        self.put(
            self.item(item)
                .condition_expression("attribute_not_exists(sk) OR expires_at <= :now")
                .expression_attribute_values(":now", number(now.epoch_seconds())),
        )
    }

    /// Writes everything, or nothing: false when another writer was faster.
    pub(super) async fn commit(mut self, retry: &mut Retry) -> Result<bool, Error> {
        self.put_shard()?;
        self.put_days()?;
        self.write(retry).await
    }

    async fn write(self, retry: &mut Retry) -> Result<bool, Error> {
        match self.cases.table().transact(self.actions, retry).await {
            Ok(()) => Ok(true),
            Err(Refused::Condition) => Ok(false),
            Err(Refused::Failed(error)) => Err(error),
        }
    }

    /// Live and deleted cases are kept under different keys.
    fn move_item(&mut self, before: Option<&Case>, after: &Case, hash: &str) -> Result<(), Error> {
        let sk = |case: &Case| if case.is_live() { keys::case(case.id) } else { keys::deleted(case.id) };
        let item = match after.deleted_at {
            None => item::live(after, hash)?,
            Some(at) => {
                let end = at.epoch_seconds_after_days(self.cases.services.retention_days);
                item::deleted(after, hash, end)?
            }
        };
        match before {
            Some(before) if before.is_live() == after.is_live() => {
                self.put(
                    self.item(item)
                        .condition_expression("version = :version")
                        .expression_attribute_values(":version", number(before.version)),
                )?;
            }
            Some(before) => {
                let taken = self
                    .removal(&sk(before))
                    .condition_expression("version = :version")
                    .expression_attribute_values(":version", number(before.version))
                    .build()
                    .map_err(unbuilt)?;
                self.actions.push(TransactWriteItem::builder().delete(taken).build());
                self.put_new(sk(after), item)?;
            }
            None => self.put_new(sk(after), item)?,
        }
        Ok(())
    }

    fn log(&mut self, case: &Case) -> Result<(), Error> {
        self.logged += 1;
        let sk = keys::change(self.place.shard, self.place.last_change + self.logged);
        let change = Item::from([
            ("case_id".to_owned(), number(case.id)),
            ("version".to_owned(), number(case.version)),
            ("at".to_owned(), text(case.updated_at.to_string())),
        ]);
        self.put_new(sk, change)
    }

    fn count(&mut self, case: Option<&Case>, amount: i64) {
        let Some(case) = case else { return };
        *self.statuses.entry(case.status.as_str()).or_default() += amount;
        let day = self.days.entry(case.created_at.date()).or_default();
        day.cases += amount;
        day.remakes += if case.remake_of.is_some() { amount } else { 0 };
    }

    /// The next change of the shard must follow the last one that was seen: its log has no gaps.
    fn put_shard(&mut self) -> Result<(), Error> {
        let last = self.place.last_change;
        let mut update = Update::builder()
            .table_name(self.cases.table().name())
            .set_key(Some(key(self.cases.lab.lab_id(), &keys::shard(self.place.shard))))
            .expression_attribute_values(":next", number(last + self.logged));
        update = if last == 0 {
            update.condition_expression("attribute_not_exists(last_change)")
        } else {
            update
                .condition_expression("last_change = :last")
                .expression_attribute_values(":last", number(last))
        };
        let mut sums = Vec::new();
        for (place, (status, amount)) in self.statuses.drain().filter(|(_, amount)| *amount != 0).enumerate()
        {
            sums.push(format!("#status{place} :amount{place}"));
            update = update
                .expression_attribute_names(format!("#status{place}"), status)
                .expression_attribute_values(format!(":amount{place}"), number(amount));
        }
        let sums = if sums.is_empty() { String::new() } else { format!(" ADD {}", sums.join(", ")) };
        let update = update.update_expression(format!("SET last_change = :next{sums}"));
        self.actions.push(TransactWriteItem::builder().update(update.build().map_err(unbuilt)?).build());
        Ok(())
    }

    fn put_days(&mut self) -> Result<(), Error> {
        let today = Timestamp::now().date();
        for (date, created) in std::mem::take(&mut self.days) {
            let end = date.saturating_add((DAYS_COUNTED + 2).days());
            if (created.cases, created.remakes) == (0, 0) || end < today {
                continue;
            }
            let end = TimeZone::UTC.to_timestamp(end.into()).map_or(i64::MAX, |end| end.as_second());
            let update = Update::builder()
                .table_name(self.cases.table().name())
                .set_key(Some(key(self.cases.lab.lab_id(), &keys::day(date, self.place.shard))))
                .update_expression("SET expires_at = :end ADD cases :cases, remakes :remakes")
                .expression_attribute_values(":end", number(end))
                .expression_attribute_values(":cases", number(created.cases))
                .expression_attribute_values(":remakes", number(created.remakes))
                .build()
                .map_err(unbuilt)?;
            self.actions.push(TransactWriteItem::builder().update(update).build());
        }
        Ok(())
    }

    /// Puts an item that must not be there yet.
    fn put_new(&mut self, sk: String, mut item: Item) -> Result<(), Error> {
        item.extend(key(self.cases.lab.lab_id(), &sk));
        self.put(self.item(item).condition_expression("attribute_not_exists(sk)"))
    }

    fn put(&mut self, put: PutBuilder) -> Result<(), Error> {
        let put = put.build().map_err(unbuilt)?;
        self.actions.push(TransactWriteItem::builder().put(put).build());
        Ok(())
    }

    fn item(&self, item: Item) -> PutBuilder {
        Put::builder().table_name(self.cases.table().name()).set_item(Some(item))
    }

    fn removal(&self, sk: &str) -> DeleteBuilder {
        let key = key(self.cases.lab.lab_id(), sk);
        Delete::builder().table_name(self.cases.table().name()).set_key(Some(key))
    }
}
