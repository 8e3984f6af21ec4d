//! Schedules: commands that are added again and again. The store knows their times; a time that was missed counts once.

use super::{adds, asks, routes};
use crate::conns::Caller;
use crate::history;
use crate::lanes::{Asking, Then};
use crate::owner::Title;
use crate::refusals;
use crate::state::Core;
use crate::timers::{Alarm, Timer};
use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
use gob_protocol::answer::{ScheduleData, ScheduleListData, ScheduleRemoveData};
use gob_protocol::queue::{Due, NewSchedule, QueueAsk, Schedule};
use gob_protocol::request::ScheduleAdd;
use gob_protocol::{Actor, Data, Name, Owner, Timestamp};

/// The shortest interval.
const MIN_INTERVAL_MS: u64 = 1_000;

/// `schedule_add`.
pub(super) fn add(core: &mut Core, caller: &Caller, add: ScheduleAdd) {
    if add.cron.is_some() == add.interval_ms.is_some() {
        return core.cx.answer(caller, Err(refusals::two_times()));
    }
    if add.interval_ms.is_some_and(|ms| ms < MIN_INTERVAL_MS) {
        return core.cx.answer(caller, Err(refusals::bad_interval(MIN_INTERVAL_MS)));
    }
    if routes::is_lane(core, &add.lane) {
        return core.cx.answer(caller, Err(refusals::shared_schedule(&add.lane)));
    }
    let schedule = NewSchedule {
        name: add.name,
        lane: add.lane,
        command: add.command,
        cwd: add.cwd,
        env: add.env,
        umask: caller.umask,
        owner: caller.owner().clone(),
        max_attempts: core.cx.setup.settings.queue.max_attempts,
        cron: add.cron,
        interval_ms: add.interval_ms,
        timezone: add.timezone,
    };
    asks::ask_for(core, caller, QueueAsk::ScheduleAdd(Box::new(schedule)), Then::AsAsked);
}

/// A schedule was added, or removed.
pub(super) fn told(core: &mut Core, ask: &QueueAsk, asking: Asking, schedule: Schedule) {
    let data = if let QueueAsk::ScheduleRemove { .. } = ask {
        Data::ScheduleRemove(ScheduleRemoveData { removed: schedule.name })
    } else {
        let known = core.lanes.schedule_at;
        let next = [known, schedule.next_at].into_iter().flatten().min();
        next_at(core, next);
        Data::Schedule(Box::new(ScheduleData { schedule }))
    };
    asks::answer(core, asking.client, Ok(data));
}

/// All schedules: a client wants to see them, or to remove one of them.
pub(super) fn listed(core: &mut Core, asking: Asking, schedules: Vec<Schedule>) {
    let Asking { client, actor, then } = asking;
    let Then::Check(next) = then else {
        return asks::answer(core, client, Ok(Data::ScheduleList(ScheduleListData { schedules })));
    };
    let requester = match &actor {
        Actor::Client { owner, .. } => owner.clone(),
        Actor::Supervisor => Owner::unknown(),
    };
    let is_meant =
        |schedule: &&Schedule| matches!(&*next, QueueAsk::ScheduleRemove { name } if *name == schedule.name);
    let of_other = schedules
        .iter()
        .find(is_meant)
        .filter(|schedule| !Title { owner: &schedule.owner, last: None }.may_manage(&requester));
    if let Some(schedule) = of_other {
        let error = refusals::schedule_of_other(&schedule.name, &schedule.owner, &requester);
        return asks::answer(core, client, Err(error));
    }
    asks::ask(core, *next, Asking { client, actor, then: Then::AsAsked });
}

/// The next time of any schedule.
pub(super) fn next_at(core: &mut Core, at: Option<Timestamp>) {
    core.lanes.schedule_at = at;
    let alarm = Timer::Queue(Alarm::Schedules);
    match at {
        // One at a time: the store is asked again after its answer.
        Some(at) if !core.lanes.asks_schedules => {
            let ms = asks::until_ms(core, at);
            core.cx.arm(alarm, ms);
        }
        Some(_) | None => core.cx.timers.cancel(&alarm),
    }
}

/// A schedule may be due.
pub(super) fn are_due(core: &mut Core) {
    let at = core.lanes.schedule_at;
    if core.cx.leaving.is_on() || core.lanes.asks_schedules {
        return;
    }
    if at.is_none_or(|at| at > core.cx.now.wall) {
        return next_at(core, at);
    }
    history::look_for_numbers(&mut core.underway, &mut core.cx);
    match core.cx.past.next_job() {
        Some(id) => {
            core.lanes.asks_schedules = true;
            asks::ask(core, QueueAsk::ScheduleDue { ids: vec![id] }, Asking::own(Actor::Supervisor));
        }
        // The numbers are on their way.
        None => core.cx.arm(Timer::Queue(Alarm::Schedules), asks::LATER_MS),
    }
}

/// The store has added the jobs of a schedule that was due.
pub(super) fn fired(core: &mut Core, due: Due) {
    let Due { fired, unused, next_at: at } = due;
    core.lanes.asks_schedules = false;
    give_back(core, &unused);
    let has_fired = !fired.is_empty();
    for fired in fired {
        adds::added(core, Asking::own(Actor::Supervisor), fired.job, true);
    }
    next_at(core, at);
    if !has_fired && at.is_some_and(|at| at <= core.cx.now.wall) {
        // Its last job still waits.
        core.cx.arm(Timer::Queue(Alarm::Schedules), asks::LATER_MS);
    }
}

/// The store can't say which are due.
pub(super) fn not_fired(core: &mut Core, ids: &[Name]) {
    core.lanes.asks_schedules = false;
    give_back(core, ids);
    core.cx.arm(Timer::Queue(Alarm::Schedules), asks::LATER_MS);
}

fn give_back(core: &mut Core, ids: &[Name]) {
    for number in ids.iter().filter_map(Name::number) {
        core.cx.past.not_needed(number);
    }
}
