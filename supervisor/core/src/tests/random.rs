//! Long random histories, far beyond the depth that can be exhausted.
//!
//! `GOB_HISTORIES=N` runs so many instead of the usual few thousand; a failure prints its seed and its shortest history,
//! and `GOB_SEED=S` runs that one alone.

use super::dice::Dice;
use super::harness::{Seen, World, kind};
use super::steps::Step;
use gob_config::kind::{Check, HttpPort, Kind, Liveness, Orphans, RestartOn};
use gob_protocol::{ErrorCode, EventKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::String;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;
use std::vec::Vec;
use std::{format, println, thread, vec};

const HISTORIES: u64 = 8_000;

/// After so many steps the core is written, read back, and gone on with.
const REREAD_EVERY: usize = 50;

/// In one history of so many: that takes longer than all the steps between.
const REREAD_IN: u64 = 4;

/// A kind as somebody may have configured it.
fn any_kind(dice: &mut Dice) -> Kind {
    let mut kind = kind();
    kind.restart.on =
        dice.one(&[RestartOn::Never, RestartOn::OnFailure, RestartOn::OnFailure, RestartOn::Always]);
    kind.restart.backoff_ms = dice.one(&[(2, 3), (100, 30_000), (1, 1)]);
    kind.restart.give_up_failures = dice.one(&[1, 3, 5, 1_000]);
    kind.exit_zero_ceded = dice.below(2) == 0;
    let http = |port| Check::Http { path: "/".into(), status: 200, port };
    let connect = Check::Connect { address: "127.0.0.1:{port}".into() };
    let rare = [Check::None, Check::Notify, Check::Delay { for_ms: 50 }, http(HttpPort::Given), connect];
    kind.readiness.check = dice.one(&[vec![Check::Handshake; 3], rare.to_vec()].concat());
    kind.stop.http = dice.one(&[None, Some("POST /stop".into())]);
    kind.stop.then = dice.one(&[None, Some("SIGINT".into())]);
    let http = Check::Http { path: "/".into(), status: 200, port: HttpPort::Fixed(1) };
    let checks = [Check::Handshake, Check::Notify, Check::Notify, http, Check::None];
    kind.liveness = dice.maybe(60, |dice| Liveness {
        check: dice.one(&checks),
        interval_ms: dice.one(&[400, 10_000]),
        timeout_ms: 50,
        failures: dice.one(&[1, 1, 3]),
        successes: dice.one(&[1, 1, 2]),
        restart: dice.below(3) == 0,
    });
    kind.idle_stop_ms = dice.maybe(20, |dice| dice.one(&[50, 5_000]));
    kind.foreign.lock_file = dice.maybe(40, |_| "{data_dir}/lock".into());
    kind.foreign.orphans = dice.one(&[None, None, Some(Orphans::Report), Some(Orphans::End)]);
    kind.readiness.timeout_ms = dice.one(&[1, 300, 30_000]);
    kind.stop.grace_ms = dice.one(&[0, 100, 10_000]);
    kind
}

/// Takes these steps, those that can't happen left out; then everybody cooperates.
fn take(world: &mut World, steps: &[Step], obey: bool) -> Result<(), String> {
    for step in steps {
        world.step(step).map_err(|why| format!("{why}\nat {step:?}"))?;
        // More often than the history did: fewer steps are left.
        world.reread().map_err(|why| format!("{why}\nafter {step:?}"))?;
    }
    world.settle(obey)
}

/// Runs one history; when it fails, also gives what led to it.
fn run(seed: u64) -> Result<(usize, Seen), (Vec<Step>, String)> {
    let mut dice = Dice::new(seed);
    let kind = any_kind(&mut dice);
    let obey = dice.below(2) == 0;
    let mut world = World::new(kind.clone());
    let mut steps = Vec::new();
    let outcome = guarded(|| {
        for _ in 0..dice.between(50, 600) {
            let step = dice.step(&world);
            steps.push(step.clone());
            world.step(&step).map_err(|why| format!("{why}\nat {step:?}"))?;
            if steps.len().is_multiple_of(REREAD_EVERY) && seed.is_multiple_of(REREAD_IN) {
                world.reread().map_err(|why| format!("{why}\nafter {step:?}"))?;
            }
        }
        world.settle(obey)
    });
    let done = (steps.len(), world.seen);
    outcome.map(|()| done).map_err(|why| shortest(&kind, obey, steps, why))
}

/// A panic of the core is a failure like any other.
pub(super) fn guarded(what: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|cause| {
        let text = cause.downcast_ref::<String>().cloned();
        Err(text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).into())).unwrap_or_default())
    })
}

