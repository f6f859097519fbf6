//! Lets those who want the same thing at the same time go one after the other, so that only the first has to ask.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

/// One queue for each key that somebody wants.
pub(crate) struct SingleFlight<K>(Mutex<HashMap<K, Weak<Turn<()>>>>);

impl<K> Default for SingleFlight<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Eq + Hash> SingleFlight<K> {
    /// Waits for the turn. It ends when the guard is dropped, also when the one who had it was cancelled.
    pub(crate) async fn wait(&self, key: K) -> OwnedMutexGuard<()> {
        let turn = {
            let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            let running = queues.get(&key).and_then(Weak::upgrade);
            running.unwrap_or_else(|| {
                queues.retain(|_, turn| turn.strong_count() > 0);
                let turn = Arc::default();
                queues.insert(key, Arc::downgrade(&turn));
                turn
            })
        };
        turn.lock_owned().await
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    #[tokio::test]
    async fn the_same_key_is_one_at_a_time_and_others_do_not_wait() {
        let turns = SingleFlight::default();
        let first = turns.wait(1).await;
        let mut second = Box::pin(turns.wait(1));
        assert!(poll!(&mut second).is_pending());
        turns.wait(2).await;
        drop(first);
        second.await;
    }

    #[tokio::test]
    async fn who_gives_up_lets_the_next_one_in() {
        let turns = SingleFlight::default();
        let first = turns.wait(1).await;
        let mut second = Box::pin(turns.wait(1));
        let mut third = Box::pin(turns.wait(1));
        assert!(poll!(&mut second).is_pending());
        assert!(poll!(&mut third).is_pending());
        drop(second);
        drop(first);
        third.await;
    }

    #[tokio::test]
    async fn queues_that_nobody_stands_in_are_forgotten() {
        let turns = SingleFlight::default();
        for key in 0..1000 {
            turns.wait(key).await;
        }
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }
}
