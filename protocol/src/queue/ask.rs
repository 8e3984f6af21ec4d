//! Questions of the supervisor's core to its store about the queue, and their answers. They never are on the wire.
//!
//! The store alone decides which job is next, who holds it and what became of it; each question is one transaction, which is on the
//! disk before it is answered. Times come with the question. Owners are for the core to check: a job's owner never changes.
//!
//! Questions can be serialized for the state that one supervisor hands to the next, and for nothing else.
//!
//! A claim is named by the id, the number of the attempt and the supervisor's life (`instance`), which the store knows. A job that was
//! cancelled while it ran stays held until its claimant ends it, gives it back, or is stale: so long it can't be retried, so that two
//! attempts of one job never overlap.

use super::{Lane, LaneName, QueueJob, QueueStatus, Schedule, ScheduleName};
use crate::env::Env;
use crate::name::{Name, Owner};
use crate::time::Timestamp;
use crate::view::Exit;
use serde::{Deserialize, Serialize};
use std::fmt;

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

/// A reason why a question was refused. Displays as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueRefusal {
    /// There is no such job in the queue.
    NoJob(Name),
    /// Jobs to come after that are not in the queue.
    UnknownJobs(Vec<Name>),
    /// The job has ended, so that nothing can follow.
    Ended {
        /// The job.
        id: Name,
        /// Its status.
        status: QueueStatus,
    },
    /// The job has not ended.
    NotEnded {
        /// The job.
        id: Name,
        /// Its status; `cancelled` while its claimant has not let go of it.
        status: QueueStatus,
    },
    /// The claim does not exist, or is another's.
    NotClaimed(Name),
    /// There is a job of this id.
    IdTaken(Name),
    /// There is no such schedule.
    NoSchedule(ScheduleName),
    /// There is a schedule of this name.
    ScheduleTaken(ScheduleName),
    /// The times of a schedule can't be understood, or never come.
    BadTimes(String),
    /// The cursor is none of this list's.
    BadCursor,
    /// A bound is reached.
    TooMany {
        /// The things.
        what: &'static str,
        /// The bound.
        most: usize,
    },
}

impl fmt::Display for QueueRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoJob(id) => write!(f, "there is no job `{id}` in the queue"),
            Self::UnknownJobs(ids) => {
                f.write_str("there is no such job in the queue to come after:")?;
                ids.iter().take(10).try_for_each(|id| write!(f, " `{id}`"))
            }
            Self::Ended { id, status } => write!(f, "`{id}` is {status}"),
            Self::NotEnded { id, status: QueueStatus::Cancelled } => {
                write!(f, "`{id}` is cancelled, and its last attempt has not ended yet")
            }
            Self::NotEnded { id, status } => write!(f, "`{id}` is {status}, and has not ended"),
            Self::NotClaimed(id) => write!(f, "`{id}` is not claimed by this attempt (any more)"),
            Self::IdTaken(id) => write!(f, "there is a job `{id}` in the queue already"),
            Self::NoSchedule(name) => write!(f, "there is no schedule `{name}`"),
            Self::ScheduleTaken(name) => write!(f, "there is a schedule `{name}` already"),
            Self::BadTimes(why) => f.write_str(why),
            Self::BadCursor => f.write_str("the page to go on from is not one of this list"),
            Self::TooMany { what, most } => write!(f, "there are {most} {what} already, which is the most"),
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

    #[test]
    fn a_refusal_is_a_sentence_about_its_job() {
        let id = Name::numbered(4);
        let said = QueueRefusal::NotEnded { id: id.clone(), status: QueueStatus::Cancelled }.to_string();
        assert_eq!(said, "`j4` is cancelled, and its last attempt has not ended yet");
        assert_eq!(
            QueueRefusal::UnknownJobs(vec![id]).to_string(),
            "there is no such job in the queue to come after: `j4`"
        );
    }
}
