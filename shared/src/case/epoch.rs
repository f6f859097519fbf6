//! Epochs of the change log: after a restore of the table to an earlier time, the numbers of the log are used again for other
//! changes. So each restore begins an epoch, and a cursor of the feed names the epoch of its numbers.
//! docs/adr/0041-epochs-of-the-change-log.md has the reasons.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::item::from_item;
use crate::{
    base::{error::Error, time::Timestamp},
    table::{Item, keys},
};

/// A position in the change log: the number of a change in each shard.
pub(super) type Numbers = [u64; keys::SHARDS as usize];

/// How long after the beginning of an epoch the former table may still be in use, until the stack has the restored one.
const SWITCH: Duration = Duration::from_secs(3600);

/// A restore of the table, which began an epoch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Restore {
    /// When the epoch began. It is the epoch's name: no other one began in the same millisecond.
    pub began_at: Timestamp,
    /// All changes before this time are in the table.
    pub restored_to: Timestamp,
    /// The last number before `restored_to` in each shard.
    pub(super) last_changes: Numbers,
    /// Ids up to this one may have been given to cases that are gone.
    pub(super) last_id: u64,
}

/// The restores of a lab, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Epochs {
    pub restores: Vec<Restore>,
}

impl Epochs {
    /// Reads the item with the sort key [`keys::EPOCHS`]. There is none before the first restore.
    pub(crate) fn of_item(item: Option<Item>) -> Result<Self, Error> {
        item.map_or(Ok(Self::default()), from_item)
    }

    /// A position of the present epoch after which everything is settled.
    pub(super) fn cursor(&self, position: Numbers) -> FeedCursor {
        let epoch = self.restores.last().map(|restore| restore.began_at);
        FeedCursor { epoch, position, settled: position }
    }

    /// Returns the cursor with which a reader goes on. `newest` has the last numbers of the shards.
    pub(super) fn resume(
        &self,
        cursor: FeedCursor,
        newest: &Numbers,
    ) -> Result<FeedCursor, Box<FeedRestart>> {
        let from_start = Box::new(FeedRestart { restored_to: None, next: self.cursor(Numbers::default()) });
        let Some(later) = self.after(cursor.epoch) else { return Err(from_start) };
        let kept = later.iter().fold(cursor.position, |kept, restore| smaller(&kept, &restore.last_changes));
        let is_ahead = kept.iter().zip(newest).any(|(number, newest)| number > newest);
        if is_ahead {
            return Err(from_start);
        }
        let Some(restored_to) = later.iter().map(|restore| restore.restored_to).min() else {
            return Ok(cursor);
        };
        // What is not settled comes again: a lost change may have been the reason to skip an entry.
        let next = self.cursor(smaller(&cursor.settled, &kept));
        if kept == cursor.position {
            Ok(next)
        } else {
            Err(Box::new(FeedRestart { restored_to: Some(restored_to), next }))
        }
    }

    /// Whether a change of this time may have been made in a former table and be gone since a restore.
    pub(crate) fn may_have_lost(&self, at: Timestamp) -> bool {
        self.restores.iter().any(|restore| restore.restored_to <= at && at.minus(SWITCH) < restore.began_at)
    }

    /// The restores after an epoch; `None` if this table does not know the epoch.
    fn after(&self, epoch: Option<Timestamp>) -> Option<&[Restore]> {
        let Some(epoch) = epoch else { return Some(&self.restores) };
        let index = self.restores.iter().position(|restore| restore.began_at == epoch)?;
        self.restores.get(index + 1..)
    }
}

/// Why a reader cannot simply go on: changes that it has read are gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct FeedRestart {
    /// All changes before this time are still there. `None` if that is not known of any change.
    pub restored_to: Option<Timestamp>,
    /// Where the reader goes on.
    pub next: FeedCursor,
}

/// The content of a cursor of the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FeedCursor {
    /// When its epoch began; `None` before the first restore.
    pub epoch: Option<Timestamp>,
    /// The number of the last change in each shard that the reader has passed.
    pub position: Numbers,
    /// The same, up to which the reader has also got the newer changes because of which entries were skipped.
    pub settled: Numbers,
}

impl FeedCursor {
    /// Reads the bytes of a cursor. A list of numbers is a cursor before the first restore.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(bytes).ok()?;
        if value.is_array() {
            let position: Numbers = serde_json::from_value(value).ok()?;
            return Some(Self { epoch: None, position, settled: position });
        }
        serde_json::from_value(value).ok()
    }

    /// The bytes of the cursor: a list if that says everything, as releases before epochs understand it.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let is_list = self.epoch.is_none() && self.settled == self.position;
        let value = if is_list { json!(self.position) } else { json!(self) };
        value.to_string().into_bytes()
    }
}

