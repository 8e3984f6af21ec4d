//! From each question to the part that answers it.

use super::sql::{Sql, SqlError, Tables};
use super::{add, claim, lanes, list, recover, schedules, settle};
use gob_protocol::Timestamp;
use gob_protocol::queue::{QueueAsk, QueueRefusal, QueueTold};

/// The open transaction of a question, with the facts that come with it.
pub(crate) struct Ask<'a> {
    pub(crate) db: &'a dyn Tables,
    /// The supervisor's life.
    pub(crate) instance: &'a str,
    pub(crate) now: Timestamp,
}

/// A reason to end a question without a change.
#[derive(Debug)]
pub(crate) enum Stop {
    Sql(SqlError),
    Refused(QueueRefusal),
}

impl From<SqlError> for Stop {
    fn from(error: SqlError) -> Self {
        Self::Sql(error)
    }
}

impl From<QueueRefusal> for Stop {
    fn from(refusal: QueueRefusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The result of a part of a question.
pub(crate) type Decided<T> = Result<T, Stop>;

/// Answers a question in the open transaction. After a refusal, or an error, the caller takes back what it did.
///
/// # Errors
/// The database's error.
pub(crate) fn answer(to: &Ask<'_>, ask: &QueueAsk) -> Sql<QueueTold> {
    if let Some(told) = list::read(to.db, ask)? {
        return Ok(told);
    }
    match change(to, ask) {
        Ok(told) => Ok(told),
        Err(Stop::Refused(refusal)) => Ok(QueueTold::Refused(refusal)),
        Err(Stop::Sql(error)) => Err(error),
    }
}

fn change(to: &Ask<'_>, ask: &QueueAsk) -> Decided<QueueTold> {
    match ask {
        QueueAsk::Add(new) => add::add(to, new),
        QueueAsk::Claim { lane, by } => Ok(claim::claim(to, lane, by)?),
        QueueAsk::Heartbeat(beats) => claim::hear(to, beats),
        QueueAsk::Finish(ending) => settle::finish(to, ending),
        QueueAsk::GiveBack { id, attempt } => settle::give_back(to, id, *attempt),
        QueueAsk::Stale { id, attempt, error, retry_at } => settle::stale(to, id, *attempt, error, *retry_at),
        QueueAsk::Cancel { id, reason } => settle::cancel(to, id, reason),
        QueueAsk::Retry { id, env, umask } => settle::retry(to, id, env.as_ref(), *umask),
        QueueAsk::Lane { lane } => lanes::change(to, lane, None),
        QueueAsk::Pause { lane } => lanes::change(to, lane, Some(lanes::Change::Paused(true))),
        QueueAsk::Resume { lane } => lanes::change(to, lane, Some(lanes::Change::Paused(false))),
        QueueAsk::Width { lane, width } => lanes::change(to, lane, Some(lanes::Change::Width(*width))),
        QueueAsk::Clear { lane, owners, reason } => lanes::clear(to, lane, owners, reason),
        QueueAsk::Recover { except, error, retry_at } => recover::recover(to, except, error, *retry_at),
        QueueAsk::ScheduleAdd(new) => schedules::add(to, new),
        QueueAsk::ScheduleRemove { name } => schedules::remove(to, name),
        QueueAsk::ScheduleDue { ids } => schedules::fire(to, ids),
        QueueAsk::DeleteAll => Ok(lanes::delete_all(to)?),
        QueueAsk::Get { .. }
        | QueueAsk::List { .. }
        | QueueAsk::Lanes
        | QueueAsk::ScheduleList { .. }
        | QueueAsk::Unfinished => Err(Stop::Sql(SqlError::Unexpected)),
    }
}
