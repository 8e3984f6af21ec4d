//! Questions and their answers.

use super::records;
use crate::jobs;
use crate::model::{Definitions, Page};
use crate::queries;
use gob_protocol::answer::{BlameData, HistoryData};
use gob_protocol::queue::{QueueAsk, QueueTold};
use gob_protocol::{Cursor, Name, RunRecord, Stats, Timestamp};
use rusqlite::Connection;

/// A question to the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Question {
    /// Runs of a worker, newest first, of a lower number than `before`; at most 1000.
    Runs {
        /// The worker.
        name: Name,
        /// The number that a page ended with.
        before: Option<u64>,
        /// Runs in the answer.
        limit: u32,
    },
    /// The statistics of a worker's runs.
    Stats {
        /// The worker.
        name: Name,
    },
    /// The latest successful runs of a worker, by which the duration of the next one is expected.
    Durations {
        /// The worker.
        name: Name,
    },
    /// The changes of a worker, newest first, of those before `before`; at most 1000.
    Blame {
        /// The worker.
        name: Name,
        /// The place that a page ended with.
        before: Option<Cursor>,
        /// Changes in the answer.
        limit: u32,
    },
    /// The changes after a place, oldest first; at most 1000.
    Since {
        /// The place.
        after: Cursor,
        /// Changes in the answer.
        limit: u32,
    },
    /// Definitions in the order of their names; at most 1000.
    Definitions {
        /// The name that a page ended with.
        after: Option<Name>,
        /// Definitions in the answer.
        limit: u32,
    },
    /// The highest numbers of a job and of a worker's run.
    Highest {
        /// The worker.
        name: Option<Name>,
    },
    /// Numbers for jobs. They are on the disk before they are answered.
    Reserve {
        /// How many; at least one.
        count: u32,
        /// A number that is known to be in use, from elsewhere.
        above: u64,
    },
    /// Tokens of locks. They are on the disk before they are answered.
    ReserveTokens {
        /// How many; at least one.
        count: u32,
        /// A token that is known to be in use, from elsewhere.
        above: u64,
    },
    /// Deletes a run that has ended.
    DeleteRun {
        /// The worker.
        name: Name,
        /// The run.
        run: u64,
    },
    /// A question about the queue. What it changed is on the disk before it is answered.
    Queue {
        /// The time.
        now: Timestamp,
        /// The question.
        ask: Box<QueueAsk>,
    },
}

/// The answer to the question of the same name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the questions")]
pub enum Answer {
    Runs(Page<RunRecord>),
    Stats(Stats),
    /// The runs with their durations in milliseconds, newest first.
    Durations(Vec<(u64, u64)>),
    Blame(BlameData),
    Since(HistoryData),
    Definitions(Definitions),
    /// 0 where there was none.
    Highest {
        job: u64,
        run: u64,
    },
    /// `count` numbers from `first`.
    Reserved {
        first: u64,
        count: u32,
    },
    /// Whether there was such a run.
    RunDeleted(bool),
    Queue(Box<QueueTold>),
}

impl Question {
    /// Returns about how many bytes a question about the queue takes; the others are small.
    pub(super) fn size(&self) -> usize {
        let Self::Queue { ask, .. } = self else { return 0 };
        let of_env = |env: &Option<gob_protocol::Env>| {
            env.iter()
                .flat_map(gob_protocol::Env::iter)
                .map(|(name, value)| name.len() + value.len() + 64)
                .sum::<usize>()
        };
        let of_command = |command: &[String]| command.iter().map(|text| text.len() + 24).sum::<usize>();
        let texts = match &**ask {
            QueueAsk::Add(new) => {
                of_env(&new.env) + of_command(&new.command) + new.cwd.len() + new.after.len() * 32
            }
            QueueAsk::ScheduleAdd(new) => of_env(&new.env) + of_command(&new.command) + new.cwd.len(),
            QueueAsk::Retry { env, .. } => of_env(env),
            QueueAsk::Heartbeat(beats) => beats.len() * 128,
            QueueAsk::Recover { except, .. } => except.len() * 32,
            QueueAsk::ScheduleDue { ids } => ids.len() * 32,
            QueueAsk::Claim { .. }
            | QueueAsk::Finish(_)
            | QueueAsk::GiveBack { .. }
            | QueueAsk::Stale { .. }
            | QueueAsk::Cancel { .. }
            | QueueAsk::Get { .. }
            | QueueAsk::List { .. }
            | QueueAsk::Lane { .. }
            | QueueAsk::Pause { .. }
            | QueueAsk::Resume { .. }
            | QueueAsk::Width { .. }
            | QueueAsk::Clear { .. }
            | QueueAsk::Lanes
            | QueueAsk::ScheduleList { .. }
            | QueueAsk::ScheduleRemove { .. }
            | QueueAsk::Unfinished
            | QueueAsk::DeleteAll => 0,
        };
        texts + 512
    }

    /// Returns whether a file that can only be read can answer it.
    pub(super) fn only_reads(&self) -> bool {
        match self {
            Self::Reserve { .. } | Self::ReserveTokens { .. } | Self::DeleteRun { .. } => false,
            Self::Queue { ask, .. } => ask.only_reads(),
            Self::Runs { .. }
            | Self::Stats { .. }
            | Self::Durations { .. }
            | Self::Blame { .. }
            | Self::Since { .. }
            | Self::Definitions { .. }
            | Self::Highest { .. } => true,
        }
    }

    /// Returns whether its answer may lack the records that wait: nothing depends on it but what somebody is shown.
    pub(super) fn is_shown(&self) -> bool {
        match self {
            Self::Runs { .. }
            | Self::Stats { .. }
            | Self::Durations { .. }
            | Self::Blame { .. }
            | Self::Since { .. } => true,
            Self::Queue { ask, .. } => {
                matches!(**ask, QueueAsk::Get { .. } | QueueAsk::List { .. } | QueueAsk::ScheduleList { .. })
            }
            Self::Reserve { .. }
            | Self::ReserveTokens { .. }
            | Self::DeleteRun { .. }
            | Self::Definitions { .. }
            | Self::Highest { .. } => false,
        }
    }

    /// Answers a question that only reads; `None` for the others.
    pub(super) fn read(&self, db: &Connection) -> rusqlite::Result<Option<Answer>> {
        Ok(Some(match self {
            Self::Runs { name, before, limit } => Answer::Runs(queries::runs(db, name, *before, *limit)?),
            Self::Stats { name } => Answer::Stats(queries::stats(db, name)?),
            Self::Durations { name } => Answer::Durations(queries::durations(db, name)?),
            Self::Blame { name, before, limit } => {
                Answer::Blame(queries::blame(db, name, before.as_ref(), *limit)?)
            }
            Self::Since { after, limit } => Answer::Since(queries::since(db, after, *limit)?),
            Self::Definitions { after, limit } => {
                Answer::Definitions(queries::definitions(db, after.as_ref(), *limit)?)
            }
            Self::Highest { name } => Answer::Highest {
                job: records::last_job(db)?,
                run: name.as_ref().map_or(Ok(0), |name| queries::last_run(db, name))?,
            },
            Self::Queue { ask, .. } => {
                return Ok(jobs::list::read(db, ask)?.map(|told| Answer::Queue(Box::new(told))));
            }
            Self::Reserve { .. } | Self::ReserveTokens { .. } | Self::DeleteRun { .. } => return Ok(None),
        }))
    }
}
