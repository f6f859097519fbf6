//! Retries with pauses, within the time of the request.

use std::time::{Duration, Instant};

/// The longest first pause, and the longest pause of all, in milliseconds.
const PAUSES: (u64, u64) = (10, 160);

/// The time of a request for retries, and the number of its retries so far.
#[derive(Clone)]
pub(crate) struct Retry {
    until: Instant,
    attempt: u32,
}

impl Retry {
    /// Allows retries until `budget` after `started`.
    pub(crate) fn since(started: Instant, budget: Duration) -> Self {
        Self { until: started + budget, attempt: 0 }
    }

    /// Allows retries until `deadline`.
    pub(crate) fn until(deadline: Instant) -> Self {
        Self { until: deadline, attempt: 0 }
    }

    /// Whether there is time for another try.
    pub(crate) fn has_time_left(&self) -> bool {
        Instant::now() < self.until
    }

    /// Waits a random time whose maximum doubles with each retry. Returns `false` at once when the time is over.
    pub(crate) async fn pause(&mut self) -> bool {
        let now = Instant::now();
        if now >= self.until {
            return false;
        }
        let (first, longest) = PAUSES;
        let ceiling = (first << self.attempt.min(16)).min(longest);
        self.attempt += 1;
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..=ceiling)).min(self.until - now)).await;
        true
    }
}
