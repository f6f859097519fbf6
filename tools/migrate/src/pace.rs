//! Keeps the use of capacity units below a limit.

use std::time::Duration;

use tokio::{
    sync::Mutex,
    time::{Instant, sleep_until},
};

/// A limit of capacity units in a second.
pub(crate) struct Pace {
    units_per_second: Option<u32>,
    /// The time up to which the used units are within the limit.
    paid_until: Mutex<Instant>,
}

impl Pace {
    /// A limit; `None` for no limit.
    pub(crate) fn new(units_per_second: Option<u32>) -> Self {
        Self { units_per_second, paid_until: Mutex::new(Instant::now()) }
    }

    /// Waits until these units, which were used, are within the limit.
    pub(crate) async fn wait(&self, units: f64) {
        let Some(limit) = self.units_per_second else { return };
        let until = {
            let mut paid_until = self.paid_until.lock().await;
            *paid_until =
                (*paid_until).max(Instant::now()) + Duration::from_secs_f64(units / f64::from(limit));
            *paid_until
        };
        sleep_until(until).await;
    }
}
