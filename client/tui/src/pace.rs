//! When the next frame is drawn: thirty times a second at most, and only when something has changed. Pure.
//!
//! Frames are drawn out of a small stock that fills again steadily. A key takes any frame of it and so is drawn at once, also when
//! another one comes every 40 ms; a key that is held down is drawn at an even rate. Changes of workers and output leave the last
//! frames of the stock to keys.

use std::time::{Duration, Instant};

/// Time in which the stock grows by one frame.
const FRAME: Duration = Duration::from_millis(40);
/// Frames of a full stock. With the 25 that come within a second they are the thirty.
const STOCK: u32 = 5;
/// Frames that only keys may take.
const FOR_KEYS: u32 = 2;

/// The stock of frames, and the wish for another one.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the stock is full again.
    full: Option<Instant>,
    /// Something has changed since the last frame.
    is_stale: bool,
    /// It was a key or the mouse.
    is_urgent: bool,
}

impl Pace {
    /// Something has changed; `urgent` where a person did it.
    pub(crate) fn changed(&mut self, urgent: bool) {
        self.is_stale = true;
        self.is_urgent |= urgent;
    }

    /// Returns the time until the next frame; `None` while nothing has changed.
    pub(crate) fn wait(&self, now: Instant) -> Option<Duration> {
        if !self.is_stale {
            return None;
        }
        let missing = self.full.map_or(Duration::ZERO, |full| full.saturating_duration_since(now));
        let left = if self.is_urgent { 0 } else { FOR_KEYS };
        Some(missing.saturating_sub(FRAME * (STOCK - 1 - left)))
    }

    /// A frame was drawn.
    pub(crate) fn drawn(&mut self, now: Instant) {
        (self.is_stale, self.is_urgent) = (false, false);
        self.full = Some(self.full.map_or(now, |full| full.max(now)) + FRAME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_is_drawn_at_once_where_a_flood_waits() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.wait(start), None);
        for _ in 0..3 {
            pace.changed(false);
            assert_eq!(pace.wait(start), Some(Duration::ZERO));
            pace.drawn(start);
            assert_eq!(pace.wait(start + MS), None, "nothing has changed");
        }
        pace.changed(false);
        assert_eq!(pace.wait(start + MS), Some(39 * MS));
        pace.changed(true);
        assert_eq!(pace.wait(start + MS), Some(Duration::ZERO));
    }

    #[test]
    fn no_second_has_more_than_thirty_frames() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let (mut now, mut frames) = (start, Vec::new());
        // A key is held down for three seconds.
        while now < start + 3 * SECOND {
            pace.changed(true);
            if pace.wait(now) == Some(Duration::ZERO) {
                pace.drawn(now);
                frames.push(now);
            }
            now += MS;
        }
        for (at, frame) in frames.iter().enumerate() {
            let within = frames.iter().skip(at).take_while(|later| **later < *frame + SECOND).count();
            assert!(within <= 30, "{within}");
        }
        assert!(frames.len() >= 75, "{}", frames.len());
    }

    #[test]
    fn a_key_that_comes_as_often_as_the_stock_grows_is_always_drawn_at_once() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for now in (0..3_000).map(|ms| start + ms * MS) {
            let is_key = now.duration_since(start).as_millis() % 40 == 0;
            pace.changed(is_key);
            let wait = pace.wait(now);
            assert!(!is_key || wait == Some(Duration::ZERO), "{wait:?}");
            if wait == Some(Duration::ZERO) {
                pace.drawn(now);
            }
        }
    }

    #[test]
    fn a_change_after_a_held_key_is_drawn_soon() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let mut now = start;
        while now < start + SECOND {
            pace.changed(true);
            if pace.wait(now) == Some(Duration::ZERO) {
                pace.drawn(now);
            }
            now += MS;
        }
        pace.changed(false);
        assert!(pace.wait(now) <= Some(FRAME * (1 + FOR_KEYS)), "{:?}", pace.wait(now));
    }

    #[test]
    fn a_flood_alone_leaves_frames_to_keys() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for now in (0..3_000).map(|ms| start + ms * MS) {
            pace.changed(false);
            if pace.wait(now) == Some(Duration::ZERO) {
                pace.drawn(now);
            }
            let mut with_keys = Pace { full: pace.full, ..Pace::default() };
            for _ in 0..FOR_KEYS {
                with_keys.changed(true);
                assert_eq!(with_keys.wait(now), Some(Duration::ZERO));
                with_keys.drawn(now);
            }
        }
    }
}
