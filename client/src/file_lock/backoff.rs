//! The pauses between two looks at a lock file that is held. Pure.

use std::time::Duration;

/// The longest pause is so many first ones.
const MOST: u32 = 10;

/// Pauses that grow by half each time, up to ten first ones, each shortened by chance by up to a half: programs that came at
/// once don't look at once.
#[derive(Debug, Clone)]
pub(super) struct Backoff {
    next: Duration,
    most: Duration,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        Self { next: first, most: first.saturating_mul(MOST) }
    }

    /// Returns the next pause. `dice` is any number.
    pub(super) fn pause(&mut self, dice: u64) -> Duration {
        let full = self.next;
        self.next = full.saturating_add(full / 2).min(self.most);
        let half = full / 2;
        let part = u32::try_from(dice % 1_000).unwrap_or_default();
        full.saturating_sub(half.saturating_mul(part) / 1_000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_ten_times_the_first_and_differ_by_up_to_a_half() {
        let mut backoff = Backoff::new(Duration::from_millis(100));
        let pauses: Vec<u128> = (0..8).map(|_| backoff.pause(0).as_millis()).collect();
        assert_eq!(pauses, [100, 150, 225, 337, 506, 759, 1_000, 1_000]);
        let mut backoff = Backoff::new(Duration::from_millis(100));
        assert_eq!(backoff.pause(999).as_millis(), 50);
        let mut huge = Backoff::new(Duration::MAX);
        assert!((0..100).all(|dice| huge.pause(dice) >= Duration::MAX / 2));
    }
}
