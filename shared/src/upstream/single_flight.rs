//! Runs requests with the same key one after the other, so that only the first one has to make a call.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

/// One lock for each key in use.
pub(crate) struct SingleFlight<K>(Mutex<HashMap<K, Weak<AsyncMutex<()>>>>);

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> SingleFlight<K> {
    /// Waits for the lock of a key. Dropping the guard releases the lock, also when the request was cancelled.
    pub(crate) async fn wait(&self, key: K) -> OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let existing = locks.get(&key).and_then(Weak::upgrade);
            existing.unwrap_or_else(|| {
                locks.retain(|_, lock| lock.strong_count() > 0);
                let lock = Arc::default();
                locks.insert(key, Arc::downgrade(&lock));
                lock
            })
        };
        lock.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn one_request_per_key_runs_and_other_keys_do_not_wait() {
        let flights = SingleFlight::default();
        let first = flights.wait(1).await;
        let mut second = Box::pin(flights.wait(1));
        assert!(poll!(&mut second).is_pending());
        flights.wait(2).await;
        drop(first);
        second.await;
    }

    #[tokio::test]
    async fn a_cancelled_request_does_not_block_the_next_one() {
        let flights = SingleFlight::default();
        let first = flights.wait(1).await;
        let mut second = Box::pin(flights.wait(1));
        let mut third = Box::pin(flights.wait(1));
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        drop(second);
        drop(first);
        third.await;
    }

    #[tokio::test]
    async fn unused_locks_are_removed() {
        let flights = SingleFlight::default();
        for key in 0..1000 {
            flights.wait(key).await;
        }
        assert_eq!(flights.0.lock().unwrap().len(), 1);
    }
}
