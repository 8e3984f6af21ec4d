//! Local time of day. Loaded only by verbs that show it: reading the time zone costs more than most requests.

use gob_client::protocol::Timestamp;
use jiff::tz::TimeZone;

/// The user's time zone.
pub(crate) struct Clock(TimeZone);

impl Clock {
    /// Loads the zone that TZ or the system names; UTC where there is none.
    pub(crate) fn local() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// Formats a time as `10:00:00.123`, with its date if it is not today's: `2026-11-20 10:00:00.123`.
    pub(crate) fn stamp(&self, time: Timestamp, now: Timestamp) -> String {
        let [time, now] = [time, now].map(|time| {
            jiff::Timestamp::from_millisecond(time.0).unwrap_or_default().to_zoned(self.0.clone())
        });
        let format = if time.date() == now.date() { "%H:%M:%S.%3f" } else { "%Y-%m-%d %H:%M:%S.%3f" };
        time.strftime(format).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_date_is_shown_when_it_is_not_today() {
        let clock = Clock(TimeZone::UTC);
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let (evening, morning) = (at("2026-11-20T23:59:59.999Z"), at("2026-11-21T00:00:00.000Z"));
        assert_eq!(clock.stamp(evening, evening), "23:59:59.999");
        assert_eq!(clock.stamp(evening, morning), "2026-11-20 23:59:59.999");
    }
}
