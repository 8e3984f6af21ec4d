//! When two worlds are the same: everything that decides about the future, and nothing else.

use super::harness::World;
use super::runs::Stage;
use crate::Timer;
use crate::worker::{Phase, Then, Waiting, Worker};
use core::hash::{Hash, Hasher};
use core::mem::discriminant;
use std::hash::DefaultHasher;

/// A number that two worlds share when nothing that follows can tell them apart. Subscribers and several kinds are not
/// looked at: the searches have neither.
pub(super) fn fingerprint(world: &World) -> u64 {
    let into = &mut DefaultHasher::new();
    let core = &world.core;
    for (conn, client) in &world.clients {
        (conn, &client.owner).hash(into);
    }
    for worker in core.workers.values() {
        hash_worker(worker, world, into);
    }
    for (at, timer) in &core.timers.by_time {
        discriminant(timer).hash(into);
        at.wrapping_sub(world.now).hash(into);
        match timer {
            Timer::Delay(name) | Timer::Then(name) => name.hash(into),
            Timer::Start(name) | Timer::Kill(name) | Timer::Sweep(name) => name.hash(into),
            Timer::Backoff(name) | Timer::Lease(name) | Timer::Polite(name) => name.hash(into),
            Timer::Liveness(name) | Timer::Idle(name) => name.hash(into),
            Timer::Waiter(name, conn, _) => (name, conn).hash(into),
        }
    }
    if let Some(ending) = &core.ending {
        (ending.asked_by.as_ref().map(|(conn, _)| conn), ending.done).hash(into);
    }
    for (name, wish) in &world.spec.wishes {
        (name, wish.down, &wish.queued).hash(into);
    }
    for (name, run) in world.runs.iter() {
        let alive = matches!(run.stage, Stage::Alive { .. });
        (
            name,
            discriminant(&run.stage),
            alive,
            run.told,
            run.called_off,
            run.terminated,
            run.sweeping,
            run.lingering,
            run.census,
        )
            .hash(into);
        (run.signals, run.http, run.probing, run.looked_at).hash(into);
    }
    for name in world.runs.all_looking().chain(world.runs.all_asked()) {
        name.hash(into);
    }
    core.config.leftovers.len().hash(into);
    (world.ended, core.workers.keys().count(), world.wake.is_some()).hash(into);
    into.finish()
}

fn hash_worker(worker: &Worker, world: &World, into: &mut DefaultHasher) {
    (&worker.name, discriminant(&worker.phase), &worker.owner, &worker.last_owner, worker.leases.len())
        .hash(into);
    worker.leases.iter().for_each(|(conn, holder)| (conn, &holder.owner).hash(into));
    (worker.run.min(1), worker.port, worker.lost_ports, worker.busy_locks, worker.probing).hash(into);
    match &worker.phase {
        Phase::Ending(ending) => {
            let code = ending.exit.as_ref().map(|exit| std::format!("{exit}"));
            let flags = (ending.pid.is_some(), ending.killing, ending.timed_out);
            (flags, code, discriminant(&ending.then), ending.asked).hash(into);
            if let Then::Policy { was_ready_ms, asked } = &ending.then {
                (was_ready_ms.map(|ms| ms >= worker.kind.restart.healthy_after_ms), asked).hash(into);
            }
        }
        Phase::External(holder) => holder.owner.hash(into),
        Phase::Starting { pid } => pid.is_some().hash(into),
        _other => {}
    }
    for waiter in &worker.waiters {
        let later = waiter.run > worker.run;
        (waiter.conn, &waiter.requester, discriminant(&waiter.what), later).hash(into);
        if let Waiting::Start { outcome, .. } = &waiter.what {
            discriminant(outcome).hash(into);
        }
    }
    discriminant(&worker.on_last_lease).hash(into);
    worker.looking.as_ref().map(discriminant).hash(into);
    worker.polite.as_ref().map(|polite| polite.next.is_some()).hash(into);
    let live = &worker.live;
    (live.failures.min(9), live.successes.min(9), live.heard, live.watchdog_ms).hash(into);
    let healthy = worker.kind.restart.healthy_after_ms;
    worker.ready_mono_ms.map(|at| (world.now - at).min(healthy)).hash(into);
    for at in &worker.failures.at {
        let age = world.now - at;
        (age <= worker.kind.restart.give_up_within_ms).then_some(age).hash(into);
    }
}
