//! Writes changes of cases in one transaction: the changed cases, an event for each change, the statistics, and the entries
//! in the change log.

use std::collections::{BTreeMap, HashMap};

use jiff::{ToSpan, civil::Date, tz::TimeZone};

use super::{
    Case, Cases,
    event::{self, Action, Change, Event},
    item::{self, StoredCase},
    stored_response::StoredResponse,
};
use crate::{
    audit::AuditRecorder,
    base::{
        CaseId, LabId,
        error::{Error, ErrorCode},
        private::Private,
        seal::SealKeys,
        time::Timestamp,
        wire_enum::WireEnum,
    },
    http::IdempotencyKey,
    table::{Attempt, Item, Table, Transaction, Update, keys, number, text},
};

/// The number of days in the statistics of remakes. A day's counts are kept a little longer.
pub(super) const DAYS_COUNTED: i64 = 90;

/// The attribute of a shard that counts the live cases that wait for an answer, beside those of the statuses.
pub(super) const WAITING: &str = "waiting_for_answer";

/// A position in the change log: after the last change of a shard.
pub(super) struct LogPosition {
    shard: u8,
    last_change: u64,
}

impl LogPosition {
    /// The position after the last change of a shard. A shard has no item before its first change.
    pub(super) fn after(shard: u8, item: Option<&Item>) -> Self {
        Self { shard, last_change: item.map_or(0, last_change) }
    }
}

/// The number of the last change in a shard's log.
pub(super) fn last_change(shard: &Item) -> u64 {
    shard.get("last_change").and_then(|number| number.as_n().ok()?.parse().ok()).unwrap_or(0)
}

/// Who makes changes, and where they are written.
#[derive(Clone, Copy)]
pub(super) struct Author<'a> {
    pub table: &'a Table,
    pub lab: LabId,
    pub user_id: &'a str,
    pub request_id: &'a str,
    pub seals: &'a SealKeys,
    /// How long a deleted case is kept.
    pub retention_days: u32,
}

/// Changes that are written together.
pub(super) struct ChangeSet<'a> {
    author: Author<'a>,
    position: LogPosition,
    transaction: Transaction,
    entries: u64,
    /// By how much the attributes of the shard change.
    counts: HashMap<&'static str, i64>,
    days: BTreeMap<Date, Created>,
}

/// Counts of the cases created on a day.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Created {
    pub cases: i64,
    pub remakes: i64,
}

impl<'a> ChangeSet<'a> {
    pub(super) fn by(author: Author<'a>, position: LogPosition) -> Self {
        let transaction = Transaction::new(author.table, author.lab);
        Self { author, position, transaction, entries: 0, counts: HashMap::new(), days: BTreeMap::new() }
    }

    /// Adds a change of a case, or its creation. The transaction fails if another request has changed the case since
    /// `before` was read.
    pub(super) fn add(
        &mut self,
        action: Action,
        before: Option<&StoredCase>,
        after: &Case,
        reason: Option<&Private<String>>,
    ) -> Result<(), Error> {
        self.add_at(after.updated_at, action, before, after, reason)
    }

    /// Adds a change that is made at another time than that of the last change that the case itself names: an import.
    pub(super) fn add_at(
        &mut self,
        at: Timestamp,
        action: Action,
        before: Option<&StoredCase>,
        after: &Case,
        reason: Option<&Private<String>>,
    ) -> Result<(), Error> {
        let changes = event::changes(before.map(|stored| &stored.case), Some(after))?;
        self.add_event(at, action, before, after, reason.cloned(), changes)
    }

    /// Adds a change of a case by a change of one of its comments or files.
    pub(super) fn add_of_part(
        &mut self,
        action: Action,
        before: &StoredCase,
        after: &Case,
        part: Change,
    ) -> Result<(), Error> {
        let mut changes = vec![part];
        changes.extend(event::changes(Some(&before.case), Some(after))?);
        self.add_event(after.updated_at, action, Some(before), after, None, changes)
    }

