//! Trying again while other writers are in the way, for as long as the request may take.

use std::time::{Duration, Instant};

/// How long after its start a request goes on trying. A last attempt, begun just before, may take a read and a write of 2 s
/// each (all sends of an operation to DynamoDB) and the 2 s of LinksHub between them: it is answered before the function's
/// time-out of 10 s.
pub(crate) const BUDGET: Duration = Duration::from_millis(3500);
/// The longest first pause and the longest of all, in milliseconds.
const PAUSES: (u64, u64) = (10, 320);

/// The time that a request has for trying again, and how often it did.
pub(crate) struct Retry {
    until: Instant,
    attempt: u32,
}

impl Retry {
    /// For a request that began at `started` and has so much time.
    pub(crate) fn since(started: Instant, patience: Duration) -> Self {
        Self { until: started + patience, attempt: 0 }
    }

    /// Waits a random, growing while, or returns false at once when the time is used up.
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
