//! Timestamps in the format of the API: RFC 3339, UTC, milliseconds.

use std::fmt;

use jiff::{SignedDuration, Unit, civil::Date, fmt::temporal::DateTimePrinter, tz::TimeZone};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A moment in UTC to the millisecond, written as `2026-11-24T09:30:00.000Z`. Sorting the texts sorts the moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(jiff::Timestamp);

impl Timestamp {
    /// The current moment.
    pub fn now() -> Self {
        Self::truncated(jiff::Timestamp::now())
    }

    /// The moment that is this many milliseconds after the Unix epoch; `None` if it is out of range.
    pub fn from_epoch_milliseconds(milliseconds: i64) -> Option<Self> {
        jiff::Timestamp::from_millisecond(milliseconds).ok().map(Self)
    }

    /// Reads RFC 3339. `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        text.parse().ok().map(Self::truncated)
    }

    /// Seconds since the Unix epoch, the unit of DynamoDB's TTL and of JWTs.
    pub fn epoch_seconds(self) -> i64 {
        self.0.as_second()
    }

    /// Milliseconds since the Unix epoch, the unit of CloudWatch.
    pub(crate) fn epoch_milliseconds(self) -> i64 {
        self.0.as_millisecond()
    }

    /// The moment `days` days of 24 hours later, in seconds since the Unix epoch.
    pub fn epoch_seconds_after_days(self, days: u32) -> i64 {
        let later = self.0.checked_add(SignedDuration::from_hours(i64::from(days) * 24));
        later.unwrap_or(jiff::Timestamp::MAX).as_second()
    }

    /// The moment `days` days of 24 hours earlier.
    pub fn days_ago(self, days: u32) -> Self {
        self.minus(std::time::Duration::from_secs(u64::from(days) * 86_400))
    }

    /// The seconds since an earlier moment; negative for a later one.
    pub fn seconds_since(self, earlier: Self) -> i64 {
        self.epoch_seconds().saturating_sub(earlier.epoch_seconds())
    }

    /// The time since an earlier moment; zero for a later one.
    pub(crate) fn duration_since(self, earlier: Self) -> std::time::Duration {
        self.0.duration_since(earlier.0).try_into().unwrap_or_default()
    }

    /// Reads a date as HTTP headers have it, such as `Sat, 28 Nov 2026 22:41:06 GMT`. `None` for anything else.
    pub(crate) fn parse_http_date(text: &str) -> Option<Self> {
        jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(Self::truncated)
    }

    /// The moment this long before.
    pub(crate) fn minus(self, time: std::time::Duration) -> Self {
        Self(self.0.checked_sub(time).unwrap_or(jiff::Timestamp::MIN))
    }

    /// The moment this long after.
    pub(crate) fn plus(self, time: std::time::Duration) -> Self {
        Self::truncated(self.0.checked_add(time).unwrap_or(jiff::Timestamp::MAX))
    }

    /// The calendar date in UTC.
    pub fn date(self) -> Date {
        TimeZone::UTC.to_datetime(self.0).date()
    }

    fn truncated(moment: jiff::Timestamp) -> Self {
        let rounding = jiff::TimestampRound::new().smallest(Unit::Millisecond).mode(jiff::RoundMode::Floor);
        // Rounding fails only at the end of the representable range, in the year 9999.
        Self(moment.round(rounding).unwrap_or(moment))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MILLISECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(3));
        f.write_str(&MILLISECONDS.timestamp_to_string(&self.0))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_always_shows_three_decimals() {
        let whole: Timestamp = serde_json::from_str("\"2026-11-24T09:30:00Z\"").unwrap();
        assert_eq!(serde_json::to_string(&whole).unwrap(), "\"2026-11-24T09:30:00.000Z\"");
    }

    #[test]
    fn a_date_of_a_header_is_a_moment() {
        let at = Timestamp::parse("2026-11-28T22:41:06Z").unwrap();
        assert_eq!(Timestamp::parse_http_date("Sat, 28 Nov 2026 22:41:06 GMT"), Some(at));
        assert_eq!(Timestamp::parse_http_date("tomorrow"), None);
        let later = at.plus(std::time::Duration::from_millis(1500));
        assert_eq!(later.duration_since(at).as_millis(), 1500);
        assert!(at.duration_since(later).is_zero());
    }

    #[test]
    fn writing_and_reading_now_returns_the_same_moment() {
        let now = Timestamp::now();
        let back: Timestamp = serde_json::from_str(&serde_json::to_string(&now).unwrap()).unwrap();
        assert_eq!(back, now);
    }
}