    fn add_event(
        &mut self,
        at: Timestamp,
        action: Action,
        before: Option<&StoredCase>,
        after: &Case,
        reason: Option<Private<String>>,
        changes: Vec<Change>,
    ) -> Result<(), Error> {
        if after.version > keys::MAX_VERSION {
            return Err(Error::new(
                ErrorCode::Conflict,
                "The case cannot be changed any more: it has reached its last version.",
            ));
        }
        let mut item = self.item_of(after)?;
        let log_entry = self.log(after, at)?;
        let event = Event {
            case_id: after.id,
            version: after.version,
            action: action.into(),
            at,
            user_id: self.author.user_id.to_owned(),
            request_id: self.author.request_id.to_owned(),
            reason,
            changes,
            previous_hash: before.and_then(|stored| stored.last_event_hash.clone()),
            state_hash: Some(item::state_hash(&item)),
            log_entry: Some(log_entry),
            hash: String::new(),
            key_id: None,
            mac: None,
        }
        .sealed(self.author.seals, after.lab_id)?;
        item::set_last_event(&mut item, &event.hash);
        self.write_case(before.map(|stored| &stored.case), after, item)?;
        self.transaction.insert(&keys::event(event.case_id, event.version), item::to_item(&event)?)?;
        self.count(before.map(|stored| &stored.case).filter(|case| case.is_live()), -1);
        self.count(Some(after).filter(|case| case.is_live()), 1);
        Ok(())
    }

    /// Adds the audit record: the request changes these cases and gets their data.
    pub(super) fn record(&mut self, recorder: &AuditRecorder, ids: Vec<CaseId>) -> Result<(), Error> {
        recorder.add_granted(&mut self.transaction, ids)
    }

    /// Stores the response to the request, if it has an idempotency key.
    pub(super) fn store_response(
        &mut self,
        cases: &Cases<'_>,
        key: Option<&IdempotencyKey>,
        case: &Case,
        now: Timestamp,
    ) -> Result<(), Error> {
        key.map_or(Ok(()), |key| self.store(cases, key, &StoredResponse::new(key, Some(case), now), now))
    }

    /// Stores this response to a request with an idempotency key.
    pub(super) fn store(
        &mut self,
        cases: &Cases<'_>,
        key: &IdempotencyKey,
        response: &StoredResponse,
        now: Timestamp,
    ) -> Result<(), Error> {
        cases.add_response(&mut self.transaction, key, response, now)
    }

    /// Adds an item that belongs to a case and must not exist yet.
    pub(super) fn insert(&mut self, sk: &str, item: Item) -> Result<(), Error> {
        self.transaction.insert(sk, item)
    }

    /// Changes an item that belongs to a case.
    pub(super) fn update(&mut self, sk: &str, update: Update) -> Result<(), Error> {
        self.transaction.update(sk, update)
    }

    /// Removes an item that belongs to a case and must have this version.
    pub(super) fn delete(&mut self, sk: &str, version: u32) -> Result<(), Error> {
        self.transaction.delete(sk, version)
    }

    /// Returns the attempt to write everything. After the commit the caller gets `value`.
    pub(super) fn commit<T>(mut self, value: T) -> Result<Attempt<T>, Error> {
        self.update_shard()?;
        self.update_days()?;
        Ok(Attempt::Commit(self.transaction, value))
    }

    fn item_of(&self, case: &Case) -> Result<Item, Error> {
        match case.deleted_at {
            None => item::live(case),
            Some(at) => item::deleted(case, at.epoch_seconds_after_days(self.author.retention_days)),
        }
    }

    /// Adds the changed case. Live and deleted cases have different keys, so a case may move from one to the other.
    fn write_case(&mut self, before: Option<&Case>, after: &Case, item: Item) -> Result<(), Error> {
        let sk = |case: &Case| if case.is_live() { keys::case(case.id) } else { keys::deleted(case.id) };
        match before {
            Some(before) if before.is_live() == after.is_live() => {
                self.transaction.replace(&sk(after), item, before.version)
            }
            Some(before) => {
                self.transaction.delete(&sk(before), before.version)?;
                self.transaction.insert(&sk(after), item)
            }
            None => self.transaction.insert(&sk(after), item),
        }
    }

    /// Adds the entry of the change log. Returns its place: shard and number.
    fn log(&mut self, case: &Case, at: Timestamp) -> Result<String, Error> {
        self.entries += 1;
        let place = keys::log_place(self.position.shard, self.position.last_change + self.entries);
        let sk = keys::change_at(&place);
        let change = Item::from([
            ("case_id".to_owned(), number(case.id)),
            ("version".to_owned(), number(case.version)),
            ("at".to_owned(), text(at.to_string())),
        ]);
        self.transaction.insert(&sk, change).map(|()| place)
    }

