//! How many requests a user, and a lab, may send in a minute.
//!
//! Each instance of a function counts for itself, in memory: that costs no round trip, and an instance serves one request
//! at a time, so that a client that sends one after the other meets the same count. ADR 14 says what this can and cannot
//! limit.

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, SystemClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};

use crate::{
    base::{
        LabId, Subject,
        error::{Error, ErrorCode},
    },
    config::RateConfig,
    http::RateLimitStatus,
    telemetry::LogContext,
};

/// Counts above this are looked through for those that are full again.
const MAX_COUNTS: usize = 4096;

/// The limits of one instance; one that is not set allows everything.
///
/// The clock is the wall clock: a monotonic one may stand still while Lambda has an instance frozen between requests.
pub(crate) struct RateLimits<C: Clock = SystemClock> {
    users: Option<Limiter<Subject, C>>,
    labs: Option<Limiter<LabId, C>>,
}

impl RateLimits {
    /// The limits that are configured.
    pub(crate) fn new(config: &RateConfig) -> Self {
        Self::with_clock(config, &SystemClock)
    }
}

impl<C: Clock + Clone> RateLimits<C> {
    fn with_clock(config: &RateConfig, clock: &C) -> Self {
        Self {
            users: config.per_user.map(|limit| Limiter::new("You sent", limit, clock.clone())),
            labs: config.per_lab.map(|limit| Limiter::new("The lab sent", limit, clock.clone())),
        }
    }

    /// Counts a request of a user, and notes how much of the limit is left.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn count_user(&self, user: &Subject, log: &LogContext) -> Result<(), Error> {
        self.users.as_ref().map_or(Ok(()), |limiter| limiter.count(user, log))
    }

    /// Counts a request in a lab in the same way.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn count_lab(&self, lab: LabId, log: &LogContext) -> Result<(), Error> {
        self.labs.as_ref().map_or(Ok(()), |limiter| limiter.count(&lab, log))
    }
}

/// Counts by key. It lets a minute's requests through at once, and then as many as come back over time (GCRA).
struct Limiter<K: Hash + Eq + Clone, C: Clock> {
    who: &'static str,
    limit: NonZeroU32,
    clock: C,
    counts: RateLimiter<K, HashMapStateStore<K>, C, StateInformationMiddleware>,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Limiter<K, C> {
    fn new(who: &'static str, limit: NonZeroU32, clock: C) -> Self {
        let counts =
            RateLimiter::hashmap_with_clock(Quota::per_minute(limit), clock.clone()).with_middleware();
        Self { who, limit, clock, counts }
    }

    fn count(&self, key: &K, log: &LogContext) -> Result<(), Error> {
        if self.counts.len() > MAX_COUNTS {
            self.counts.retain_recent();
        }
        let counted = self.counts.check_key(key);
        let remaining = counted.as_ref().map_or(0, |state| state.remaining_burst_capacity());
        log.note_rate_limit(RateLimitStatus { limit: self.limit, remaining });
        counted.map(|_| ()).map_err(|not_until| self.rejection(not_until.wait_time_from(self.clock.now())))
    }

    fn rejection(&self, wait: Duration) -> Error {
        let detail =
            format!("{} more than {} requests in a minute. Wait, then try again.", self.who, self.limit);
        let seconds = u16::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u16::MAX).max(1);
        Error::new(ErrorCode::TooManyRequests, detail).retry_after(seconds)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(per_user: u32, per_lab: u32) -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let config = RateConfig { per_user: NonZeroU32::new(per_user), per_lab: NonZeroU32::new(per_lab) };
        (RateLimits::with_clock(&config, &clock), clock)
    }

    fn user(id: usize) -> Subject {
        serde_json::from_value(id.into()).unwrap()
    }

    /// How many requests of the user are left after one more, or why it was rejected.
    fn user_remaining(
        limits: &RateLimits<FakeRelativeClock>,
        user: &Subject,
    ) -> Result<Option<u32>, ErrorCode> {
        let log = LogContext::default();
        let counted = limits.count_user(user, &log).map_err(|error| error.code());
        counted.map(|()| log.rate_limit().map(|status| status.remaining))
    }

    #[test]
    fn a_users_requests_are_counted_apart_from_others_and_come_back_over_a_minute() {
        let (limits, clock) = limits(3, 0);
        let (first, second) = (user(1), user(2));
        for left in [2, 1, 0] {
            assert_eq!(user_remaining(&limits, &first), Ok(Some(left)));
        }
        assert_eq!(user_remaining(&limits, &first), Err(ErrorCode::TooManyRequests));
        assert_eq!(user_remaining(&limits, &second), Ok(Some(2)));
        clock.advance(Duration::from_millis(19_999));
        assert_eq!(user_remaining(&limits, &first), Err(ErrorCode::TooManyRequests));
        clock.advance(Duration::from_millis(1));
        assert_eq!(user_remaining(&limits, &first), Ok(Some(0)));
        clock.advance(Duration::from_secs(60));
        assert_eq!(user_remaining(&limits, &first), Ok(Some(2)));
    }

    #[test]
    fn a_limit_that_is_not_set_allows_everything() {
        let (limits, _) = limits(0, 1);
        let (user, lab) = (user(1), LabId::new(123).unwrap());
        for _ in 0..100 {
            assert_eq!(user_remaining(&limits, &user), Ok(None));
        }
        assert!(limits.count_lab(lab, &LogContext::default()).is_ok());
        let log = LogContext::default();
        let rejection = limits.count_lab(lab, &log).unwrap_err();
        assert_eq!(rejection.code(), ErrorCode::TooManyRequests);
        assert_eq!(log.rate_limit().map(|status| status.remaining), Some(0));
    }

    #[test]
    fn counts_that_are_full_again_are_forgotten() {
        let (limits, clock) = limits(1, 0);
        let users = limits.users.as_ref().unwrap();
        for id in 0..=MAX_COUNTS {
            users.count(&user(id), &LogContext::default()).unwrap();
        }
        clock.advance(Duration::from_secs(300));
        users.count(&user(0), &LogContext::default()).unwrap();
        assert_eq!(users.counts.len(), 1);
    }
}
