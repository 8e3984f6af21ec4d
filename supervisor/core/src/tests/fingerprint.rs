//! When two worlds are the same: everything that decides about the future, and nothing else.

use super::harness::World;
use super::runs::Stage;
use crate::run::Run;
use crate::stage::{At, Stage as Step};
use crate::timers::Timer;
use crate::waiters::Waiting;
use crate::worker::{Phase, Worker};
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
    for (at, timer) in core.cx.timers.all() {
        discriminant(timer).hash(into);
        at.wrapping_sub(world.now).hash(into);
        match timer {
            Timer::Delay(name) | Timer::Then(name) | Timer::Tell(name) => name.hash(into),
            Timer::Evict(name) => name.hash(into),
            Timer::Start(name) | Timer::Kill(name) | Timer::Sweep(name) => name.hash(into),
            Timer::Backoff(name) | Timer::Lease(name) | Timer::Polite(name) => name.hash(into),
            Timer::Probe(name) | Timer::Idle(name) => name.hash(into),
            Timer::Waiter(name, conn, _) => (name, conn).hash(into),
            // The searches have no queue.
            Timer::Queue(_) => {}
            Timer::LockWait(number) | Timer::LockTtl(number) => number.hash(into),
            Timer::LockClaims => {}
        }
    }
    let leaving = &core.cx.leaving;
    (leaving.is_on(), leaving.is_due(), leaving.asked_by().map(|(conn, _)| conn)).hash(into);
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
        (run.signals, run.http, run.looked_at).hash(into);
    }
    for name in world.runs.all_looking().chain(world.runs.all_asked()) {
        name.hash(into);
    }
    core.cx.past.leftovers().len().hash(into);
    (world.ended, core.workers.keys().count(), world.wake.is_some()).hash(into);
    into.finish()
}

fn hash_worker(worker: &Worker, world: &World, into: &mut DefaultHasher) {
    (&worker.name, discriminant(worker.phase()), worker.owner(), worker.last_owner(), worker.leases().len())
        .hash(into);
    worker.leases().iter().for_each(|(conn, holder)| (conn, &holder.owner).hash(into));
    (worker.run.min(1), worker.lost_ports(), worker.next().is_some(), worker.is_asked_to_go()).hash(into);
    worker.holder().map(|holder| &holder.owner).hash(into);
    if let Phase::Live(run) = worker.phase() {
        hash_run(run, worker, world, into);
    }
    for waiter in worker.waiters() {
        let later = waiter.run > worker.run;
        (waiter.conn, &waiter.requester, discriminant(&waiter.what), later).hash(into);
        if let Waiting::Start { outcome, .. } = &waiter.what {
            discriminant(outcome).hash(into);
        }
    }
    discriminant(&worker.leases().on_last()).hash(into);
    for at in worker.failures().times() {
        let age = world.now - at;
        (age <= worker.spec.policy.restart.give_up_within_ms).then_some(age).hash(into);
    }
}

fn hash_run(run: &Run, worker: &Worker, world: &World, into: &mut DefaultHasher) {
    let healthy = worker.spec.policy.restart.healthy_after_ms;
    (run.port, run.busy_locks, run.probing, discriminant(run.stage()), worker.sequel()).hash(into);
    if let Step::Ending(end) = run.stage() {
        (discriminant(&end.at), end.cause, end.asked).hash(into);
        end.was_ready_ms.map(|ms| ms >= healthy).hash(into);
        match &end.at {
            At::CallingOff { awaited, overdue } => (awaited, overdue).hash(into),
            At::Lingering(exit) | At::Sweeping(exit) => std::format!("{exit}").hash(into),
            At::Finishing(rest) => {
                (std::format!("{}", rest.exit), rest.port_taken, rest.is_free).hash(into);
            }
            At::Examining(ended) => std::format!("{}", ended.exit).hash(into),
            At::Asked | At::Killing => {}
        }
    }
    run.eviction.as_ref().map(|eviction| (eviction.left.len(), eviction.is_killing)).hash(into);
    let health = &run.health;
    (health.failures.min(9), health.successes.min(9), health.heard, health.watchdog_ms).hash(into);
    run.ready_mono_ms.map(|at| (world.now - at).min(healthy)).hash(into);
}
