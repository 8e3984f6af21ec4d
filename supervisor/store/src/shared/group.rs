//! Questions that share a transaction, and are answered once it is committed.

use super::failure::Failure;
use super::news::Notice;
use super::session::{Beside, Session};
use crate::jobs::{self, Ask};
use gob_protocol::Timestamp;
use gob_protocol::queue::{QueueAsk, QueueEnd, QueueTold};

/// Time after which a lane is looked at again in which the next job is just being claimed by another one.
const AGAIN_MS: i64 = 100;

/// A question with the time at which it was asked, by this machine's clock.
pub(super) type Asked<'a> = (Timestamp, &'a QueueAsk);

/// Answers questions; each by itself, all or nothing.
///
/// # Errors
/// The connection is over: what became of the questions is not known.
pub(super) fn answer(
    session: &Session<'_>,
    instance: &str,
    asks: &[Asked<'_>],
) -> Result<Vec<Result<QueueTold, Failure>>, Failure> {
    match together(session, instance, asks) {
        Ok(told) => Ok(told.into_iter().map(Ok).collect()),
        Err(failure) if failure.is_away() => Err(failure),
        // One of them can't be done, or something was in its way: each alone, and once more.
        Err(_) => asks.iter().map(|ask| alone(session, instance, ask)).collect(),
    }
}

fn alone(
    session: &Session<'_>,
    instance: &str,
    ask: &Asked<'_>,
) -> Result<Result<QueueTold, Failure>, Failure> {
    match together(session, instance, std::slice::from_ref(ask)) {
        Ok(told) => Ok(told.into_iter().next().ok_or_else(|| Failure::Busy("it gave no answer".to_owned()))),
        Err(failure) if failure.is_away() => Err(failure),
        Err(failure) => Ok(Err(failure)),
    }
}

fn together(session: &Session<'_>, instance: &str, asks: &[Asked<'_>]) -> Result<Vec<QueueTold>, Failure> {
    if asks.iter().all(|(_, ask)| ask.only_reads()) {
        let one = |(now, ask): &Asked<'_>| one(session, instance, *now, ask);
        return asks.iter().map(one).collect();
    }
    let beside = asks.iter().map(|(_, ask)| beside(ask)).max().unwrap_or(Beside::Nothing);
    let now = session.begin(beside)?;
    let told = in_transaction(session, instance, now, asks);
    if told.is_err() {
        session.roll_back();
    }
    told
}

fn in_transaction(
    session: &Session<'_>,
    instance: &str,
    now: Timestamp,
    asks: &[Asked<'_>],
) -> Result<Vec<QueueTold>, Failure> {
    let is_one = asks.len() == 1;
    let (mut all, mut notice) = (Vec::with_capacity(asks.len()), Notice::of(instance));
    for (asked_at, ask) in asks {
        // Each clock goes by itself: what counts is the time until then.
        let ahead = now.0.saturating_sub(asked_at.0);
        if !is_one {
            session.simple("SAVEPOINT one")?;
        }
        let mut told = one(session, instance, now, &moved(ask, ahead))?;
        let is_refused = matches!(told, QueueTold::Refused(_));
        if is_refused && is_one {
            session.roll_back();
            return Ok(vec![told]);
        }
        if !is_one {
            session.simple(if is_refused { "ROLLBACK TO one; RELEASE one" } else { "RELEASE one" })?;
        }
        if !is_refused {
            notice.note(ask, &told);
        }
        move_due(&mut told, ahead, *asked_at);
        all.push(told);
    }
    session.simple(&format!("{}COMMIT", notice.statement()))?;
    Ok(all)
}

fn one(session: &Session<'_>, instance: &str, now: Timestamp, ask: &QueueAsk) -> Result<QueueTold, Failure> {
    jobs::answer(&Ask { db: session, instance, now }, ask).map_err(Failure::from)
}

/// Returns whether a question touches only rows that it locks, or looks at others first that must not change meanwhile.
fn beside(ask: &QueueAsk) -> Beside {
    match ask {
        QueueAsk::Add(new) if new.after.is_empty() && new.dedupe.is_none() => Beside::Others,
        QueueAsk::Claim { .. }
        | QueueAsk::Heartbeat(_)
        | QueueAsk::Finish(_)
        | QueueAsk::GiveBack { .. }
        | QueueAsk::Stale { .. }
        | QueueAsk::Lane { .. }
        | QueueAsk::Pause { .. }
        | QueueAsk::Resume { .. }
        | QueueAsk::Width { .. }
        | QueueAsk::Get { .. }
        | QueueAsk::List { .. }
        | QueueAsk::Lanes
        | QueueAsk::ScheduleList { .. }
        | QueueAsk::Unfinished => Beside::Others,
        QueueAsk::Add(_)
        | QueueAsk::Cancel { .. }
        | QueueAsk::Retry { .. }
        | QueueAsk::Clear { .. }
        | QueueAsk::Recover { .. }
        | QueueAsk::ScheduleAdd(_)
        | QueueAsk::ScheduleRemove { .. }
        | QueueAsk::ScheduleDue { .. }
        | QueueAsk::DeleteAll => Beside::Nothing,
    }
}

/// Returns a question with its times by the database's clock, which is ahead by so much.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other questions have no time")]
fn moved(ask: &QueueAsk, ahead: i64) -> QueueAsk {
    let mut ask = ask.clone();
    let by = |time: &mut Timestamp| time.0 = time.0.saturating_add(ahead);
    match &mut ask {
        QueueAsk::Add(new) => by(&mut new.run_at),
        QueueAsk::Finish(ending) => {
            if let QueueEnd::Failed { retry_at, .. } = &mut ending.end {
                by(retry_at);
            }
        }
        QueueAsk::Stale { retry_at, .. } | QueueAsk::Recover { retry_at, .. } => by(retry_at),
        QueueAsk::Heartbeat(beats) => beats.iter_mut().for_each(|beat| by(&mut beat.at)),
        _ => {}
    }
    ask
}

/// Moves the times of an answer that the core waits for to this machine's clock.
#[expect(clippy::wildcard_enum_match_arm, reason = "the times of the other answers are for people")]
fn move_due(told: &mut QueueTold, ahead: i64, asked_at: Timestamp) {
    let by = |due: &mut Option<Timestamp>| {
        if let Some(due) = due {
            due.0 = due.0.saturating_sub(ahead);
        }
    };
    match told {
        QueueTold::Claimed { claim, due } => {
            by(due);
            if let (None, Some(due)) = (claim, due) {
                // Another session is about to claim the job that is due.
                due.0 = due.0.max(asked_at.0.saturating_add(AGAIN_MS));
            }
        }
        QueueTold::Lane(state) | QueueTold::Cleared { lane: state, .. } => by(&mut state.due),
        QueueTold::Recovered { lanes, .. } | QueueTold::Lanes(lanes) => {
            lanes.iter_mut().for_each(|state| by(&mut state.due))
        }
        QueueTold::Added { job, .. } => job.run_at.0 = job.run_at.0.saturating_sub(ahead),
        QueueTold::Settled(settled) if !settled.job.status.is_end() => {
            settled.job.run_at.0 = settled.job.run_at.0.saturating_sub(ahead);
        }
        _ => {}
    }
}
