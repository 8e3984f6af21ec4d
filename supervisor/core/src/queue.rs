//! The durable queue: who may have which job, and what becomes of it (PROTOCOL 5, Queue).
//!
//! The store decides which job is next, and has it on its disk before it answers. Here is decided when it is asked, who may ask, what
//! is run, and when a claimant is taken for dead. Nothing polls: a lane is looked at when a job came, a slot or a claimant is free, or a
//! time has come that the store has told.
//!
//! | file | |
//! |---|---|
//! | `asks` | questions to the store, and lanes that go on |
//! | `attempts` | attempts: their begin in this supervisor, and their end everywhere |
//! | `claims` | claims, heartbeats and results of workers outside |
//! | `adds` | new jobs |
//! | `manage` | jobs and lanes are shown, cancelled, retried, paused |
//! | `lives` | what earlier lives of the supervisor left, and the end of this one |
//! | `schedules` | commands that are added again and again |
//! | `routes`, `pages` | which store a question is for; a list out of both |
//! | `shared` | lanes that several machines share |

mod adds;
mod asks;
mod attempts;
mod claims;
mod lives;
mod manage;
mod pages;
mod routes;
mod schedules;
mod shared;

use crate::chronicle::{NoAnswer, Question, Stored};
use crate::conns::Caller;
use crate::ids::ConnId;
use crate::lanes::{Asking, Taker, Then, Unfinished};
use crate::refusals;
use crate::restart::delay;
use crate::state::Core;
use crate::timers::{Alarm, Timer};
use alloc::boxed::Box;
use alloc::string::String;
use gob_config::LaneSettings;
use gob_protocol::answer::QueueJobData;
use gob_protocol::queue::{QueueAsk, QueueRefusal, QueueTold};
use gob_protocol::{Data, Request};

pub(crate) use attempts::{ended as attempts_ended, is_not_listed};
pub(crate) use lives::{begins, counts_unfinished, leftovers_changed};
pub(crate) use shared::news as shared_news;

/// The first and the longest time after which the store is asked again what earlier lives left, if it could not answer.
const AGAIN_MS: (u64, u64) = (2_000, 60_000);

/// Takes a request about the queue.
#[expect(clippy::wildcard_enum_match_arm, reason = "the other requests are not about the queue")]
pub(crate) fn request(core: &mut Core, caller: &Caller, request: Request) {
    match request {
        Request::QueueAdd(add) => adds::add(core, caller, *add),
        Request::QueueClaim(claim) => claims::claim(core, caller, claim),
        Request::QueueHeartbeat(beat) => claims::heartbeat(core, caller, beat),
        Request::QueueFinish(finish) => claims::finish(core, caller, finish),
        Request::ScheduleAdd(add) => schedules::add(core, caller, *add),
        Request::ScheduleList(list) => {
            asks::ask_for(core, caller, QueueAsk::ScheduleList { lane: list.lane }, Then::AsAsked);
        }
        Request::ScheduleRemove(remove) => {
            let then = Then::Check(Box::new(QueueAsk::ScheduleRemove { name: remove.name }));
            asks::ask_for(core, caller, QueueAsk::ScheduleList { lane: None }, then);
        }
        other => manage::request(core, caller, other),
    }
}