/// The smaller number of each shard.
fn smaller(one: &Numbers, other: &Numbers) -> Numbers {
    std::array::from_fn(|shard| one[shard].min(other[shard]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_epoch_milliseconds(minute * 60_000).unwrap()
    }

    /// A position with these numbers in the first two shards.
    fn numbers(first: u64, second: u64) -> Numbers {
        let mut numbers = Numbers::default();
        (numbers[0], numbers[1]) = (first, second);
        numbers
    }

    fn cursor(epoch: Option<i64>, position: Numbers) -> FeedCursor {
        FeedCursor { epoch: epoch.map(at), position, settled: position }
    }

    fn epochs(restores: &[(i64, i64, Numbers)]) -> Epochs {
        let restore = |(began_at, restored_to, last_changes): &(i64, i64, Numbers)| Restore {
            began_at: at(*began_at),
            restored_to: at(*restored_to),
            last_changes: *last_changes,
            last_id: 0,
        };
        Epochs { restores: restores.iter().map(restore).collect() }
    }

    fn restart(restored_to: Option<i64>, next: FeedCursor) -> Result<FeedCursor, Box<FeedRestart>> {
        Err(Box::new(FeedRestart { restored_to: restored_to.map(at), next }))
    }

    #[test]
    fn a_cursor_from_before_a_restore_goes_on_if_it_has_read_nothing_that_is_gone() {
        let epochs = epochs(&[(100, 90, numbers(5, 7)), (200, 190, numbers(9, 7))]);
        let newest = numbers(9, 7);
        for position in [numbers(0, 0), numbers(5, 7), numbers(5, 0)] {
            let resumed = epochs.resume(cursor(None, position), &newest);
            assert_eq!(resumed, Ok(cursor(Some(200), position)));
        }
        assert_eq!(
            epochs.resume(cursor(Some(100), numbers(9, 7)), &newest),
            Ok(cursor(Some(200), numbers(9, 7)))
        );
        let now = cursor(Some(200), numbers(9, 7));
        assert_eq!(epochs.resume(now.clone(), &newest), Ok(now));
    }

    #[test]
    fn a_cursor_with_changes_that_are_gone_starts_at_the_last_ones_that_are_not() {
        let epochs = epochs(&[(100, 90, numbers(5, 7)), (200, 80, numbers(4, 8))]);
        let newest = numbers(20, 20);
        let after = |position| epochs.resume(cursor(None, position), &newest);
        assert_eq!(after(numbers(6, 7)), restart(Some(80), cursor(Some(200), numbers(4, 7))));
        assert_eq!(after(numbers(3, 9)), restart(Some(80), cursor(Some(200), numbers(3, 7))));
        let of_first = epochs.resume(cursor(Some(100), numbers(4, 9)), &newest);
        assert_eq!(of_first, restart(Some(80), cursor(Some(200), numbers(4, 8))));
    }

    #[test]
    fn what_is_not_settled_comes_again_after_a_restore() {
        let epochs = epochs(&[(100, 90, numbers(5, 7))]);
        let unsettled = FeedCursor { settled: numbers(2, 3), ..cursor(None, numbers(5, 7)) };
        assert_eq!(epochs.resume(unsettled.clone(), &numbers(5, 7)), Ok(cursor(Some(100), numbers(2, 3))));
        let ahead = FeedCursor { position: numbers(6, 7), ..unsettled.clone() };
        assert_eq!(epochs.resume(ahead, &numbers(5, 7)), restart(Some(90), cursor(Some(100), numbers(2, 3))));
        let none = Epochs::default();
        assert_eq!(none.resume(unsettled.clone(), &numbers(5, 7)), Ok(unsettled));
    }

    #[test]
    fn a_cursor_that_the_table_cannot_explain_starts_from_the_beginning() {
        let none = Epochs::default();
        let ahead = none.resume(cursor(None, numbers(5, 8)), &numbers(5, 7));
        assert_eq!(ahead, restart(None, cursor(None, numbers(0, 0))));
        let unknown = none.resume(cursor(Some(100), numbers(1, 1)), &numbers(5, 7));
        assert_eq!(unknown, restart(None, cursor(None, numbers(0, 0))));
        // The table was restored once more, to a time before the numbers of the epoch, without a new epoch.
        let epochs = epochs(&[(100, 90, numbers(5, 7))]);
        let ahead = epochs.resume(cursor(None, numbers(6, 7)), &numbers(4, 7));
        assert_eq!(ahead, restart(None, cursor(Some(100), numbers(0, 0))));
    }

    #[test]
    fn a_cursor_is_a_list_until_that_does_not_say_everything() {
        let plain = cursor(None, numbers(5, 7));
        assert_eq!(plain.to_bytes(), b"[5,7,0,0,0,0,0,0,0,0,0,0,0,0,0,0]");
        let unsettled = FeedCursor { settled: numbers(1, 0), ..plain.clone() };
        for cursor in [plain, unsettled, cursor(Some(100), numbers(5, 7))] {
            assert_eq!(FeedCursor::parse(&cursor.to_bytes()), Some(cursor));
        }
        for invalid in ["", "[1]", "{}", "7", "{\"position\":[1]}"] {
            assert_eq!(FeedCursor::parse(invalid.as_bytes()), None, "{invalid}");
        }
    }
}
