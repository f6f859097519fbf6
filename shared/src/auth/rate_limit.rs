//! Rate limits: how many requests a user, a lab, and an address without a valid token may send in a minute.
//!
//! Each instance of a function counts for itself in memory, which costs no round trip. An instance serves one request at a
//! time, so a client that waits for each response usually reaches the same instance and the same count. ADR 14 says what
//! this can and cannot limit.

use std::{
    hash::Hash,
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::{Clock, SystemClock},
    middleware::StateInformationMiddleware,
    state::keyed::HashMapStateStore,
};

use super::request_context::source_ip;
use crate::{
    base::{
        LabId, Subject,
        error::{Error, ErrorCode},
    },
    config::RateConfig,
    http::{RateLimitStatus, Request},
    telemetry::LogContext,
};

/// Above this number of counts, the limiter removes the counts of clients that have their full limit again.
const MAX_COUNTS: usize = 4096;

/// The limits of one instance. A limit that is not set allows everything.
///
/// The clock is the wall clock, because a monotonic clock may stop while Lambda freezes an instance between requests.
pub(crate) struct RateLimits<C: Clock = SystemClock> {
    users: Option<Limiter<Subject, C>>,
    labs: Option<Limiter<LabId, C>>,
}

impl RateLimits {
    /// Makes the configured limits.
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

    /// Counts a request of a user, and notes in `log` how many requests are left.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn count_user(&self, user: &Subject, log: &LogContext) -> Result<(), Error> {
        self.users.as_ref().map_or(Ok(()), |limiter| limiter.count(user, log))
    }

    /// Counts a request in a lab, in the same way.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn count_lab(&self, lab: LabId, log: &LogContext) -> Result<(), Error> {
        self.labs.as_ref().map_or(Ok(()), |limiter| limiter.count(&lab, log))
    }
}

/// The limit of one instance for requests without a valid token, by their source address.
pub(crate) struct SourceLimit<C: Clock = SystemClock>(Option<Limiter<IpAddr, C>>);

impl SourceLimit {
    /// Makes the limit. `None` allows everything.
    pub(crate) fn new(limit: Option<NonZeroU32>) -> Self {
        Self::with_clock(limit, SystemClock)
    }
}

impl<C: Clock + Clone> SourceLimit<C> {
    fn with_clock(limit: Option<NonZeroU32>, clock: C) -> Self {
        Self(limit.map(|limit| Limiter::new("Your address sent", limit, clock)))
    }

    /// Counts a request without a valid token. A request that did not come through the gateway has no address and is not
    /// counted.
    ///
    /// # Errors
    /// Too many requests.
    pub(crate) fn count(&self, request: &Request) -> Result<(), Error> {
        let address = source_ip(request).and_then(|address| address.parse().ok());
        let (Some(limiter), Some(address)) = (&self.0, address) else { return Ok(()) };
        limiter.check(&network(address)).map(|_| ())
    }
}

/// The address, or the first 64 bits of an IPv6 address: whoever has one of them has them all.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

/// Counts requests by key. It allows the requests of a minute at once; after that they become available again one by one
/// (GCRA).
struct Limiter<K: Hash + Eq + Clone, C: Clock> {
    subject: &'static str,
    limit: NonZeroU32,
    clock: C,
    counts: RateLimiter<K, HashMapStateStore<K>, C, StateInformationMiddleware>,
}

impl<K: Hash + Eq + Clone, C: Clock + Clone> Limiter<K, C> {
    fn new(subject: &'static str, limit: NonZeroU32, clock: C) -> Self {
        let counts =
            RateLimiter::hashmap_with_clock(Quota::per_minute(limit), clock.clone()).with_middleware();
        Self { subject, limit, clock, counts }
    }

    /// Counts a request, and notes in `log` how many are left.
    fn count(&self, key: &K, log: &LogContext) -> Result<(), Error> {
        let counted = self.check(key);
        let remaining = *counted.as_ref().unwrap_or(&0);
        log.note_rate_limit(RateLimitStatus { limit: self.limit, remaining });
        counted.map(|_| ())
    }

