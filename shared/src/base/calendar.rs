//! Business days: Monday to Friday, except the configured holidays.

use jiff::civil::{Date, Weekday};

/// Knows on which days labs work.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    holidays: Vec<Date>,
}

impl Calendar {
    /// Makes a calendar with these holidays.
    pub fn new(holidays: Vec<Date>) -> Self {
        Self { holidays }
    }

    /// Returns the date `days` business days after `start`.
    pub fn after(&self, start: Date, days: u32) -> Date {
        let mut day = start;
        let mut left = days;
        while left > 0 {
            // Fails only after the year 9999.
            let Ok(next) = day.tomorrow() else { return day };
            day = next;
            if self.is_business_day(day) {
                left -= 1;
            }
        }
        day
    }

    fn is_business_day(&self, day: Date) -> bool {
        !matches!(day.weekday(), Weekday::Saturday | Weekday::Sunday) && !self.holidays.contains(&day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn date(text: &str) -> Date {
        text.parse().unwrap()
    }

    #[test]
    fn weekends_and_holidays_are_not_business_days() {
        let calendar = Calendar::default();
        assert_eq!(calendar.after(date("2026-11-24"), 1), date("2026-11-25"));
        assert_eq!(calendar.after(date("2026-11-24"), 5), date("2026-12-01"));
        assert_eq!(calendar.after(date("2026-11-28"), 1), date("2026-11-30"), "from a Saturday");
        let calendar = Calendar::new(vec![date("2026-11-26"), date("2026-11-27")]);
        assert_eq!(calendar.after(date("2026-11-24"), 5), date("2026-12-03"));
        assert_eq!(calendar.after(date("2026-12-31"), 1), date("2027-01-01"));
    }
}