    fn count(&mut self, case: Option<&Case>, amount: i64) {
        let Some(case) = case else { return };
        *self.counts.entry(case.status.as_str()).or_default() += amount;
        if case.waiting_for_answer {
            *self.counts.entry(WAITING).or_default() += amount;
        }
        let day = self.days.entry(case.created_at.date()).or_default();
        day.cases += amount;
        day.remakes += if case.remake_of.is_some() { amount } else { 0 };
    }

    /// Adds the update of the shard. Its condition is that the shard's last change is still the one that was read, so the
    /// log has no gaps.
    fn update_shard(&mut self) -> Result<(), Error> {
        let last = self.position.last_change;
        let mut update = Update {
            condition: Some("attribute_not_exists(last_change)".to_owned()),
            values: vec![(":next".to_owned(), number(last + self.entries))],
            ..Update::default()
        };
        if last > 0 {
            update.condition = Some("last_change = :last".to_owned());
            update.values.push((":last".to_owned(), number(last)));
        }
        let mut sums = Vec::new();
        for (index, (name, amount)) in self.counts.drain().filter(|(_, amount)| *amount != 0).enumerate() {
            sums.push(format!("#count{index} :amount{index}"));
            update.names.push((format!("#count{index}"), name.to_owned()));
            update.values.push((format!(":amount{index}"), number(amount)));
        }
        let sums = if sums.is_empty() { String::new() } else { format!(" ADD {}", sums.join(", ")) };
        update.expression = format!("SET last_change = :next{sums}");
        self.transaction.update(&keys::shard(self.position.shard), update)
    }

    /// Adds the counts of created cases to their months. Each day has attributes of its own in the item of its month, because
    /// the statistics read all days of a quarter, and the keys of an item for each day would be most of what they read.
    fn update_days(&mut self) -> Result<(), Error> {
        for (last_day, update) in day_updates(std::mem::take(&mut self.days)) {
            self.transaction.update(&keys::month(last_day, self.position.shard), update)?;
        }
        Ok(())
    }
}

/// The updates of the months of these days, by the last day of the month. Days that the statistics do not cover are left out.
pub(super) fn day_updates(days: BTreeMap<Date, Created>) -> BTreeMap<Date, Update> {
    let today = Timestamp::now().date();
    let mut months = BTreeMap::<Date, Update>::new();
    for (date, created) in days {
        if date.saturating_add((DAYS_COUNTED + 2).days()) < today {
            continue;
        }
        for (name, count) in [(created_on(date), created.cases), (remade_on(date), created.remakes)] {
            if count != 0 {
                let update = months.entry(date.last_of_month()).or_default();
                let value = format!(":{name}");
                update.expression += if update.expression.is_empty() { "ADD " } else { ", " };
                update.expression += &format!("{name} {value}");
                update.values.push((value, number(count)));
            }
        }
    }
    for (last_day, update) in &mut months {
        let end = last_day.saturating_add((DAYS_COUNTED + 2).days());
        let end = TimeZone::UTC.to_timestamp(end.into()).map_or(i64::MAX, |end| end.as_second());
        update.expression += " SET expires_at = :end";
        update.values.push((":end".to_owned(), number(end)));
    }
    months
}

/// The attribute with the number of cases created on a day, in the item of its month: `c24`.
pub(super) fn created_on(date: Date) -> String {
    format!("c{:02}", date.day())
}

/// The attribute with the number of remakes among them: `r24`.
pub(super) fn remade_on(date: Date) -> String {
    format!("r{:02}", date.day())
}

impl Cases<'_> {
    /// The caller, as the author of changes in the lab.
    pub(super) fn author(&self) -> Author<'_> {
        Author {
            table: self.table(),
            lab: self.lab.lab_id(),
            user_id: self.lab.user_id().as_str(),
            request_id: self.lab.request_id(),
            seals: &self.services.seals,
            retention_days: self.services.retention_days,
        }
    }

    /// A transaction that only stores the response to a request. A bulk request stores no case, only that it has begun.
    pub(super) fn response_transaction(
        &self,
        key: &IdempotencyKey,
        case: Option<&Case>,
        now: Timestamp,
    ) -> Result<Transaction, Error> {
        let mut transaction = Transaction::new(self.table(), self.lab.lab_id());
        self.add_response(&mut transaction, key, &StoredResponse::new(key, case, now), now)?;
        Ok(transaction)
    }

    fn add_response(
        &self,
        transaction: &mut Transaction,
        key: &IdempotencyKey,
        response: &StoredResponse,
        now: Timestamp,
    ) -> Result<(), Error> {
        transaction.insert_or_replace_expired(&self.response_key(key), item::to_item(response)?, now)
    }
}
