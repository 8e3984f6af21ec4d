//! Answers of the store to the questions in [`ask`](super::ask). They never are on the wire.

use super::refusal::QueueRefusal;
use super::{Lane, LaneName, QueueJob, Schedule};
use crate::env::Env;
use crate::name::Name;
use crate::time::Timestamp;

/// A claimed job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The job; its `attempt` names the claim.
    pub job: QueueJob,
    /// The environment, for the supervisor's own claims.
    pub env: Option<Env>,
    /// The umask, for the supervisor's own claims.
    pub umask: Option<u32>,
}

/// Jobs that a question changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The job that was asked for, as it is now.
    pub job: QueueJob,
    /// The job's lane, and those of jobs that came after it: something may be claimed there now.
    pub lanes: Vec<LaneName>,
    /// Jobs that came after it, directly or not, and failed with it; at most 1,000 of them.
    pub failed: Vec<QueueJob>,
    /// Those beyond.
    pub unnamed: u64,
}

/// A lane, and the time at which something can be claimed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneState {
    /// The lane.
    pub lane: Lane,
    /// The earliest time of a job that waits for nothing but its time; it may have passed. A pause is not looked at.
    pub due: Option<Timestamp>,
}

/// A page of jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// The jobs.
    pub jobs: Vec<QueueJob>,
    /// The lane that was asked for, else all; on the first page only.
    pub lanes: Vec<Lane>,
    /// The next page follows after this.
    pub next: Option<String>,
}

/// A schedule that added a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fired {
    /// The schedule as it is now.
    pub schedule: Schedule,
    /// The job.
    pub job: QueueJob,
}

/// Schedules that were due.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// Those that added a job.
    pub fired: Vec<Fired>,
    /// Ids that were not needed.
    pub unused: Vec<Name>,
    /// The next time of any schedule; it has passed when there were too few ids.
    pub next_at: Option<Timestamp>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueTold {
    /// The job, and whether it is a new one; else one with the same key waits or runs.
    Added {
        /// The job.
        job: Box<QueueJob>,
        /// It is new.
        is_new: bool,
    },
    /// The next job, if there was one.
    Claimed {
        /// The claim.
        claim: Option<Box<Claim>>,
        /// As in [`LaneState`], of the jobs that are left.
        due: Option<Timestamp>,
    },
    /// Beats of claims that do not exist any more.
    Heard {
        /// Their jobs.
        gone: Vec<Name>,
    },
    /// Jobs that were changed.
    Settled(Box<Settled>),
    /// A job.
    Job(Box<QueueJob>),
    /// A page.
    Listed(Box<Listed>),
    /// A lane.
    Lane(LaneState),
    /// Jobs that were cancelled, and those that failed with them.
    Cleared {
        /// The lane as it is now.
        lane: LaneState,
        /// How many were cancelled.
        cancelled: u64,
        /// Cancelled and failed jobs, at most 1,000.
        jobs: Vec<QueueJob>,
        /// There are more to cancel: it has to be asked again.
        more: bool,
    },
    /// All lanes.
    Lanes(Vec<LaneState>),
    /// Jobs of earlier lives as they are now, pending or failed, and those that failed with them; at most 1,000 are named.
    Recovered {
        /// The jobs.
        jobs: Vec<QueueJob>,
        /// How many claims were taken back.
        count: u64,
        /// Jobs that workers outside hold from an earlier life, which now are claims of this one.
        outside: Vec<QueueJob>,
        /// All lanes.
        lanes: Vec<LaneState>,
        /// The next time of any schedule.
        next_at: Option<Timestamp>,
    },
    /// A schedule.
    Schedule(Box<Schedule>),
    /// Schedules, and the next time of any of them.
    Schedules(Vec<Schedule>),
    /// Schedules that were due.
    Due(Box<Due>),
    /// Jobs that wait or run.
    Unfinished(u64),
    /// Jobs that were deleted.
    Deleted(u64),
    /// The question can't be done; nothing was changed.
    Refused(QueueRefusal),
}
