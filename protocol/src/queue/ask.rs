//! Questions of the supervisor's core to its store about the queue. They never are on the wire; the answers are in
//! [`told`](super::told).
//!
//! The store alone decides which job is next, who holds it and what became of it; each question is one transaction, which is on the
//! disk before it is answered. Times come with the question. Owners are for the core to check: a job's owner never changes.
//!
//! Questions can be serialized for the state that one supervisor hands to the next, and for nothing else.
//!
//! A claim is named by the id, the number of the attempt and the supervisor's life (`instance`), which the store knows. A job that was
//! cancelled while it ran stays held until its claimant ends it, gives it back, or is stale: so long it can't be retried, so that two
//! attempts of one job never overlap.

use super::{LaneName, QueueStatus, ScheduleName};
use crate::env::Env;
use crate::exit::Exit;
use crate::name::{Name, Owner};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// A claimant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Claimant {
    /// The supervisor itself, which starts a worker named as the job. `locked_by` is this text.
    Supervisor(String),
    /// A worker outside, by its `worker_id`.
    Outside(String),
}

impl Claimant {
    /// Returns the text for people.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Supervisor(text) | Self::Outside(text) => text,
        }
    }
}

/// A job to add. The core has reserved its id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewJob {
    /// The id, in the form of a number.
    pub id: Name,
    /// The lane, which is made if there is none.
    pub lane: LaneName,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The directory.
    pub cwd: String,
    /// The environment of its process, kept until the job ends.
    #[serde(default, serialize_with = "Env::serialize_in_state")]
    pub env: Option<Env>,
    /// The umask of its process.
    #[serde(default)]
    pub umask: Option<u32>,
    /// The owner.
    pub owner: Owner,
    /// As in the job; beyond the bound, the bound.
    pub priority: i32,
    /// The time from which on it may run.
    pub run_at: Timestamp,
    /// At least 1.
    pub max_attempts: u32,
    /// Jobs that come before.
    pub after: Vec<Name>,
    /// As in the job.
    pub dedupe: Option<String>,
    /// As in the job.
    pub description: Option<String>,
}

/// A schedule to add.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewSchedule {
    /// The name; without one, it is called as its lane, or `LANE-2` and so on.
    pub name: Option<ScheduleName>,
    /// The lane, which is made if there is none.
    pub lane: LaneName,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The directory.
    pub cwd: String,
    /// The environment of its jobs, kept until it is removed.
    #[serde(default, serialize_with = "Env::serialize_in_state")]
    pub env: Option<Env>,
    /// The umask of its process.
    #[serde(default)]
    pub umask: Option<u32>,
    /// The owner of its jobs.
    pub owner: Owner,
    /// Of [`NewJob::max_attempts`].
    pub max_attempts: u32,
    /// Its times, in the five fields of cron; or the interval.
    pub cron: Option<String>,
    /// The time between two jobs.
    pub interval_ms: Option<u64>,
    /// The time zone of `cron`.
    pub timezone: Option<String>,
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    /// The job.
    pub id: Name,
    /// The attempt; `None` means the present one.
    pub attempt: Option<u32>,
    /// The claimant: for one outside, `locked_by` has to be the same.
    pub by: Claimant,
    /// Its outcome.
    pub end: QueueEnd,
    /// The exit of the supervisor's own process.
    pub exit: Option<Exit>,
}

/// The result of an attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueEnd {
    /// It ended well.
    Completed,
    /// It failed: the job is pending again, or failed after its last attempt.
    Failed {
        /// The reason.
        error: String,
        /// The time of the next attempt.
        retry_at: Timestamp,
    },
    /// It was ended because somebody asked for that.
    Cancelled {
        /// The reason.
        reason: String,
    },
}

/// A sign of life of a claimant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The job.
    pub id: Name,
    /// The attempt; `None` means the present one.
    pub attempt: Option<u32>,
    /// The claimant.
    pub by: Claimant,
    /// The time of the sign.
    pub at: Timestamp,
}

