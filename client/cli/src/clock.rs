//! Local time of day. Loaded only by verbs that show it: reading the time zone costs more than most requests.

use gob_client::protocol::Timestamp;
use jiff::tz::TimeZone;

/// The user's time zone.
pub(crate) struct Clock(TimeZone);

impl Clock {
    /// The zone that TZ or the system names; UTC where there is none.
    pub(crate) fn local() -> Self {
        Self(TimeZone::try_system().unwrap_or(TimeZone::UTC))
    }

    /// `10:00:00.123`.
    pub(crate) fn time_of_day(&self, time: Timestamp) -> String {
        let time = jiff::Timestamp::from_millisecond(time.0).unwrap_or_default();
        time.to_zoned(self.0.clone()).strftime("%H:%M:%S.%3f").to_string()
    }
}
