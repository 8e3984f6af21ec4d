//! Lanes that several machines share: their jobs are in a database, which may be away.
//!
//! Nothing is claimed there before it has taken back what this machine held and does not hold any more: a claim whose answer was lost
//! with a connection is such a one.

use super::routes::{is_lane, names};
use super::{asks, attempts, manage, pages};
use crate::chronicle::{NoAnswer, SharedChange, SharedNews};
use crate::lanes::{Asking, Held, SharedStore};
use crate::refusals;
use crate::state::Core;
use crate::timers::{Alarm, Timer};
use alloc::boxed::Box;
use alloc::vec::Vec;
use gob_protocol::queue::{LaneName, QueueAsk, QueueStatus, QueueTold, is_shared};
use gob_protocol::{Actor, Data, EventKind, Name};

/// Shared lanes are looked at so often all the same: a notification may be lost, and a job that another machine was about to claim may
/// have been given back.
const LOOK_MS: u64 = 5_000;

/// Takes news of the database.
pub(crate) fn news(core: &mut Core, news: SharedNews) {
    match news {
        SharedNews::Up => {
            core.lanes.shared = SharedStore::Away;
            core.lanes.shared_reason.clear();
            core.locks.database_is_up(&mut core.underway, &mut core.cx);
            asks_past(core);
        }
        SharedNews::Away(why) => {
            if core.lanes.shared != SharedStore::Lost {
                core.lanes.shared = SharedStore::Away;
            }
            core.locks.database_is_away(&why, false, &mut core.cx);
            core.lanes.shared_reason = why;
            nobody_waits(core);
        }
        SharedNews::Lost(why) => is_lost(core, why),
        SharedNews::Changed(change) => changed(core, *change),
    }
}

/// Another database is used from here on, or none: what was held in the one before is not renewed any more.
pub(super) fn is_another(core: &mut Core) {
    is_lost(core, "another database is configured".into());
    if core.cx.setup.settings.shared.is_some() {
        core.lanes.shared = SharedStore::Unknown;
        core.locks.database_is_new();
    }
}

/// Asks the database to take back what this machine held and does not hold any more.
fn asks_past(core: &mut Core) {
    core.lanes.shared = SharedStore::Asked;
    let left = core.cx.past.leftovers().iter().filter_map(|left| left.worker.clone());
    let mut except: Vec<Name> = left.filter(is_shared).collect();
    except.extend(core.lanes.holds.shared());
    let retry_at = attempts::retry_at(core, 1);
    let ask = QueueAsk::Recover { except, error: attempts::ENDED.into(), retry_at };
    asks::ask_shared(core, ask, Asking::own(Actor::Supervisor));
    core.cx.arm(Timer::Queue(Alarm::Shared), LOOK_MS);
}

/// Processes of an earlier life that were left may be gone.
pub(super) fn leftovers_changed(core: &mut Core) {
    if core.lanes.shared == SharedStore::Settled {
        asks_past(core);
    }
}

/// The database has taken back what this machine held.
pub(super) fn recovered(core: &mut Core, told: QueueTold) {
    let (mut jobs, mut count, mut outside, mut lanes) = Default::default();
    if let QueueTold::Recovered { jobs: of, count: some, outside: held, lanes: all, .. } = told {
        (jobs, count, outside, lanes) = (of, some, held, all);
    }
    core.lanes.shared = SharedStore::Settled;
    core.cx.tally.stale_recoveries += count;
    for job in jobs {
        core.cx.publish_job(EventKind::QueueJobRecovered, Actor::Supervisor, job);
    }
    for job in outside.into_iter().filter(|job| core.lanes.holds.get(&job.id).is_none()).collect::<Vec<_>>() {
        attempts::goes_on_outside(core, &job);
    }
    for state in lanes {
        if is_lane(core, &state.lane.lane) {
            manage::learn(core, &state, false);
        }
    }
    looks_at_all(core);
}

/// Looks at the shared lanes now and then, or asks again for what was held before.
pub(super) fn looks_again(core: &mut Core) {
    match core.lanes.shared {
        SharedStore::Settled => looks_at_all(core),
        // It refused that for want of time.
        SharedStore::Asked if !core.underway.recovers_shared() => asks_past(core),
        SharedStore::Unknown | SharedStore::Away | SharedStore::Lost | SharedStore::Asked => {}
    }
}

fn looks_at_all(core: &mut Core) {
    if core.cx.leaving.is_on() {
        return;
    }
    let names: Vec<LaneName> = names(core);
    for name in &names {
        asks::wakes(core, name);
    }
    core.cx.arm(Timer::Queue(Alarm::Shared), LOOK_MS);
}

/// The database is away: claims that wait for a job are told so.
fn nobody_waits(core: &mut Core) {
    let error = refusals::shared_away(&core.lanes.shared_reason);
    for name in names(core) {
        let waiting = core.lanes.get_mut(&name).map(|lane| lane.take_all()).unwrap_or_default();
        for waiting in waiting {
            core.cx.timers.cancel(&Timer::Queue(Alarm::Claimant(name.clone(), waiting.number)));
            asks::answer(core, Some(waiting.client), Err(error.clone()));
        }
    }
}

/// Others may have what is held here: commands are ended at once, and workers outside hear of it by their next heartbeat.
fn is_lost(core: &mut Core, why: alloc::string::String) {
    core.lanes.shared = SharedStore::Lost;
    core.locks.database_is_away(&why, true, &mut core.cx);
    core.lanes.shared_reason = why;
    for id in core.lanes.holds.shared() {
        if core.lanes.holds.get(&id).is_some_and(Held::is_here) {
            if let Some(worker) = core.workers.get_mut(&id) {
                worker.bring_down(Some(0), &Actor::Supervisor, &mut core.cx);
            }
        } else {
            attempts::lets_go(core, &id);
        }
    }
    nobody_waits(core);
}

/// Another machine has changed something.
fn changed(core: &mut Core, change: SharedChange) {
    let SharedChange { lanes, changed, jobs, locks, is_all } = change;
    core.locks.others_changed(&locks, is_all, &mut core.underway, &mut core.cx);
    for job in jobs {
        let event = if job.status.is_end() { EventKind::QueueJobFinished } else { EventKind::QueueJobAdded };
        let was_held = core.lanes.holds.get(&job.id).is_some_and(|held| held.attempt == job.attempt);
        if job.status == QueueStatus::Cancelled && was_held {
            manage::stops(core, &job.id, &Actor::Supervisor);
        }
        core.cx.publish_job(event, Actor::Supervisor, job);
    }
    let all = if is_all { names(core) } else { Vec::new() };
    for lane in
        changed.into_iter().chain(all.iter().cloned()).filter(|lane| is_lane(core, lane)).collect::<Vec<_>>()
    {
        asks::ask(core, QueueAsk::Lane { lane }, Asking::own(Actor::Supervisor));
    }
    for lane in lanes.into_iter().chain(all) {
        if is_lane(core, &lane) {
            asks::wakes(core, &lane);
        }
    }
}

/// The database does not answer a question; true where nothing more is to be done about it.
pub(super) fn failed(core: &mut Core, ask: &QueueAsk, asking: &Asking, why: &NoAnswer) -> bool {
    // A list has what is here without it.
    if let Some(page) = pages::without_database(core, ask, &asking.then, why) {
        asks::answer(core, asking.client.clone(), Ok(Data::QueueList(Box::new(page))));
        return true;
    }
    matches!(ask, QueueAsk::Recover { .. })
}
