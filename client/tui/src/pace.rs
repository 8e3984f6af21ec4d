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
/// Time between two frames that no key asked for.
const GAP: Duration = Duration::from_millis(50);

/// The stock of frames, and the wish for another one.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When the last frame was drawn, and when the stock is full again.
    last: Option<(Instant, Instant)>,
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
        let Some((drawn, full)) = self.last else { return Some(Duration::ZERO) };
        let until = |then: Instant| then.saturating_duration_since(now);
        let stocked = |left: u32| until(full).saturating_sub(FRAME * (STOCK - 1 - left));
        Some(if self.is_urgent { stocked(0) } else { stocked(FOR_KEYS).max(until(drawn + GAP)) })
    }

    /// A frame was drawn.
    pub(crate) fn drawn(&mut self, now: Instant) {
        (self.is_stale, self.is_urgent) = (false, false);
        let full = self.last.map_or(now, |(_, full)| full.max(now));
        self.last = Some((now, full + FRAME));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_key_is_drawn_at_once_and_a_flood_waits_for_its_slot() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        assert_eq!(pace.wait(start), None);
        pace.changed(false);
        assert_eq!(pace.wait(start), Some(Duration::ZERO));
        pace.drawn(start);
        assert_eq!(pace.wait(start + MS), None, "nothing has changed");
        pace.changed(false);
        assert_eq!(pace.wait(start + MS), Some(49 * MS));
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
    fn a_flood_alone_leaves_a_third_of_the_frames() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let (mut now, mut frames) = (start, 0);
        while now < start + SECOND {
            pace.changed(false);
            if pace.wait(now) == Some(Duration::ZERO) {
                pace.drawn(now);
                frames += 1;
            }
            now += MS;
        }
        assert_eq!(frames, 20);
    }
}