/// A question about the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum QueueAsk {
    /// Adds a job. Told: `Added`; refused: `UnknownJobs`, `Ended` (a job that it comes after has failed), `IdTaken`, `TooMany`.
    Add(Box<NewJob>),
    /// Claims the next job of a lane. Told: `Claimed`.
    Claim {
        /// The lane.
        lane: LaneName,
        /// The claimant.
        by: Claimant,
    },
    /// Notes signs of life; not durable at once. Told: `Heard`.
    Heartbeat(Vec<Beat>),
    /// Ends an attempt; of a job that was cancelled, its claimant lets go. Told: `Settled`; refused: `NoJob`, `NotClaimed`.
    Finish(Box<Ending>),
    /// Gives a claim back, which then does not count. Told: `Settled`; refused: `NoJob`, `NotClaimed`.
    GiveBack {
        /// The job.
        id: Name,
        /// The attempt.
        attempt: u32,
    },
    /// Ends an attempt of which the claimant was not heard. Told: `Settled`; refused: `NoJob`, `NotClaimed`.
    Stale {
        /// The job.
        id: Name,
        /// The attempt.
        attempt: u32,
        /// The reason.
        error: String,
        /// The time of the next attempt.
        retry_at: Timestamp,
    },
    /// Cancels a job that waits or runs. Told: `Settled`; refused: `NoJob`, `Ended`.
    Cancel {
        /// The job.
        id: Name,
        /// The reason.
        reason: String,
    },
    /// Lets a failed or cancelled job wait again, with all its attempts. Told: `Settled`; refused: `NoJob`, `NotEnded` (it waits, runs,
    /// or is still held), `Ended` (it was completed, or a job that it comes after was not).
    Retry {
        /// The job.
        id: Name,
        /// The environment: the first was deleted.
        #[serde(default, serialize_with = "Env::serialize_in_state")]
        env: Option<Env>,
        /// The umask.
        #[serde(default)]
        umask: Option<u32>,
    },
    /// Reads a job. Told: `Job`; refused: `NoJob`.
    Get {
        /// The job.
        id: Name,
    },
    /// Reads a page of jobs: those that run, then those that wait by lane and in the order of claims, then those that ended, newest
    /// first. Told: `Listed`; refused: `BadCursor`.
    List {
        /// Only of this lane.
        lane: Option<LaneName>,
        /// Only of this status.
        status: Option<QueueStatus>,
        /// The `next` of the page before.
        after: Option<String>,
        /// Jobs on the page, at most [`MAX_QUEUE_PAGE`](super::MAX_QUEUE_PAGE).
        limit: u32,
    },
    /// Makes a lane if there is none, and reads it. Told: `Lane`; refused: `TooMany`.
    Lane {
        /// The lane.
        lane: LaneName,
    },
    /// Lets nothing be claimed. Told and refused: as `Lane`.
    Pause {
        /// The lane.
        lane: LaneName,
    },
    /// Ends a pause. Told and refused: as `Lane`.
    Resume {
        /// The lane.
        lane: LaneName,
    },
    /// Sets the number of jobs that the supervisor runs at once. Told and refused: as `Lane`.
    Width {
        /// The lane.
        lane: LaneName,
        /// The number.
        width: u32,
    },
    /// Cancels jobs of a lane that wait, at most 1,000 at once. Told: `Cleared`.
    Clear {
        /// The lane.
        lane: LaneName,
        /// Owners of which the jobs go; those of others stay.
        owners: Vec<Owner>,
        /// The reason.
        reason: String,
    },
    /// Reads all lanes. Told: `Lanes`.
    Lanes,
    /// Takes back what earlier lives of the supervisor ran themselves: pending again, or failed after the last attempt. Claims of
    /// workers outside go on, as claims of this life: each counts as just heard. Told: `Recovered`.
    Recover {
        /// Jobs that processes of an earlier life still work on; they are asked for again later.
        except: Vec<Name>,
        /// The reason.
        error: String,
        /// The time of the next attempt.
        retry_at: Timestamp,
    },
    /// Adds a schedule. Told: `Schedule`; refused: `ScheduleTaken`, `BadTimes`, `TooMany`.
    ScheduleAdd(Box<NewSchedule>),
    /// Reads schedules, in the order of their names. Told: `Schedules`.
    ScheduleList {
        /// Only of this lane.
        lane: Option<LaneName>,
    },
    /// Removes a schedule; its jobs stay. Told: `Schedule`, as it was; refused: `NoSchedule`.
    ScheduleRemove {
        /// The schedule.
        name: ScheduleName,
    },
    /// Adds a job for each schedule that is due: one, however often its time was missed, and none while its last job still waits. Told:
    /// `Due`.
    ScheduleDue {
        /// Reserved ids; as many schedules are fired at most.
        ids: Vec<Name>,
    },
    /// Counts jobs that wait or run. Told: `Unfinished`.
    Unfinished,
    /// Deletes every job, lane and schedule, as `nuke` does. Told: `Deleted`.
    DeleteAll,
}

impl QueueAsk {
    /// Returns whether it changes nothing.
    #[must_use]
    pub const fn only_reads(&self) -> bool {
        match self {
            Self::Get { .. }
            | Self::List { .. }
            | Self::Lanes
            | Self::ScheduleList { .. }
            | Self::Unfinished => true,
            Self::Add(_)
            | Self::Claim { .. }
            | Self::Heartbeat(_)
            | Self::Finish(_)
            | Self::GiveBack { .. }
            | Self::Stale { .. }
            | Self::Cancel { .. }
            | Self::Retry { .. }
            | Self::Lane { .. }
            | Self::Pause { .. }
            | Self::Resume { .. }
            | Self::Width { .. }
            | Self::Clear { .. }
            | Self::Recover { .. }
            | Self::ScheduleAdd(_)
            | Self::ScheduleRemove { .. }
            | Self::ScheduleDue { .. }
            | Self::DeleteAll => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_shows_no_environment() {
        let add = QueueAsk::Retry {
            id: Name::numbered(1),
            env: Some([("SECRET", "hunter2")].into_iter().collect()),
            umask: None,
        };
        let text = format!("{add:?}");
        assert!(!text.contains("SECRET") && !text.contains("hunter2"), "{text}");
        assert!(!add.only_reads());
        assert!(QueueAsk::Get { id: Name::numbered(1) }.only_reads());
    }
}