/// Takes an answer of the store about the queue.
pub(crate) fn told(core: &mut Core, question: Question, asking: Asking, answer: Result<Stored, NoAnswer>) {
    let is_shared = matches!(question, Question::Shared(_));
    let (Question::Queue(ask) | Question::Shared(ask)) = question else { return };
    match answer {
        Ok(Stored::Queue(told)) if is_shared && matches!(*told, QueueTold::Recovered { .. }) => {
            shared::recovered(core, *told);
        }
        Ok(Stored::Queue(told)) => take(core, *ask, asking, *told),
        Ok(_) => failed(core, *ask, asking, &NoAnswer::Silent),
        Err(why) if is_shared && shared::failed(core, &ask, &asking, &why) => {}
        Err(why) => failed(core, *ask, asking, &why),
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the other questions that settle a job end an attempt")]
fn take(core: &mut Core, ask: QueueAsk, asking: Asking, told: QueueTold) {
    match told {
        QueueTold::Refused(why) => refused(core, &ask, asking, &why),
        QueueTold::Added { job, is_new } => adds::added(core, asking, *job, is_new),
        QueueTold::Claimed { claim, due } => claims::claimed(core, &ask, asking, claim, due),
        QueueTold::Heard { .. } => {}
        QueueTold::Settled(settled) => match ask {
            QueueAsk::Cancel { .. } => manage::cancelled(core, asking, *settled),
            QueueAsk::Retry { .. } => manage::retried(core, asking, *settled),
            _ => attempts::settled(core, &ask, asking, *settled),
        },
        QueueTold::Job(job) => match &asking.then {
            Then::Check(next) => manage::check(core, *job, QueueAsk::clone(next), asking),
            Then::AsAsked | Then::Give(_) | Then::Clear(_) | Then::After(_) => {
                asks::answer(core, asking.client, Ok(Data::QueueJob(Box::new(QueueJobData { job: *job }))));
            }
        },
        QueueTold::Listed(page) => manage::listed(core, &ask, asking, *page),
        QueueTold::Lane(state) => manage::lane_told(core, &ask, asking, state),
        QueueTold::Cleared { lane, cancelled, jobs, more } => {
            manage::cleared(core, asking, lane, cancelled, jobs, more);
        }
        QueueTold::Lanes(lanes) => lanes.iter().for_each(|state| manage::learn(core, state, false)),
        QueueTold::Recovered { jobs, count, outside, lanes, next_at } => {
            lives::recovered(core, jobs, count, outside, &lanes, next_at);
        }
        QueueTold::Schedule(schedule) => schedules::told(core, &ask, asking, *schedule),
        QueueTold::Schedules(all) => schedules::listed(core, asking, all),
        QueueTold::Due(due) => schedules::fired(core, *due),
        QueueTold::Unfinished(count) => {
            core.lanes.unfinished = if count == 0 { Unfinished::None } else { Unfinished::Kept(count) };
        }
        QueueTold::Deleted(_) => {}
    }
}

/// The store refuses a question: nothing was changed.
fn refused(core: &mut Core, ask: &QueueAsk, asking: Asking, why: &QueueRefusal) {
    if let Some(id) = attempts::ends(ask).filter(|id| attempts::is_its_end(core, id, ask)) {
        // It ended otherwise.
        attempts::lets_go(core, id);
    }
    if let QueueAsk::Claim { lane, .. } = ask {
        claims::is_refused(core, lane, asking, refusals::queue_refused(why));
    } else {
        asks::answer(core, asking.client, Err(refusals::queue_refused(why)));
    }
}

/// The store can't answer a question now.
#[expect(clippy::wildcard_enum_match_arm, reason = "nothing but the answer hangs on the other questions")]
fn failed(core: &mut Core, ask: QueueAsk, asking: Asking, why: &NoAnswer) {
    let error = refusals::no_history(why);
    if attempts::ends(&ask).is_some() {
        return attempts::is_untold(core, ask, asking, error);
    }
    match &ask {
        QueueAsk::Claim { lane, .. } => return claims::is_refused(core, lane, asking, error),
        QueueAsk::Recover { .. } => {
            let tries = core.lanes.past_is_untold();
            core.cx.arm(Timer::Queue(Alarm::Recover), delay(AGAIN_MS, tries, 0));
        }
        QueueAsk::ScheduleDue { ids } => schedules::not_fired(core, ids),
        QueueAsk::Unfinished => core.lanes.unfinished = Unfinished::Kept(0),
        _ => {}
    }
    asks::answer(core, asking.client, Err(error));
}

/// The store does not answer in time; false for a question that is not about the queue. Its answer still counts when it comes: what
/// was claimed must not be forgotten.
pub(crate) fn is_overdue(core: &mut Core, ticket: u64) -> bool {
    let Some((question, asking)) = core.underway.of_queue(ticket) else { return false };
    let (Question::Queue(ask) | Question::Shared(ask)) = question else { return false };
    let is_shared = matches!(question, Question::Shared(_));
    let ask = QueueAsk::clone(ask);
    if let (true, QueueAsk::List { .. }) = (is_shared, &ask) {
        let late = Asking { client: asking.client.take(), ..asking.clone() };
        if !shared::failed(core, &ask, &late, &NoAnswer::Silent) {
            asks::answer(core, late.client, Err(refusals::no_history(&NoAnswer::Silent)));
        }
        return true;
    }
    let mut client = asking.client.take();
    if let Then::Give(taker @ Taker::Outside(_)) = &mut asking.then
        && let Taker::Outside(waiting) = core::mem::replace(taker, Taker::Nobody)
    {
        client = Some(waiting.client);
    }
    if let QueueAsk::Claim { lane, .. } = &ask
        && let Some(lane) = core.lanes.get_mut(lane)
    {
        lane.is_overdue();
    } else if let Some(end) = attempts::ends(&ask).and_then(|id| core.lanes.holds.get_mut(id)?.end.as_mut())
        && end.ask == ask
    {
        end.is_overdue = true;
    } else if let QueueAsk::Unfinished = &ask {
        core.lanes.unfinished = Unfinished::Kept(0);
    }
    asks::answer(core, client, Err(refusals::no_history(&NoAnswer::Silent)));
    true
}

/// There are numbers of jobs: for those that wait for one, and for a schedule that is due.
pub(crate) fn have_numbers(core: &mut Core) {
    adds::have_numbers(core);
    schedules::are_due(core);
}

/// A deadline of the queue has come.
pub(crate) fn due(core: &mut Core, alarm: Alarm) {
    match alarm {
        Alarm::Lane(lane) => asks::is_due(core, &lane),
        Alarm::Claimant(lane, number) => claims::waits_no_longer(core, &lane, number),
        Alarm::Stale(id) => claims::is_stale(core, &id),
        Alarm::Settle(id) => attempts::tells_again(core, &id),
        Alarm::Recover => lives::begins(core),
        Alarm::Schedules => schedules::are_due(core),
        Alarm::Shared => shared::looks_again(core),
        Alarm::SharedLocks => core.locks.compare(&mut core.underway, &mut core.cx),
    }
}

/// The clock has jumped: times of day are counted anew, and each claim counts as just heard.
pub(crate) fn jumped(core: &mut Core) {
    for name in core.lanes.names() {
        let due = core.lanes.get(&name).and_then(|lane| lane.due);
        asks::wakes_at(core, &name, due);
    }
    schedules::next_at(core, core.lanes.schedule_at);
    for id in core.lanes.holds.outside() {
        attempts::is_heard(core, &id);
    }
}

/// A connection is gone: its claims go back, and do not count.
pub(crate) fn disconnected(core: &mut Core, conn: ConnId) {
    core.lanes.forget_adds(conn);
    for (lane, waiting) in core.lanes.take_waiting_of(conn) {
        core.cx.timers.cancel(&Timer::Queue(Alarm::Claimant(lane, waiting.number)));
    }
    claims::is_gone(core, conn);
}

/// The configuration was read: a lane of which it says another width than before has that one from here on.
pub(crate) fn reloaded(
    core: &mut Core,
    before: &alloc::collections::BTreeMap<String, LaneSettings>,
    shared: Option<&gob_config::Shared>,
) {
    if core.cx.setup.settings.shared.as_ref() != shared {
        shared::is_another(core);
    }
    for name in core.lanes.names() {
        let said = core.cx.setup.settings.lanes.get(name.as_str()).and_then(|lane| lane.width);
        let was = before.get(name.as_str()).and_then(|lane| lane.width);
        if let Some(width) = said.filter(|_| said != was)
            && let Some(lane) = core.lanes.get_mut(&name)
        {
            (lane.width, lane.has_default_width) = (width, false);
            asks::goes_on(core, &name);
        }
    }
}
