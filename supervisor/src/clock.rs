//! The clock as the core takes it: milliseconds since boot, so that one supervisor can hand its deadlines to the next.

use crate::sys::clock::monotonic_ms;
use gob_core::Now;
use gob_protocol::Timestamp;
use std::time::{Duration, Instant, SystemTime};

/// A moment on both of the clocks that count from boot: the standard library does not tell its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    read: Instant,
    read_ms: u64,
}

impl Clock {
    /// Reads both clocks.
    pub(crate) fn read() -> Self {
        Self { read: Instant::now(), read_ms: monotonic_ms() }
    }

    /// Returns when it was read.
    pub(crate) const fn start(self) -> Instant {
        self.read
    }

    /// Returns the time as the core takes it.
    pub(crate) fn now(self) -> Now {
        let wall = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let since = millis(self.read.elapsed());
        Now {
            mono_ms: self.read_ms.saturating_add(since),
            wall: Timestamp(i64::try_from(wall.as_millis()).unwrap_or(i64::MAX)),
        }
    }

    /// Returns a moment as the core counts it.
    pub(crate) fn mono_ms(self, at: Instant) -> u64 {
        let since = millis(at.saturating_duration_since(self.read));
        (self.read_ms + since).saturating_sub(millis(self.read.saturating_duration_since(at)))
    }

    /// Returns a moment that was before the clock was read, or when that was.
    pub(crate) fn earlier(self, mono_ms: u64) -> Instant {
        let ago = Duration::from_millis(self.read_ms.saturating_sub(mono_ms));
        self.read.checked_sub(ago).unwrap_or(self.read)
    }

    /// Returns the moment of one of the core's deadlines; one before the clock was read has come.
    pub(crate) fn instant(self, mono_ms: u64) -> Instant {
        self.read + Duration::from_millis(mono_ms.saturating_sub(self.read_ms))
    }
}

/// Returns whole milliseconds, as the core counts time.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_as_far_away_as_the_core_says() {
        let clock = Clock::read();
        let now = clock.now();
        assert!(now.mono_ms >= monotonic_ms().saturating_sub(60_000) && now.mono_ms > 0, "since boot");
        let after = clock.instant(now.mono_ms + 500).saturating_duration_since(clock.instant(now.mono_ms));
        assert_eq!(after, Duration::from_millis(500));
        assert_eq!(clock.instant(0), clock.start());
    }
}
