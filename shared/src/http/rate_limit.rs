//! The `RateLimit` headers, which show a client how many requests it has left.

use std::num::NonZeroU32;

use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};

/// A rate limit and how many requests are left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimitStatus {
    /// Requests in a minute.
    pub limit: NonZeroU32,
    /// Requests that the client may send at once.
    pub remaining: u32,
}

impl RateLimitStatus {
    /// Adds the headers.
    pub(crate) fn add_to(self, headers: &mut HeaderMap) {
        // One request becomes available every 60 s / limit.
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
    fn the_headers_show_the_limit_the_remaining_requests_and_the_seconds_until_the_full_limit() {
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
