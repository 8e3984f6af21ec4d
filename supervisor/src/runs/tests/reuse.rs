//! Numbers that belong to another process by the time that they are used.

use super::*;
use crate::sys::fake::World;

/// Ends a process and gives its number to a stranger.
fn replace(world: &mut World, pid: i32) {
    world.exit(pid);
    assert!(world.get(pid).is_none(), "the number is taken");
    world.set_last_pid(pid - 1);
    assert_eq!(world.stranger(), pid);
}

/// A run with a process in a session of its own, whose parent does not go at once and reaps it, so that its number is free
/// when it ends.
fn with_detached() -> (Bench, Started, i32) {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let parent = bench.detached(run.pid);
    let detached = bench.detached(parent);
    bench.fake.change(parent, |process| (process.ignores_term, process.dies_late) = (true, 200));
    bench.fake.change(detached, |process| process.ignores_term = true);
    (bench, run, detached)
}

#[test]
fn a_number_that_is_given_again_between_scan_and_open_gets_no_signal() {
    let (mut bench, run, detached) = with_detached();
    bench.stop(&run);
    bench.turn();
    bench.kill(&run);
    bench.fake.before(move |call| call == Call::Open(detached), move |world| replace(world, detached));
    bench.over(&run);
    assert!(bench.fake.with(|world| world.get(detached).unwrap().of.is_none()), "the stranger lives");
}

#[test]
fn a_number_that_is_given_again_within_one_tick_is_told_by_its_tag() {
    let (mut bench, run, detached) = with_detached();
    bench.stop(&run);
    bench.turn();
    bench.kill(&run);
    let start_time = bench.start_time(detached);
    bench.fake.before(
        move |call| call == Call::Open(detached),
        move |world| {
            replace(world, detached);
            world.process(detached).start_time = start_time;
        },
    );
    bench.over(&run);
}

#[test]
fn a_number_that_is_given_again_before_it_is_checked_gets_no_signal() {
    let (mut bench, run, detached) = with_detached();
    bench.stop(&run);
    bench.turn();
    bench.kill(&run);
    // Behind the handle, whose process is gone then.
    bench.fake.before(
        move |call| call == Call::Open(detached),
        move |world| {
            world.before(move |call| call == Call::Stat(detached), move |world| replace(world, detached));
        },
    );
    bench.over(&run);
}

#[test]
fn a_number_that_is_given_again_between_open_and_send_gets_no_signal() {
    let (mut bench, run, detached) = with_detached();
    bench.stop(&run);
    bench.turn();
    bench.kill(&run);
    bench.fake.before(
        move |call| call == Call::Send(detached, libc::SIGKILL),
        move |world| replace(world, detached),
    );
    let receipt = bench.over(&run);
    assert_eq!(entry(&receipt, detached).error, None, "that it is gone is no error");
    assert_eq!(entry(&receipt, detached).signals, ["SIGTERM"]);
}

#[test]
fn a_number_that_a_process_of_another_run_has_now_gets_no_signal() {
    let (mut bench, run, detached) = with_detached();
    let other = bench.start("b");
    bench.stop(&run);
    bench.turn();
    bench.kill(&run);
    let parent = other.pid;
    bench.fake.before(
        move |call| call == Call::Open(detached),
        move |world| {
            world.exit(detached);
            world.set_last_pid(detached - 1);
            assert_eq!(world.fork(parent), Some(detached));
        },
    );
    bench.over(&run);
    assert_eq!(bench.living(&other).len(), 2);
}

#[test]
fn a_number_that_the_same_run_has_given_again_is_another_process() {
    let (mut bench, run, detached) = with_detached();
    bench.stop(&run);
    bench.turn();
    let first = bench.start_time(detached);
    bench.fake.with(|world| {
        let parent = world.get(detached).unwrap().parent();
        world.exit(detached);
        world.set_last_pid(detached - 1);
        let again = world.fork(parent).unwrap();
        assert_eq!(again, detached);
        world.set_session(again);
    });
    let second = bench.start_time(detached);
    bench.kill(&run);
    let receipt = bench.over(&run);
    let of_number = receipt.signalled.iter().filter(|entry| entry.pid == detached);
    let told: Vec<_> = of_number.map(|entry| (entry.start_time, entry.signals.join(" "))).collect();
    assert_eq!(told, [(first, "SIGTERM".to_owned()), (second, "SIGKILL".to_owned())]);
}

#[test]
fn a_process_that_vanishes_between_scan_and_open_is_no_error() {
    let (mut bench, run, detached) = with_detached();
    bench.stop(&run);
    bench.turn();
    bench.kill(&run);
    bench.fake.before(move |call| call == Call::Open(detached), move |world| world.exit(detached));
    let receipt = bench.over(&run);
    let entry = entry(&receipt, detached);
    assert_eq!((entry.signals.join(" "), &entry.error), ("SIGTERM".to_owned(), &None));
    assert!(entry.ended_ms.is_some());
}

#[test]
fn the_leaders_number_is_anothers_after_the_reap_and_gets_no_signal() {
    for has_group_signals in [true, false] {
        let mut bench = Bench::new();
        bench.fake.with(|world| world.has_group_signals = has_group_signals);
        let run = bench.start("a");
        let detached = bench.detached(run.pid);
        bench.fake.change(detached, |process| process.ignores_term = true);
        bench.stop(&run);
        bench.turn();
        bench.fake.with(|world| {
            // Nothing has the number any more; a stranger's whole group gets it.
            assert!(world.get(run.pid).is_none());
            world.set_last_pid(run.pid - 1);
            let stranger = world.stranger();
            assert_eq!(stranger, run.pid);
            world.fork(stranger);
        });
        bench.runs.terminate(&run.key, "SIGINT");
        bench.runs.signal(&run.key, "SIGHUP").unwrap();
        bench.kill(&run);
        let receipt = bench.over(&run);
        assert_eq!(entry(&receipt, detached).signals, ["SIGTERM", "SIGINT", "SIGKILL"]);
    }
}

#[test]
fn the_leaders_number_is_the_next_runs_and_both_are_told_apart() {
    let mut bench = Bench::new();
    let first = bench.start("a");
    let detached = bench.detached(first.pid);
    bench.fake.change(detached, |process| process.ignores_term = true);
    bench.stop(&first);
    bench.turn();
    bench.fake.with(|world| world.set_last_pid(first.pid - 1));
    let second = bench.start("b");
    assert_eq!(second.pid, first.pid);
    let theirs = bench.fake.fork(second.pid);
    bench.kill(&first);
    bench.over(&first);
    assert_eq!(bench.living(&second), [second.pid, theirs]);
    bench.stop(&second);
    let receipt = bench.over(&second);
    assert_eq!(receipt.signalled.len(), 2);
}

#[test]
fn a_child_that_was_reaped_is_forgotten_with_what_was_known_of_it() {
    let mut bench = Bench::new();
    let (one, other) = (bench.start("a"), bench.start("b"));
    let adopted = bench.adopted(one.pid);
    bench.turn();
    bench.runs.census(&one.key);
    bench.exit(adopted);
    bench.turn();
    // The same number, below the other run, and adopted again.
    let between = bench.fake.fork(other.pid);
    bench.fake.with(|world| world.set_last_pid(adopted - 1));
    let again = bench.detached(between);
    assert_eq!(again, adopted);
    bench.exit(between);
    bench.stop(&one);
    bench.kill(&one);
    bench.over(&one);
    assert_eq!(bench.living(&other), [other.pid, again]);
}
