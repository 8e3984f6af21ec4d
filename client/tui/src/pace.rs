//! When the next frame is drawn: thirty times a second at most, and only when something has changed. Pure.
//!
//! Changes of workers and output wait for a slot of their own rate, so that a flood leaves room for keys: a key is drawn at once
//! unless thirty frames were drawn within the last second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Frames of a second.
const MOST: usize = 30;
const SECOND: Duration = Duration::from_secs(1);
/// Time between two frames that no key asked for: a third of the frames is left to keys.
const GAP: Duration = Duration::from_millis(50);

/// The frames of the last second, and the wish for another one.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    drawn: VecDeque<Instant>,
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
        let after = |then: Option<&Instant>, gap: Duration| {
            then.map_or(Duration::ZERO, |then| (*then + gap).saturating_duration_since(now))
        };
        let full = self.drawn.len().checked_sub(MOST).and_then(|at| self.drawn.get(at));
        let of_flood = if self.is_urgent { Duration::ZERO } else { after(self.drawn.back(), GAP) };
        Some(after(full, SECOND).max(of_flood))
    }

    /// A frame was drawn.
    pub(crate) fn drawn(&mut self, now: Instant) {
        (self.is_stale, self.is_urgent) = (false, false);
        self.drawn.push_back(now);
        while self.drawn.len() > MOST {
            self.drawn.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

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
        // A key is held down beside a flood, for three seconds.
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
            assert!(within <= MOST, "{within}");
        }
        assert!(frames.len() >= 90, "{}", frames.len());
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
