//! The keys of the table's items. docs/data-model.md lists which code writes and reads each of them.

use jiff::civil::Date;

use crate::base::{CaseId, LabId, time::Timestamp};

/// The number of shards of the change log and the statistics. With several shards, concurrent writers rarely conflict.
pub(crate) const SHARDS: u8 = 16;

/// The partition key of a lab.
pub(crate) fn lab(lab: LabId) -> String {
    lab.to_string()
}

/// The sort key of a live case.
pub(crate) fn case(id: CaseId) -> String {
    format!("{CASE_PREFIX}{:010}", id.get())
}

/// The prefix of the sort keys of live cases.
pub(crate) const CASE_PREFIX: &str = "CASE#";

/// The sort key of a deleted case.
pub(crate) fn deleted(id: CaseId) -> String {
    format!("{DELETED_PREFIX}{:010}", id.get())
}

/// The prefix of the sort keys of deleted cases.
pub(crate) const DELETED_PREFIX: &str = "DELETED#";

/// The sort key of the event for a version of a case.
pub(crate) fn event(id: CaseId, version: u32) -> String {
    format!("{EVENT_PREFIX}{:010}#{version:06}", id.get())
}

/// The prefix of the sort keys of events.
pub(crate) const EVENT_PREFIX: &str = "EVENT#";

/// The end of the range of a case's events. `:` follows `9` in ASCII.
pub(crate) fn last_event(id: CaseId) -> String {
    format!("{EVENT_PREFIX}{:010}#:", id.get())
}

/// The sort key of a comment of a case.
pub(crate) fn comment(case: CaseId, id: u32) -> String {
    format!("{COMMENT_PREFIX}{:010}#{id:06}", case.get())
}

/// The prefix of the sort keys of comments.
pub(crate) const COMMENT_PREFIX: &str = "COMMENT#";

/// The end of the range of a case's comments. `:` follows `9` in ASCII.
pub(crate) fn last_comment(case: CaseId) -> String {
    format!("{COMMENT_PREFIX}{:010}#:", case.get())
}

/// The sort key of a file of a case.
pub(crate) fn file(case: CaseId, id: &str) -> String {
    format!("{FILE_PREFIX}{:010}#{id}", case.get())
}

/// The prefix of the sort keys of files.
pub(crate) const FILE_PREFIX: &str = "FILE#";

/// The range of a case's files: the first possible sort key, and the last.
pub(crate) fn files(case: CaseId) -> (String, String) {
    (file(case, ""), file(case, PAST_ALL))
}

/// The sort key of the upload of a file that is not completed.
pub(crate) fn upload(case: CaseId, id: &str) -> String {
    format!("{UPLOAD_PREFIX}{:010}#{id}", case.get())
}

/// The prefix of the sort keys of uploads.
pub(crate) const UPLOAD_PREFIX: &str = "UPLOAD#";

/// The sort key of the item that counts the bytes of the lab's files.
pub(crate) const STORAGE: &str = "STORAGE";

/// The sort key of a webhook.
pub(crate) fn webhook(id: &str) -> String {
    format!("{WEBHOOK_PREFIX}{id}")
}

/// The prefix of the sort keys of webhooks.
pub(crate) const WEBHOOK_PREFIX: &str = "WEBHOOK#";

/// The end of the range of the lab's webhooks.
pub(crate) fn last_webhook() -> String {
    format!("{WEBHOOK_PREFIX}{PAST_ALL}")
}

/// The sort key of a ticket for a WebSocket, in the table of connections: the SHA-256 of the ticket in hexadecimal digits.
pub(crate) fn ticket(sha256: &str) -> String {
    format!("TICKET#{sha256}")
}

/// The sort key of a WebSocket connection, in the table of connections.
pub(crate) fn connection(id: &str) -> String {
    format!("{CONNECTION_PREFIX}{id}")
}

/// The prefix of the sort keys of connections.
pub(crate) const CONNECTION_PREFIX: &str = "CONNECTION#";

/// The end of the range of the lab's connections.
pub(crate) fn last_connection() -> String {
    format!("{CONNECTION_PREFIX}{PAST_ALL}")
}

/// The sort key of what is left of a case after the end of its retention.
pub(crate) fn tombstone(id: CaseId) -> String {
    format!("TOMBSTONE#{:010}", id.get())
}

/// The sort key of a word of a case's names.
pub(crate) fn token(word: &str, id: CaseId) -> String {
    format!("{TOKEN_PREFIX}{word}#{:010}", id.get())
}

/// The sort keys of the words with this beginning: the first possible one, and the last.
pub(crate) fn tokens(beginning: &str) -> (String, String) {
    let from = format!("{TOKEN_PREFIX}{beginning}");
    let to = format!("{from}{}", char::MAX);
    (from, to)
}

/// The prefix of the sort keys of words.
pub(crate) const TOKEN_PREFIX: &str = "TOKEN#";

/// The sort key of the record of a message's delivery to a webhook.
pub(crate) fn delivery(webhook: &str, message: &str) -> String {
    format!("{DELIVERY_PREFIX}{webhook}#{message}")
}

/// The sort keys of the records of a webhook's deliveries: before the first one, and after the last.
pub(crate) fn deliveries(webhook: &str) -> (String, String) {
    (delivery(webhook, ""), delivery(webhook, PAST_ALL))
}

/// The prefix of the sort keys of records of deliveries.
pub(crate) const DELIVERY_PREFIX: &str = "DELIVERY#";

/// The case that a sort key ends with.
pub(crate) fn case_id(sk: &str) -> Option<CaseId> {
    sk.rsplit('#').next()?.parse().ok().and_then(CaseId::new)
}

