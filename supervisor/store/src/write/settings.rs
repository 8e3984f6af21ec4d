//! The settings of the store, and its state as `status` shows it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// Time in which a question is answered, at the latest with an error.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// Time without a message after which the file is closed and the thread ends.
const IDLE: Duration = Duration::from_secs(10);
/// The store's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The state directory.
    pub directory: PathBuf,
    /// The supervisor's instance: another one than that of a run without an end means that it was cut off.
    pub instance: String,
    /// The highest number of a job that is known from elsewhere.
    pub job_floor: u64,
    /// Runs that are kept of each worker; `[history] keep_runs`.
    pub keep_runs: u32,
    /// Age at which history goes; `[history] keep`.
    pub keep: Duration,
    /// Age at which jobs of the queue that have ended go; `[queue] keep_finished`.
    pub keep_finished: Duration,
    /// Time without a message after which the file is closed and the thread ends.
    pub idle: Duration,
    /// Time in which a question is answered, at the latest with an error.
    pub answer_within: Duration,
}

impl Settings {
    /// Returns the defaults for a state directory and a supervisor's instance.
    #[must_use]
    pub fn new(directory: PathBuf, instance: String) -> Self {
        Self {
            directory,
            instance,
            job_floor: 0,
            keep_runs: 1000,
            keep: Duration::from_secs(90 * 24 * 60 * 60),
            keep_finished: Duration::from_secs(7 * 24 * 60 * 60),
            idle: IDLE,
            answer_within: ANSWER_WITHIN,
        }
    }
}

/// The condition of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Condition {
    /// Not open, because nothing was asked for a while.
    #[default]
    Closed,
    /// Open and in order.
    Open,
    /// Another process has it locked.
    Locked,
    /// The file or its directory can't be written.
    ReadOnly,
    /// The disk is full.
    Full,
    /// It can't be used for another reason.
    Failed,
}

impl Condition {
    /// Returns the condition as `status` shows it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::Locked => "locked",
            Self::ReadOnly => "read-only",
            Self::Full => "full",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The state of the store, for `status`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Its condition.
    pub condition: Condition,
    /// The reason of a condition that is neither closed nor open, as a sentence.
    pub reason: Option<String>,
    /// Records that were lost since the supervisor's start.
    pub dropped: u64,
    /// Records that wait.
    pub waiting: usize,
    /// The store's path.
    pub path: PathBuf,
}
