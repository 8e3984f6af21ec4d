//! Requests that the store answers: what is asked, who may, and the numbers of jobs that it gives out in blocks.

use crate::chronicle::{NoAnswer, Question, Recorded, Stored};
use crate::conns::Caller;
use crate::cx::Cx;
use crate::io::Effect;
use crate::refusals;
use crate::underway::{Asker, Underway};
use crate::worker::Worker;
use crate::workers::Workers;
use alloc::boxed::Box;
use alloc::vec;
use gob_protocol::answer::RunsDeleteData;
use gob_protocol::request::{Blame, History, Runs, RunsDelete};
use gob_protocol::{Actor, Data, EventKind, Name, WireError};

/// Entries in an answer to a request that does not say how many.
const PAGE: u32 = 100;

/// Most entries in an answer.
const MOST: u32 = 1_000;

/// Numbers of jobs that are reserved at once.
const BLOCK: u32 = 64;

/// `runs`.
pub(crate) fn runs(asked: Runs, workers: &Workers) -> Result<Question, Box<WireError>> {
    let Runs { name, limit, before } = asked;
    is_known(&name, workers)?;
    Ok(Question::Runs { name, limit: bounded(limit), before })
}

/// `stats`.
pub(crate) fn stats(name: Name, workers: &Workers) -> Result<Question, Box<WireError>> {
    is_known(&name, workers)?;
    Ok(Question::Stats(name))
}

/// `blame`.
pub(crate) fn blame(asked: Blame, workers: &Workers) -> Result<Question, Box<WireError>> {
    let Blame { name, limit, before } = asked;
    is_known(&name, workers)?;
    Ok(Question::Blame { name, limit: bounded(limit), before })
}

/// `history`.
pub(crate) fn since(asked: History) -> Question {
    let History { after, limit } = asked;
    Question::Since { after, limit: bounded(limit) }
}

/// `runs_delete`.
pub(crate) fn delete(
    asked: RunsDelete,
    caller: &Caller,
    workers: &Workers,
) -> Result<Question, Box<WireError>> {
    let RunsDelete { name, run } = asked;
    let worker = workers.get(&name).ok_or_else(|| refusals::not_found(&name))?;
    if !worker.title().may_manage(caller.owner()) {
        return Err(refusals::owned_by_other(&worker.claimed(), caller.owner()));
    }
    if worker.run == run && worker.is_running() {
        return Err(refusals::run_lives(&name, run));
    }
    Ok(Question::DeleteRun { name, run })
}

fn is_known(name: &Name, workers: &Workers) -> Result<(), Box<WireError>> {
    workers.get(name).map(|_| ()).ok_or_else(|| refusals::not_found(name))
}

fn bounded(limit: Option<u32>) -> u32 {
    limit.unwrap_or(PAGE).clamp(1, MOST)
}

/// Asks for the durations of a job's earlier runs where they are not known.
pub(crate) fn look_for_durations(name: &Name, workers: &mut Workers, underway: &mut Underway, cx: &mut Cx) {
    let worker = workers.get_mut(name).filter(|worker| worker.spec.job().is_some());
    if worker.is_some_and(|worker| worker.expects.asks()) {
        cx.push(underway.asks(Asker::Job, Question::Durations(name.clone())));
    }
}

/// Asks for them where a job runs by now.
pub(crate) fn has_begun(name: &Name, workers: &mut Workers, underway: &mut Underway, cx: &mut Cx) {
    if workers.get(name).is_some_and(Worker::is_running) {
        look_for_durations(name, workers, underway, cx);
    }
}

/// Takes an answer about the durations of a job's earlier runs, and says so where another one is expected by it.
pub(crate) fn take_durations(
    question: &Question,
    answer: Result<Stored, NoAnswer>,
    workers: &mut Workers,
    cx: &mut Cx,
) {
    let durations = match answer {
        Ok(Stored::Durations(durations)) => Some(durations),
        Ok(_) | Err(_) => None,
    };
    if let Question::Durations(name) = question
        && let Some(worker) = workers.get_mut(name)
    {
        let before = worker.expects.ms();
        worker.expects.learns(durations);
        if worker.expects.ms() != before {
            worker.publish(EventKind::WorkerUpdated, Actor::Supervisor, cx);
        }
    }
}

/// Asks for numbers of jobs where few are left and none are on their way.
pub(crate) fn look_for_numbers(underway: &mut Underway, cx: &mut Cx) {
    if cx.past.numbers_left() < u64::from(BLOCK / 2) && !underway.awaits_numbers() {
        let question = Question::Reserve { count: BLOCK, above: cx.past.highest_job() };
        cx.push(underway.asks(Asker::Numbers, question));
    }
}

/// Takes an answer about numbers. Without a store they go on above the highest that is known.
pub(crate) fn take_numbers(answer: &Result<Stored, NoAnswer>, cx: &mut Cx) {
    match answer {
        Ok(Stored::Reserved { first, count }) => cx.past.reserved(*first, *count),
        Ok(_) | Err(_) => cx.past.reserved(cx.past.highest_job().saturating_add(1), BLOCK),
    }
    // Before any of them is told. The store that has the queue may be out of reach when they are needed next.
    cx.push(Effect::MarkJobs { up_to: cx.past.up_to() });
}

/// The answer to a client's question.
pub(crate) fn told(question: &Question, answer: Result<Stored, NoAnswer>) -> Result<Data, Box<WireError>> {
    Ok(match answer.map_err(|why| refusals::no_history(&why))? {
        Stored::Runs(data) => Data::Runs(data),
        Stored::Stats(stats) => Data::Stats(Box::new(stats)),
        Stored::Blame(data) => Data::Blame(data),
        Stored::Since(data) => Data::History(data),
        Stored::Deleted(was_there) => {
            let Question::DeleteRun { name, run } = question else {
                return Err(refusals::no_history(&NoAnswer::Silent));
            };
            if !was_there {
                return Err(refusals::no_such_run(name, *run));
            }
            Data::RunsDelete(RunsDeleteData { removed: vec![*run] })
        }
        Stored::Durations(_) | Stored::Reserved { .. } | Stored::Queue(_) | Stored::Lock(_) => {
            return Err(refusals::no_history(&NoAnswer::Silent));
        }
    })
}

/// Gives back the numbers that no job has, at the end.
pub(crate) fn give_back_numbers(cx: &mut Cx) {
    if let Some((first, count)) = cx.past.unused() {
        cx.push(Effect::Record(Recorded::Unused { first, count }));
        cx.push(Effect::MarkJobs { up_to: cx.past.up_to() });
    }
}
