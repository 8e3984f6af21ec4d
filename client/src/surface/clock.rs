//! Local time of day, and the present.

use gob_protocol::Timestamp;
use jiff::tz::TimeZone;

/// The user's time zone.
#[derive(Debug, Clone)]
pub struct Clock(TimeZone);

impl Clock {
    /// Loads the zone that TZ or the system names; UTC where there is none.
    #[must_use]
    pub fn local() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// Returns the clock of UTC, for tests.
    #[must_use]
    pub const fn utc() -> Self {
        Self(TimeZone::UTC)
    }

    /// Formats a time as `10:00:00`, with its date if it is not today's.
    #[must_use]
    pub fn stamp(&self, time: Timestamp, now: Timestamp) -> String {
        let [time, now] = [time, now].map(|time| {
            jiff::Timestamp::from_millisecond(time.0).unwrap_or_default().to_zoned(self.0.clone())
        });
        let format = if time.date() == now.date() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        time.strftime(format).to_string()
    }

    /// Formats a time as `10:00:00.123`, as the lines of a log have it.
    #[must_use]
    pub fn exact(&self, time: Timestamp) -> String {
        let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
        time.to_zoned(self.0.clone()).strftime("%H:%M:%S.%3f").to_string()
    }
}

/// Returns the present.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp(jiff::Timestamp::now().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_shown_when_it_is_not_today() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (evening, morning) = (at("2026-11-20T23:59:59.999Z"), at("2026-11-21T00:00:00.000Z"));
        assert_eq!(Clock::utc().stamp(evening, evening), "23:59:59");
        assert_eq!(Clock::utc().stamp(evening, morning), "2026-11-20 23:59:59");
        assert_eq!(Clock::utc().exact(evening), "23:59:59.999");
    }
}
