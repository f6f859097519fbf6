//! The loop of all optimistic writes: read, make the transaction, commit. When another request changed the data first, the
//! loop starts again with the new data.

use super::{Retry, Table, Transaction, transaction::Outcome};
use crate::base::error::Error;

/// The result of one attempt to write.
pub(crate) enum Attempt<T> {
    /// There is nothing to write.
    Done(T),
    /// The transaction must be committed. After that the caller gets the value.
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
    /// Runs `attempt` until one is committed. Each attempt must read its data again.
    ///
    /// # Errors
    /// The errors of `attempt`; conflict with `Retry-After`, when other requests changed the data first until the time is
    /// over; unavailable, when the database fails.
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
                return Err(Error::conflict("Other requests are changing the same data. Try again."));
            }
        }
    }
}
