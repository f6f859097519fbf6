//! How many bytes the files of a lab have together: in one item, which each announcement changes. So two announcements at the same
//! time cannot both take the last place, neither of the lab nor of a case.

use super::{FileState, StoredAttachment};
use crate::{
    base::{
        LabId,
        error::{Error, ErrorCode},
    },
    table::{Attempt, Item, Retry, Table, Transaction, Update, keys, number},
};

/// The attribute with the number of bytes.
pub(in crate::case) const BYTES: &str = "file_bytes";
/// The attribute with the number of announcements, for the condition of the next one.
const ANNOUNCEMENTS: &str = "announcements";

/// The item of a lab.
pub(super) struct Storage {
    bytes: i64,
    announcements: Option<u64>,
}

impl Storage {
    pub(super) fn of(item: Option<&Item>) -> Self {
        let announcements = item.and_then(|item| item.get(ANNOUNCEMENTS)?.as_n().ok()?.parse::<u64>().ok());
        Self { bytes: bytes_of(item), announcements }
    }

    /// Checks that the lab may have so many bytes more.
    ///
    /// # Errors
    /// Storage quota exceeded.
    pub(super) fn check(&self, size: u64, quota: u64) -> Result<(), Error> {
        let stored = u64::try_from(self.bytes).unwrap_or(0);
        if stored.saturating_add(size) <= quota {
            return Ok(());
        }
        let detail = "The files of the lab would exceed its quota.";
        Err(Error::new(ErrorCode::StorageQuotaExceeded, detail))
    }

    /// Adds the bytes of a file that is announced, if no other one was announced meanwhile.
    pub(super) fn add(&self, size: u64) -> Update {
        let mut update = Update {
            expression: format!("ADD {BYTES} :size, {ANNOUNCEMENTS} :one"),
            condition: Some(format!("attribute_not_exists({ANNOUNCEMENTS})")),
            values: vec![(":size".to_owned(), number(size)), (":one".to_owned(), number(1))],
            ..Update::default()
        };
        if let Some(announcements) = self.announcements {
            update.condition = Some(format!("{ANNOUNCEMENTS} = :seen"));
            update.values.push((":seen".to_owned(), number(announcements)));
        }
        update
    }
}

/// The number of bytes in the item.
pub(in crate::case) fn bytes_of(item: Option<&Item>) -> i64 {
    item.and_then(|item| item.get(BYTES)?.as_n().ok()?.parse().ok()).unwrap_or(0)
}

/// Removes the item of a file, and takes its bytes off. A file that is gone is no error: an earlier call has done it.
///
/// # Errors
/// Unavailable, when the database fails. A repetition continues.
pub(super) async fn release(
    table: &Table,
    lab: LabId,
    sk: &str,
    retry: Retry,
    only: Option<FileState>,
) -> Result<(), Error> {
    let attempt = || async {
        let Some(item) = table.get(lab, sk).await? else { return Ok(Attempt::Done(())) };
        let stored = StoredAttachment::from_item(item)?;
        if only.is_some_and(|state| stored.attachment.state != state.into()) {
            return Ok(Attempt::Done(()));
        }
        let mut transaction = Transaction::new(table, lab);
        transaction.delete(sk, stored.internals.version)?;
        let less = i64::try_from(stored.attachment.size).unwrap_or(i64::MAX);
        transaction.update(
            keys::STORAGE,
            Update {
                expression: format!("ADD {BYTES} :less"),
                values: vec![(":less".to_owned(), number(-less))],
                ..Update::default()
            },
        )?;
        Ok(Attempt::Commit(transaction, ()))
    };
    table.write(retry, attempt).await
}
