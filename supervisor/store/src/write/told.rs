//! Messages from the store to the supervisor.

use super::question::Answer;
use super::salvage::Kept;
use crate::error::StoreError;
use gob_protocol::Name;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// A message from the store.
#[derive(Debug)]
pub enum Told {
    /// The answer to a question, or the reason why there is none.
    Answer {
        /// The ticket of the question.
        ticket: u64,
        /// The answer.
        answer: Result<Answer, Arc<StoreError>>,
    },
    /// Runs went from the history by its bounds; their logs go with them.
    Trimmed(Vec<(Name, u64)>),
    /// Jobs left the queue by its bounds; the logs of all their attempts go with them.
    JobsTrimmed(Vec<Name>),
    /// Something that people should know.
    Notice(Notice),
    /// The file was closed for idleness: memory can be given back to the system.
    Closed,
}

/// Something about the store that people should know. Displays as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A damaged store was moved aside, and a new one has what can be read of it.
    Damaged {
        /// Its new path.
        aside: PathBuf,
        /// The sign of damage.
        why: String,
        /// The rows that were kept.
        kept: Kept,
    },
    /// The store was deleted while it was open; a new one has the definitions and counters.
    Deleted {
        /// The store's path.
        path: PathBuf,
    },
    /// Another file took the store's place while it was open, and is used from now on.
    Replaced {
        /// The store's path.
        path: PathBuf,
    },
    /// The log was deleted while the store was open; nothing is lost.
    LogDeleted {
        /// The store's path.
        path: PathBuf,
    },
    /// A log without its store was moved aside; it can't be read without it.
    LogAside {
        /// Its new path.
        aside: PathBuf,
    },
    /// The store was changed to a later version.
    Migrated {
        /// The version before.
        from: usize,
        /// The version after.
        to: usize,
        /// A copy from before.
        copy: PathBuf,
    },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { aside, why, kept } => {
                write!(f, "the history was damaged ({why}) and is now {}: {kept}", aside.display())
            }
            Self::Deleted { path } => {
                write!(
                    f,
                    "{} was deleted while it was in use: a new one has the jobs, and no history",
                    path.display()
                )
            }
            Self::Replaced { path } => {
                write!(f, "{} was replaced while it was in use: the other file is used now", path.display())
            }
            Self::LogDeleted { path } => {
                write!(
                    f,
                    "the log of {} was deleted while it was in use: nothing of it is lost",
                    path.display()
                )
            }
            Self::LogAside { aside } => {
                write!(f, "a log without its history was found and is now {}", aside.display())
            }
            Self::Migrated { from, to, copy } => {
                write!(
                    f,
                    "the history was changed from version {from} to {to}; a copy from before is {}",
                    copy.display()
                )
            }
        }
    }
}