/// Leaves out whatever is not needed for the history to fail.
fn shortest(kind: &Kind, obey: bool, mut steps: Vec<Step>, mut why: String) -> (Vec<Step>, String) {
    let mut chunk = steps.len().div_ceil(2);
    while chunk > 0 {
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + chunk).min(steps.len()));
            match guarded(|| take(&mut World::new(kind.clone()), &fewer, obey)) {
                Err(cause) => (steps, why) = (fewer, cause),
                Ok(()) => at += chunk,
            }
        }
        chunk /= 2;
    }
    (steps, why)
}

fn run_or_tell(seed: u64) -> (usize, Seen) {
    run(seed).unwrap_or_else(|(steps, why)| {
        let steps: Vec<String> = steps.iter().map(|step| format!("    {step:?}")).collect();
        panic!("{why}\nafter\n{}\nrun it again with GOB_SEED={seed}", steps.join("\n"))
    })
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

#[test]
fn histories() {
    if let Some(seed) = number("GOB_SEED") {
        run_or_tell(seed);
        return;
    }
    let begin = Instant::now();
    let histories = number("GOB_HISTORIES").unwrap_or(HISTORIES);
    let next = AtomicU64::new(1);
    let work = || {
        let mut sum = (0, Seen::default());
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed > histories {
                return sum;
            }
            let (steps, seen) = run_or_tell(seed);
            sum.0 += steps;
            sum.1.add(seen);
        }
    };
    let (mut steps, mut seen) = (0, Seen::default());
    thread::scope(|scope| {
        let workers = thread::available_parallelism().map_or(1, usize::from);
        let handles: Vec<_> = vec![work; workers].into_iter().map(|work| scope.spawn(work)).collect();
        for handle in handles {
            let (more, also) = handle.join().unwrap_or_else(|cause| {
                // The other threads end after their present history.
                next.store(histories + 1, Ordering::Relaxed);
                std::panic::resume_unwind(cause)
            });
            steps += more;
            seen.add(also);
        }
    });
    let took = begin.elapsed().as_secs_f64();
    println!("{histories} histories, {steps} steps, {took:.1} s");
    if histories >= HISTORIES {
        saw_it_all(seen);
    }
}

/// The histories are worth what happens in them.
fn saw_it_all(seen: Seen) {
    for event in EventKind::ALL.iter().filter(|event| event.as_str() != "lagged") {
        assert!(seen.events & 1 << *event as u32 != 0, "{event} never happened");
    }
    let codes = [
        ErrorCode::InvalidRequest,
        ErrorCode::VersionMismatch,
        ErrorCode::Busy,
        ErrorCode::ShuttingDown,
        ErrorCode::ServerNotFound,
        ErrorCode::ServerNotRunning,
        ErrorCode::ServerRunning,
        ErrorCode::ServerOwnedByOther,
        ErrorCode::ServerLockedByExternal,
        ErrorCode::ServerStartFailed,
        ErrorCode::ServerStartTimeout,
        ErrorCode::ServerStartTimeoutOrphan,
        ErrorCode::ServerStopTimeout,
        ErrorCode::LockTimeout,
        ErrorCode::LockNotHeld,
        ErrorCode::LockDeadlock,
        ErrorCode::UpgradeFailed,
    ];
    for code in codes {
        assert!(seen.errors & 1 << code as u32 != 0, "nobody was told {code}");
    }
    assert_eq!(seen.outcomes, 0b1111, "each outcome of a start");
    assert!(seen.lagged && seen.gap && seen.replay && seen.jump && seen.models, "{seen:?}");
}