/// The sort key of the stored response to a user's request with an idempotency key.
pub(crate) fn idempotency(user_id: &str, key: &str) -> String {
    format!("IDEMPOTENCY#{user_id}#{key}")
}

/// The sort key of a new audit record, in the table of audit records.
pub(crate) fn new_audit_record(at: Timestamp) -> String {
    let unique: String = std::iter::repeat_with(fastrand::alphanumeric).take(16).collect();
    format!("{at}#{unique}")
}

/// The prefix of the sort keys of the audit records that earlier releases wrote into the table of cases.
pub(crate) const EARLIER_AUDIT_PREFIX: &str = "ACCESS#";

/// The sort key of the item with the last case id.
pub(crate) const COUNTER: &str = "COUNTER";

/// The partition of the index `labs` that lists the labs.
pub(crate) const LABS: &str = "labs";

/// The sort key of a shard's item: its statistics, and the number of the last change in its log.
pub(crate) fn shard(shard: u8) -> String {
    format!("{SHARD_PREFIX}{shard:02}")
}

/// The prefix of the sort keys of shards.
pub(crate) const SHARD_PREFIX: &str = "STATS#";

/// The sort key of the lab's epochs. It follows those of shards, so that the query of the shards reads it as well.
pub(crate) const EPOCHS: &str = "STATS#EPOCHS";

/// The sort key of a change in a shard's log.
pub(crate) fn change(shard: u8, number: u64) -> String {
    change_at(&log_place(shard, number))
}

/// Follows all sort keys of a shard's log.
pub(crate) fn after_changes(shard: u8) -> String {
    change_at(&format!("{shard:02}#{PAST_ALL}"))
}

/// A place in the change log: shard and number.
pub(crate) fn log_place(shard: u8, number: u64) -> String {
    format!("{shard:02}#{number:012}")
}

/// The sort key of the change at a place in the log.
pub(crate) fn change_at(place: &str) -> String {
    format!("CHANGE#{place}")
}

/// The sort key of a shard's counts of the cases created on each day of a date's month.
pub(crate) fn month(date: Date, shard: u8) -> String {
    format!("{}{shard:02}", month_prefix(date))
}

/// The prefix of the sort keys of a month's counts.
pub(crate) fn month_prefix(date: Date) -> String {
    format!("{MONTH_PREFIX}{:04}-{:02}#", date.year(), date.month())
}

/// The prefix of the sort keys of all months' counts.
pub(crate) const MONTH_PREFIX: &str = "DAYS#";

/// The prefix of the sort keys of a day's counts, which earlier releases wrote. They come before those of months.
pub(crate) fn day_prefix(date: Date) -> String {
    format!("DAY#{date}#")
}

/// The partition key of an index of a part of the lab's cases, such as those of one status: `123#in_progress`.
pub(crate) fn part_of_lab(lab: LabId, part: &str) -> String {
    format!("{lab}#{part}")
}

/// The sort key of the index `by_due`: by due date, with cases without a due date last.
pub(crate) fn due(date: Option<Date>, id: CaseId) -> String {
    let date = date.map_or_else(|| "9999-12-31".to_owned(), |date| date.to_string());
    ordered(&date, id.get())
}

/// The sort key of the index `by_update`.
pub(crate) fn update(at: Timestamp, id: CaseId) -> String {
    ordered(&at.to_string(), id.get())
}

/// A sort key that orders by `at` first and by id second.
pub(crate) fn ordered(at: &str, id: u64) -> String {
    format!("{at}#{id:010}")
}

/// Follows every date, timestamp and id in text order.
pub(crate) const PAST_ALL: &str = "~";

/// Comes before every date, timestamp and id in text order. DynamoDB does not allow an empty key, even in a condition.
pub(crate) const BEFORE_ALL: &str = "0";

/// The largest version that fits into the sort keys of events.
pub(crate) const MAX_VERSION: u32 = 999_999;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sort_keys_have_the_order_of_ids() {
        let key = |id| case(CaseId::new(id).unwrap());
        assert!(key(9) < key(10) && key(10) < key(CaseId::MAX));
        assert_eq!(key(7), "CASE#0000000007");
        assert_eq!(event(CaseId::new(7).unwrap(), 12), "EVENT#0000000007#000012");
        assert_eq!(comment(CaseId::new(7).unwrap(), 12), "COMMENT#0000000007#000012");
        let of_file = file(CaseId::new(7).unwrap(), "att_0123456789abcdef");
        assert_eq!(of_file, "FILE#0000000007#att_0123456789abcdef");
        let (from, to) = files(CaseId::new(7).unwrap());
        assert!(from < of_file && of_file < to && !to.starts_with(CASE_PREFIX));
        assert_eq!(token("o'neil", CaseId::new(7).unwrap()), "TOKEN#o'neil#0000000007");
        assert_eq!(case_id("TOKEN#a#b#0000000007"), CaseId::new(7));
        assert_eq!((shard(3), change(3, 42)), ("STATS#03".to_owned(), "CHANGE#03#000000000042".to_owned()));
        let date: Date = "2026-11-24".parse().unwrap();
        assert_eq!(month(date, 3), "DAYS#2026-11#03");
        assert!(day_prefix(Date::MAX) < month(Date::MIN, 0));
    }
    #[test]
    fn the_range_of_a_beginning_has_the_words_that_begin_so_and_no_others() {
        let (from, to) = tokens("mu");
        let key = |word| token(word, CaseId::new(7).unwrap());
        for inside in ["mu", "muller", "mu's", "mu#", "mu太", "mu\u{10fffd}"] {
            assert!(from <= key(inside) && key(inside) <= to, "{inside}");
        }
        for outside in ["m", "mt", "mv", "nu"] {
            assert!(key(outside) < from || to < key(outside), "{outside}");
        }
    }
}
