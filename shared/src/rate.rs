//! How many requests a user, and a lab, may send in a minute.
//!
//! Each instance of a function counts for itself, in memory: that costs no round trip, and an instance serves one request
//! at a time, so that a client that sends one after the other meets the same count. ADR 14 has what that can and cannot
//! hold back.

use std::{hash::Hash, num::NonZeroU32, time::Duration};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, SystemClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};

use crate::{
    config::RateConfig,
    error::{Code, Error},
    lab::LabId,
    token::Subject,
};

/// Counts above this are looked through for those that are full again.
const MAX_COUNTS: usize = 4096;

/// The limits of one instance; one that is not set allows everything.
///
/// The clock is the wall clock: a monotonic one may stand still while Lambda has an instance frozen between requests.
pub(crate) struct Limits<C: Clock = SystemClock> {
    users: Option<Limiter<Subject, C>>,
    labs: Option<Limiter<LabId, C>>,
}

impl Limits {
    /// The limits that are configured.
    pub(crate) fn new(config: &RateConfig) -> Self {
        Self::with_clock(config, &SystemClock)
    }
}

impl<C: Clock + Clone> Limits<C> {
    fn with_clock(config: &RateConfig, clock: &C) -> Self {
        Self {
            users: config.per_user.map(|limit| Limiter::new("You send", limit, clock.clone())),
            labs: config.per_lab.map(|limit| Limiter::new("The lab sends", limit, clock.clone())),
        }
    }

    /// Counts a request of a user.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn user(&self, user: &Subject) -> Result<Option<Standing>, Error> {
        self.users.as_ref().map(|limiter| limiter.count(user)).transpose()
    }

    /// Counts a request in a lab.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn lab(&self, lab: LabId) -> Result<Option<Standing>, Error> {
        self.labs.as_ref().map(|limiter| limiter.count(&lab)).transpose()
    }
}

/// Where a caller stands with a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Requests in a minute.
    limit: NonZeroU32,
    /// Requests that may be sent at once.
    remaining: u32,
}

impl Standing {
    /// The one of the two that is reached first.
    pub(crate) fn tighter(first: Option<Self>, second: Option<Self>) -> Option<Self> {
        first.into_iter().chain(second).min_by_key(|standing| standing.remaining)
    }

    /// Adds the `RateLimit` headers.
    pub(crate) fn add_to(self, headers: &mut HeaderMap) {
        // One comes back every 60 s / limit.
        let missing = u64::from(self.limit.get().saturating_sub(self.remaining));
        let reset = (missing * 60).div_ceil(u64::from(self.limit.get()));
        for (name, value) in [
            ("ratelimit-limit", u64::from(self.limit.get())),
            ("ratelimit-remaining", u64::from(self.remaining)),
            ("ratelimit-reset", reset),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
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

    fn count(&self, key: &K) -> Result<Standing, Error> {
        if self.counts.len() > MAX_COUNTS {
            self.counts.retain_recent();
        }
        match self.counts.check_key(key) {
            Ok(state) => Ok(Standing { limit: self.limit, remaining: state.remaining_burst_capacity() }),
            Err(not_until) => Err(self.refusal(not_until.wait_time_from(self.clock.now()))),
        }
    }

    fn refusal(&self, wait: Duration) -> Error {
        let detail = format!("{} more than {} requests in a minute. Wait, then go on.", self.who, self.limit);
        let seconds = u16::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u16::MAX).max(1);
        Error::new(Code::TooManyRequests, detail)
            .retry_after(seconds)
            .at_limit(Standing { limit: self.limit, remaining: 0 })
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn limits(per_user: u32, per_lab: u32) -> (Limits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let config = RateConfig { per_user: NonZeroU32::new(per_user), per_lab: NonZeroU32::new(per_lab) };
        (Limits::with_clock(&config, &clock), clock)
    }

    fn user(id: usize) -> Subject {
        serde_json::from_value(id.into()).unwrap()
    }

    fn remaining(standing: Result<Option<Standing>, Error>) -> Result<Option<u32>, Code> {
        standing.map(|standing| standing.map(|it| it.remaining)).map_err(|error| error.code())
    }

    #[test]
    fn a_users_requests_are_counted_apart_from_others_and_come_back_over_a_minute() {
        let (limits, clock) = limits(3, 0);
        let (first, second) = (user(1), user(2));
        for left in [2, 1, 0] {
            assert_eq!(remaining(limits.user(&first)), Ok(Some(left)));
        }
        assert_eq!(remaining(limits.user(&first)), Err(Code::TooManyRequests));
        assert_eq!(remaining(limits.user(&second)), Ok(Some(2)));
        clock.advance(Duration::from_millis(19_999));
        assert_eq!(remaining(limits.user(&first)), Err(Code::TooManyRequests));
        clock.advance(Duration::from_millis(1));
        assert_eq!(remaining(limits.user(&first)), Ok(Some(0)));
        clock.advance(Duration::from_secs(60));
        assert_eq!(remaining(limits.user(&first)), Ok(Some(2)));
    }

    #[test]
    fn a_limit_that_is_not_set_allows_everything() {
        let (limits, _) = limits(0, 1);
        let (user, lab) = (user(1), LabId::new(123).unwrap());
        for _ in 0..100 {
            assert_eq!(remaining(limits.user(&user)), Ok(None));
        }
        assert_eq!(remaining(limits.lab(lab)), Ok(Some(0)));
        assert_eq!(remaining(limits.lab(lab)), Err(Code::TooManyRequests));
    }

    #[test]
    fn counts_that_are_full_again_are_forgotten() {
        let (limits, clock) = limits(1, 0);
        let users = limits.users.as_ref().unwrap();
        for id in 0..=MAX_COUNTS {
            users.count(&user(id)).unwrap();
        }
        clock.advance(Duration::from_secs(300));
        users.count(&user(0)).unwrap();
        assert_eq!(users.counts.len(), 1);
    }

    #[test]
    fn the_headers_tell_the_limit_what_is_left_and_when_all_of_it_is_back() {
        let limit = NonZeroU32::new(600).unwrap();
        let told = |remaining| {
            let mut headers = HeaderMap::new();
            Standing { limit, remaining }.add_to(&mut headers);
            ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
                .map(|name| headers[name].to_str().unwrap().to_owned())
        };
        assert_eq!(told(600), ["600", "600", "0"]);
        assert_eq!(told(599), ["600", "599", "1"]);
        assert_eq!(told(0), ["600", "0", "60"]);
    }
}
