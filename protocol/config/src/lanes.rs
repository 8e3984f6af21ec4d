//! `[lanes.NAME]`, `[queue]` and `[shared]`: the settings of the durable queue, and of the database that several machines share.

use crate::reader::{Reader, Section};
use crate::scalar::duration_ms;
use gob_protocol::queue::{LaneName, MAX_QUEUE_ATTEMPTS, MAX_WIDTH};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The greatest niceness: such a process runs when no other wants to.
const MAX_NICE: u32 = 19;

/// Settings of one lane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LaneSettings {
    /// Jobs that the supervisor runs at once.
    pub width: Option<u32>,
    /// The niceness of its processes.
    pub nice: Option<u32>,
    /// Its jobs are in the database that several machines share.
    #[serde(default)]
    pub shared: bool,
}

/// The database that several machines share.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Its address, which may have a password: only [`Self::shown`] is for people.
    pub url: String,
    /// The file that has its password.
    pub password_file: Option<String>,
}

impl Shared {
    /// Returns the address without a password.
    #[must_use]
    pub fn shown(&self) -> String {
        gob_protocol::database::shown(&self.url)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("url", &self.shown())
            .field("password_file", &self.password_file)
            .finish()
    }
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

/// Reads the address of a database. The text of a problem never has the address: a password may be in it.
fn database(text: &str) -> Result<String, String> {
    if let Some(problem) = gob_protocol::database::problem(text) {
        return Err(problem.to_owned());
    }
    Ok(text.to_owned())
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
            let shared = self.flag(&lane, "shared") == Some(true);
            let width = self.number(&lane, "width", 0..=MAX_WIDTH);
            let nice = self.number(&lane, "nice", 0..=MAX_NICE);
            all.insert(name.to_owned(), LaneSettings { width, nice, shared });
        }
        all
    }

    /// Reads `[shared]`.
    pub(super) fn shared(&mut self, root: &Section<'_, 't>) -> Option<Shared> {
        let table = self.section(root, "shared")?;
        self.only(&table, &["url", "password_file"], &[]);
        let password_file = self.path(&table, "password_file");
        if table.get("url").is_none() {
            let message =
                "it needs the address of a PostgreSQL database: url = \"postgres://user@host/database\"";
            self.problem(table.span.start, "shared.url", message);
        }
        let url = self.parsed(&table, "url", database)?;
        Some(Shared { url, password_file })
    }

    /// Refuses lanes that are shared without a database.
    pub(super) fn shared_lanes(&mut self, root: &Section<'_, 't>, pool: &crate::Config) {
        if pool.shared.is_some() || root.get("shared").is_some() {
            return;
        }
        let Some(lanes) = root.get("lanes").and_then(|item| item.get_ref().as_table()) else { return };
        for (key, item) in lanes {
            let lane = item.get_ref().as_table().and_then(|lane| lane.get("shared"));
            if let Some(shared) = lane.filter(|shared| shared.get_ref().as_bool() == Some(true)) {
                let key = format!("{}.shared", crate::shown::prefix("lanes", key.get_ref()));
                let message = "no database is named that machines could share: [shared] url = \"postgres://user@host/database\"";
                self.problem(shared.span().start, key, message);
            }
        }
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
