//! `[lanes.NAME]` and `[queue]`: the settings of the durable queue.

use crate::reader::{Reader, Section};
use crate::scalar::duration_ms;
use gob_protocol::queue::{LaneName, MAX_QUEUE_ATTEMPTS, MAX_WIDTH};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The greatest niceness: such a process runs when no other wants to.
const MAX_NICE: u32 = 19;

/// Settings of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LaneSettings {
    /// Jobs that the supervisor runs at once.
    pub width: Option<u32>,
    /// The niceness of its processes.
    pub nice: Option<u32>,
}

/// Settings of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// The time between two signs of life of a claimant, as it is asked to keep it.
    pub heartbeat_ms: u64,
    /// The time without one after which a claim is taken back.
    pub stale_after_ms: u64,
    /// Attempts of a job that says nothing else.
    pub max_attempts: u32,
    /// The age at which a job that has ended leaves the queue.
    pub keep_finished_ms: u64,
    /// The first and the longest delay before another attempt.
    pub backoff_ms: (u64, u64),
}

impl Default for Queue {
    fn default() -> Self {
        Self {
            heartbeat_ms: 10_000,
            stale_after_ms: 60_000,
            max_attempts: 3,
            keep_finished_ms: 7 * 24 * 3_600_000,
            backoff_ms: (1_000, 300_000),
        }
    }
}

impl<'t> Reader<'t> {
    /// Reads `[lanes]`.
    pub(super) fn lanes(&mut self, root: &Section<'_, 't>) -> BTreeMap<String, LaneSettings> {
        let Some(lanes) = self.section(root, "lanes") else { return BTreeMap::new() };
        let mut all = BTreeMap::new();
        for (key, item) in lanes.table {
            let name = key.get_ref().as_ref();
            if LaneName::new(name).is_err() {
                let message =
                    format!("a lane is named as a job is: [A-Za-z0-9][A-Za-z0-9._-]{{0,63}}, not {name:?}");
                self.problem(key.span().start, lanes.key_of(name), message);
            }
            let Some(lane) = self.as_section(item, lanes.key_of(name)) else { continue };
            self.only(&lane, &["width", "nice", "shared"], &[]);
            if self.flag(&lane, "shared") == Some(true) {
                let at = lane.get("shared").map_or(lane.span.start, |item| item.span().start);
                let message = "lanes that several machines share are not supported by this version yet";
                self.problem(at, lane.key_of("shared"), message);
            }
            let width = self.number(&lane, "width", 0..=MAX_WIDTH);
            let nice = self.number(&lane, "nice", 0..=MAX_NICE);
            all.insert(name.to_owned(), LaneSettings { width, nice });
        }
        all
    }

    /// Reads `[queue]`.
    pub(super) fn queue(&mut self, root: &Section<'_, 't>) -> Queue {
        let mut queue = Queue::default();
        let Some(table) = self.section(root, "queue") else { return queue };
        self.only(&table, &["heartbeat", "stale_after", "max_attempts", "keep_finished", "backoff"], &[]);
        for (name, ms) in [
            ("heartbeat", &mut queue.heartbeat_ms),
            ("stale_after", &mut queue.stale_after_ms),
            ("keep_finished", &mut queue.keep_finished_ms),
        ] {
            if let Some(said) = self.parsed(&table, name, duration_ms) {
                *ms = said;
            }
        }
        if let Some(attempts) = self.number(&table, "max_attempts", 1..=MAX_QUEUE_ATTEMPTS) {
            queue.max_attempts = attempts;
        }
        if let Some(delays) = self.backoff(&table) {
            queue.backoff_ms = delays;
        }
        if queue.stale_after_ms <= queue.heartbeat_ms {
            let at = table.get("stale_after").or_else(|| table.get("heartbeat"));
            let at = at.map_or(table.span.start, |item| item.span().start);
            let message = "it has to be longer than queue.heartbeat: each claim would be taken for dead";
            self.problem(at, "queue.stale_after", message);
        }
        queue
    }
}
