//! Reasons why the store refuses a question about the queue, in words.

use super::{QueueStatus, ScheduleName};
use crate::name::Name;
use std::fmt;

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
    /// The job to come after has ended without success, so that the other one would never run.
    AfterEnded {
        /// The job to come after.
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
    /// Another job with the key of this one has not ended.
    SameKey {
        /// The other job.
        id: Name,
        /// Its status.
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
    BadTimes {
        /// The field of the request that is wrong: `cron`, `interval_ms` or `timezone`.
        field: &'static str,
        /// The fault.
        why: String,
    },
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
            Self::AfterEnded { id, status } => write!(f, "nothing can come after `{id}`, which is {status}"),
            Self::NotEnded { id, status: QueueStatus::Cancelled } => {
                write!(f, "`{id}` is cancelled, and its last attempt has not ended yet")
            }
            Self::NotEnded { id, status } => write!(f, "`{id}` is {status}, and has not ended"),
            Self::SameKey { id, status } => write!(f, "`{id}` has the same key, and is {status}"),
            Self::NotClaimed(id) => write!(f, "`{id}` is not claimed by this attempt (any more)"),
            Self::IdTaken(id) => write!(f, "there is a job `{id}` in the queue already"),
            Self::NoSchedule(name) => write!(f, "there is no schedule `{name}`"),
            Self::ScheduleTaken(name) => write!(f, "there is a schedule `{name}` already"),
            Self::BadTimes { why, .. } => f.write_str(why),
            Self::BadCursor => f.write_str("the page to go on from is not one of this list"),
            Self::TooMany { what, most } => write!(f, "there are {most} {what} already, which is the most"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_a_sentence_about_its_job() {
        let id = Name::numbered(4);
        let said = QueueRefusal::NotEnded { id: id.clone(), status: QueueStatus::Cancelled }.to_string();
        assert_eq!(said, "`j4` is cancelled, and its last attempt has not ended yet");
        let status = QueueStatus::Failed;
        let after = QueueRefusal::AfterEnded { id: id.clone(), status };
        assert_eq!(after.to_string(), "nothing can come after `j4`, which is failed");
        let key = QueueRefusal::SameKey { id: id.clone(), status: QueueStatus::Running };
        assert_eq!(key.to_string(), "`j4` has the same key, and is running");
        assert_eq!(
            QueueRefusal::UnknownJobs(vec![id]).to_string(),
            "there is no such job in the queue to come after: `j4`"
        );
    }
}
