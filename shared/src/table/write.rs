//! The one optimistic-write loop: read, work out the transaction, commit; when another writer was faster, do it again
//! from what is there by then.

use super::{Retry, Table, Transaction, transaction::Outcome};
use crate::base::error::Error;

/// What one attempt of a write came to.
pub(crate) enum Attempt<T> {
    /// Nothing is to be written.
    Done(T),
    /// This is to be written; the value is returned once it is.
    Commit(Transaction, T),
}

impl<T> Attempt<T> {
    /// The same attempt with another value.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Attempt<U> {
        match self {
            Self::Done(value) => Attempt::Done(change(value)),
            Self::Commit(transaction, value) => Attempt::Commit(transaction, change(value)),
        }
    }
}

impl Table {
    /// Makes attempts until one is committed. Each reads what it depends on anew.
    ///
    /// # Errors
    /// Those of `attempt`; conflict with `Retry-After`, when other writers win for as long as the request may take;
    /// unavailable when the database fails.
    pub(crate) async fn write<T, F>(&self, mut retry: Retry, attempt: impl Fn() -> F) -> Result<T, Error>
    where
        F: Future<Output = Result<Attempt<T>, Error>>,
    {
        loop {
            match attempt().await? {
                Attempt::Done(value) => return Ok(value),
                Attempt::Commit(transaction, value) => {
                    if self.commit(transaction).await? == Outcome::Committed {
                        return Ok(value);
                    }
                }
            }
            if !retry.pause().await {
                return Err(Error::conflict("Others are changing the same data at this moment. Try again."));
            }
        }
    }
}
