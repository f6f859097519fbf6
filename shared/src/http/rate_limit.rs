//! The `RateLimit` headers, which tell a client how much of its limit is left.

use std::num::NonZeroU32;

use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};

/// How much of a limit of requests is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests in a minute.
    pub limit: NonZeroU32,
    /// Requests that may be sent at once.
    pub remaining: u32,
}

impl RateLimitStatus {
    /// Adds the headers.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_headers_state_the_limit_what_is_left_and_when_all_of_it_is_back() {
        let limit = NonZeroU32::new(600).unwrap();
        let headers = |remaining| {
            let mut headers = HeaderMap::new();
            RateLimitStatus { limit, remaining }.add_to(&mut headers);
            ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
                .map(|name| headers[name].to_str().unwrap().to_owned())
        };
        assert_eq!(headers(600), ["600", "600", "0"]);
        assert_eq!(headers(599), ["600", "599", "1"]);
        assert_eq!(headers(0), ["600", "0", "60"]);
    }
}
