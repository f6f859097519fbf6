//! Trying again, with pauses, for as long as the request may take.

use std::time::{Duration, Instant};

/// The ceilings of the first pause and of all later ones, in milliseconds.
const PAUSES: (u64, u64) = (10, 160);

/// The time that a request has for trying again, and how often it did.
pub(crate) struct Retry {
    until: Instant,
    attempt: u32,
}

impl Retry {
    /// For a request that began at `started` and may take `budget`.
    pub(crate) fn since(started: Instant, budget: Duration) -> Self {
        Self { until: started + budget, attempt: 0 }
    }

    /// Waits a random time with a growing ceiling, or returns false at once when the time is used up.
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
