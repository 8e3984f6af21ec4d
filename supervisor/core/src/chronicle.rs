//! Records of workers, and questions about them: plain data. The store beside the core keeps it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::answer::{BlameData, HistoryData, RunsData};
use gob_protocol::lock::ask::{LockAsk, LockTold};
use gob_protocol::queue::{LaneName, QueueAsk, QueueJob, QueueTold};
use gob_protocol::{Change, Cursor, LockName, Name, RunRecord, Stats};
use serde::{Deserialize, Serialize};

/// One thing to record. A record may get lost where the store can't be written; nothing waits for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// A run as it is now, whole: it takes the place of what was recorded of it before.
    Run {
        /// The worker.
        name: Name,
        /// The run.
        run: Box<RunRecord>,
    },
    /// A change that was told.
    Change(Box<Change>),
    /// A worker was forgotten, and its history goes with it.
    Forgotten(Name),
    /// Numbers of jobs that were reserved and not given.
    Unused {
        /// The first one.
        first: u64,
        /// How many.
        count: u32,
    },
}

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// The runs of a worker, newest first.
    Runs {
        /// The worker.
        name: Name,
        /// Most runs in the answer.
        limit: u32,
        /// Runs of lower numbers than this.
        before: Option<u64>,
    },
    /// The statistics of a worker's runs.
    Stats(Name),
    /// The latest successful runs of a worker, with their durations.
    Durations(Name),
    /// The changes of a worker, newest first.
    Blame {
        /// The worker.
        name: Name,
        /// Most changes in the answer.
        limit: u32,
        /// Changes before this one.
        #[serde(default)]
        before: Option<Cursor>,
    },
    /// The changes after a place, oldest first.
    Since {
        /// The place.
        after: Cursor,
        /// Most changes in the answer.
        limit: u32,
    },
    /// A run that has ended is to be deleted.
    DeleteRun {
        /// The worker.
        name: Name,
        /// The run.
        run: u64,
    },
    /// Numbers for jobs, which no job ever had.
    Reserve {
        /// How many.
        count: u32,
        /// A number that is in use.
        above: u64,
    },
    /// A question about the queue.
    Queue(Box<QueueAsk>),
    /// A question about the queue, to the database that several machines share.
    Shared(Box<QueueAsk>),
    /// A question about locks, to the database that several machines share.
    Lock(Box<LockAsk>),
    /// Fencing tokens, which no lock ever had.
    ReserveTokens {
        /// How many.
        count: u32,
        /// A token that is in use.
        above: u64,
    },
}

/// The store's answer to a [`Question`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    /// To `Runs`.
    Runs(RunsData),
    /// To `Stats`.
    Stats(Stats),
    /// To `Durations`: the runs with their durations in milliseconds, newest first.
    Durations(Vec<(u64, u64)>),
    /// To `Blame`.
    Blame(BlameData),
    /// To `Since`.
    Since(HistoryData),
    /// To `DeleteRun`: true if there was such a run.
    Deleted(bool),
    /// To `Reserve` and `ReserveTokens`: `count` numbers from `first`.
    Reserved {
        /// The first one.
        first: u64,
        /// How many.
        count: u32,
    },
    /// To `Queue`.
    Queue(Box<QueueTold>),
    /// Of a question about locks that several machines share.
    Lock(Box<LockTold>),
}

/// The reason why the store does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// Too many questions wait.
    Full,
    /// Its disk does not answer.
    Silent,
    /// It can't be used, in its own words.
    Failed(String),
    /// The database that several machines share is away, or refuses; in its own words.
    Away(String),
}

/// News of the database that several machines share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharedNews {
    /// It answers from now on.
    Up,
    /// It does not, for this reason.
    Away(String),
    /// Others may have what is held here, or will soon, for this reason.
    Lost(String),
    /// Other machines have changed something.
    Changed(Box<SharedChange>),
}

/// A change that another machine has made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SharedChange {
    /// Lanes in which something may be claimed.
    pub lanes: Vec<LaneName>,
    /// Lanes that were paused, resumed, or have another width.
    pub changed: Vec<LaneName>,
    /// Jobs that were added or have ended, as they are now.
    pub jobs: Vec<QueueJob>,
    /// Locks whose holders or waiters have changed.
    pub locks: Vec<LockName>,
    /// There may be more: each lane and each lock may have changed.
    pub is_all: bool,
}
