//! When the next attempt of a delivery is due.

use std::time::Duration;

use crate::{base::time::Timestamp, config::DeliveryTimes};

/// The longest pause that an endpoint can ask for.
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// Deliveries that failed together are not tried again together.
const JITTER: f64 = 0.1;

/// When the next attempt is due after `attempts` that failed; `None` if the delivery has failed. An endpoint can ask for a later
/// time.
pub(super) fn next_attempt(
    times: &DeliveryTimes,
    attempts: u32,
    now: Timestamp,
    retry_after: Option<Duration>,
) -> Option<Timestamp> {
    let pause = times.retries.get(usize::try_from(attempts).ok()?.checked_sub(1)?)?;
    Some(now.plus(with_jitter(*pause).max(retry_after.unwrap_or_default())))
}

/// A random time that is up to a tenth longer.
pub(super) fn with_jitter(time: Duration) -> Duration {
    time.mul_f64(1.0 + JITTER * fastrand::f64())
}

/// The time of a `Retry-After` header: seconds or a date, at most 24 hours. `None` for anything else.
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let time = match value.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => Timestamp::parse_http_date(value)?.duration_since(now),
    };
    Some(time.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::parse("2026-11-28T22:41:06.000Z").unwrap()
    }

    #[test]
    fn nine_attempts_follow_the_first_one_with_a_jitter_of_a_tenth() {
        let times = DeliveryTimes::default();
        let minutes: Vec<f64> = (1..=9)
            .map(|attempts| {
                let wait = next_attempt(&times, attempts, now(), None).unwrap().duration_since(now());
                let pause = times.retries[attempts as usize - 1];
                assert!(pause <= wait && wait <= pause.mul_f64(1.1), "{wait:?}");
                pause.as_secs_f64() / 60.0
            })
            .collect();
        let hour = 60.0;
        let expected = [
            5.0 / 60.0,
            5.0,
            30.0,
            2.0 * hour,
            5.0 * hour,
            10.0 * hour,
            14.0 * hour,
            20.0 * hour,
            24.0 * hour,
        ];
        assert_eq!(minutes, expected);
        assert_eq!(next_attempt(&times, 10, now(), None), None);
    }

    #[test]
    fn an_endpoint_can_ask_for_a_later_attempt_but_not_for_an_earlier_one() {
        let times = DeliveryTimes::default();
        let wait = |attempts, seconds| {
            let retry_after = Some(Duration::from_secs(seconds));
            next_attempt(&times, attempts, now(), retry_after).unwrap().duration_since(now()).as_secs()
        };
        assert_eq!(wait(1, 3600), 3600);
        assert!(wait(2, 10) >= 300);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_of_at_most_a_day() {
        let seconds = |value| retry_after(value, now()).map(|time| time.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Sat, 28 Nov 2026 22:43:06 GMT"), Some(120));
        assert_eq!(seconds("Sat, 28 Nov 2020 22:43:06 GMT"), Some(0));
        assert_eq!(seconds("999999999"), Some(86_400));
        assert_eq!(seconds("Sat, 28 Nov 2099 22:43:06 GMT"), Some(86_400));
        for value in ["", "-1", "1.5", "soon", "99999999999999999999999"] {
            assert_eq!(seconds(value), None, "{value}");
        }
    }
}
