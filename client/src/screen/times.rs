//! Durations and times of day in the words of people.

use gob_protocol::Timestamp;
use std::time::Duration;

/// Returns a duration in one unit, short enough for a table: `38ms`, `1.2s`, `12s`, `2m`, `3h`, `4d`.
#[must_use]
pub fn short_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    let seconds = duration.as_secs();
    match seconds {
        0 if millis < 1000 => format!("{millis}ms"),
        0..10 => format!("{}.{}s", seconds, millis % 1000 / 100),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86400),
    }
}

/// Returns a duration in words: `38 ms`, `1.2 s`.
#[must_use]
pub fn took(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 { format!("{millis} ms") } else { format!("{:.1} s", duration.as_secs_f64()) }
}

/// Returns an uptime in whole units: `0s`, `59s`, `2m`, `3h`, `4d`.
#[must_use]
pub fn up(duration: Duration) -> String {
    if duration < Duration::from_secs(10) {
        format!("{}s", duration.as_secs())
    } else {
        short_duration(duration)
    }
}

/// Returns the time from then until now; zero for a time in the future.
#[must_use]
pub fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.0.saturating_sub(then.0)).unwrap_or(0))
}