    /// Counts a request. Returns how many are left.
    fn check(&self, key: &K) -> Result<u32, Error> {
        if self.counts.len() > MAX_COUNTS {
            self.counts.retain_recent();
        }
        match self.counts.check_key(key) {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(not_until) => Err(self.rejection(not_until.wait_time_from(self.clock.now()))),
        }
    }

    fn rejection(&self, wait: Duration) -> Error {
        let (subject, limit) = (self.subject, self.limit);
        let detail = format!("{subject} more than {limit} requests in a minute. Wait, then try again.");
        let seconds = u16::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u16::MAX).max(1);
        Error::new(ErrorCode::TooManyRequests, detail).retry_after(seconds)
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;
    use lambda_http::RequestExt;

    use super::*;

    fn limits(per_user: u32, per_lab: u32) -> (RateLimits<FakeRelativeClock>, FakeRelativeClock) {
        let clock = FakeRelativeClock::default();
        let config = RateConfig { per_user: NonZeroU32::new(per_user), per_lab: NonZeroU32::new(per_lab) };
        (RateLimits::with_clock(&config, &clock), clock)
    }

    fn user(id: usize) -> Subject {
        serde_json::from_value(id.into()).unwrap()
    }

    /// Counts one request of the user. Returns how many are left, or why it was rejected.
    fn user_remaining(
        limits: &RateLimits<FakeRelativeClock>,
        user: &Subject,
    ) -> Result<Option<u32>, ErrorCode> {
        let log = LogContext::default();
        let counted = limits.count_user(user, &log).map_err(|error| error.code());
        counted.map(|()| log.rate_limit().map(|status| status.remaining))
    }

    #[test]
    fn each_user_has_an_own_count_that_recovers_within_a_minute() {
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
    fn counts_with_their_full_limit_are_removed() {
        let (limits, clock) = limits(1, 0);
        let users = limits.users.as_ref().unwrap();
        for id in 0..=MAX_COUNTS {
            users.count(&user(id), &LogContext::default()).unwrap();
        }
        clock.advance(Duration::from_secs(300));
        users.count(&user(0), &LogContext::default()).unwrap();
        assert_eq!(users.counts.len(), 1);
    }

    fn request_from(address: &str) -> Request {
        use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpRequestContext;
        let mut context = ApiGatewayV2httpRequestContext::default();
        context.http.source_ip = Some(address.to_owned());
        Request::default().with_request_context(lambda_http::request::RequestContext::ApiGatewayV2(context))
    }

    #[test]
    fn each_address_or_ipv6_network_has_an_own_count() {
        let clock = FakeRelativeClock::default();
        let limit = SourceLimit::with_clock(NonZeroU32::new(2), clock.clone());
        let count = |address: &str| limit.count(&request_from(address)).map_err(|error| error.code());
        for _ in 0..2 {
            assert_eq!(count("192.0.2.1"), Ok(()));
        }
        assert_eq!(count("192.0.2.1"), Err(ErrorCode::TooManyRequests));
        assert_eq!(count("::ffff:192.0.2.1"), Err(ErrorCode::TooManyRequests));
        assert_eq!(count("192.0.2.2"), Ok(()));
        assert_eq!((count("2001:db8:0:1::1"), count("2001:db8:0:1:ffff::2")), (Ok(()), Ok(())));
        assert_eq!(count("2001:db8:0:1::3"), Err(ErrorCode::TooManyRequests));
        assert_eq!(count("2001:db8:0:2::1"), Ok(()));
        clock.advance(Duration::from_secs(30));
        assert_eq!((count("192.0.2.1"), count("192.0.2.1")), (Ok(()), Err(ErrorCode::TooManyRequests)));
        for _ in 0..10 {
            assert_eq!(limit.count(&Request::default()).map_err(|error| error.code()), Ok(()));
            assert_eq!(count("unknown"), Ok(()));
        }
    }
}
