//! Reports to the loop: none is lost, and none is waited for.

use super::FromOutput;
use crate::mailbox::Post;
use std::collections::VecDeque;
use std::time::Duration;

/// Time to the next try of a report for which the loop's queue had no room.
const RETRY: Duration = Duration::from_millis(5);

/// The queue to the loop, and the reports that wait for room in it.
#[derive(Debug)]
pub(super) struct Reports {
    to_main: Post<FromOutput>,
    waiting: VecDeque<FromOutput>,
}

impl Reports {
    pub(super) fn new(to_main: Post<FromOutput>) -> Self {
        Self { to_main, waiting: VecDeque::new() }
    }

    /// Sends a report now, or later, in order.
    pub(super) fn send(&mut self, report: FromOutput) {
        self.waiting.push_back(report);
        self.retry();
    }

    /// Sends the waiting reports, as far as there is room.
    pub(super) fn retry(&mut self) {
        while let Some(report) = self.waiting.pop_front() {
            if let Err(report) = self.to_main.try_send(report) {
                self.waiting.push_front(report);
                return;
            }
        }
    }

    /// Returns the time of the next try, if any report waits.
    pub(super) fn due(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(RETRY)
    }
}
