//! A stop, the end of a leader, the rest of its tree.

use super::*;
use libc::{SIGCONT, SIGKILL, SIGTERM};

#[test]
fn stop_signals_the_whole_group_and_the_receipt_lists_each_process_once() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let child = bench.fake.fork(run.pid);
    let grandchild = bench.fake.fork(child);
    bench.fake.with(|world| world.stranger());
    bench.stop(&run);
    let receipt = bench.over(&run);
    assert_eq!(receipt.signalled.len(), 3);
    for pid in [run.pid, child, grandchild] {
        let entry = entry(&receipt, pid);
        assert_eq!((entry.signals.as_slice(), &entry.error), (["SIGTERM".to_owned()].as_slice(), &None));
        assert!(entry.ended_ms.is_some(), "{entry:?}");
    }
    let continued = bench.fake.with(|world| world.sent.iter().any(|sent| sent.signal == SIGCONT));
    assert!(!continued, "all of them were dead by then");
}

#[test]
fn stop_wakes_a_process_that_was_stopped() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    bench.fake.change(run.pid, |process| process.ignores_term = true);
    bench.stop(&run);
    let sent: Vec<i32> = bench.fake.with(|world| world.sent.iter().map(|sent| sent.signal).collect());
    assert_eq!(sent, [SIGTERM, SIGCONT]);
}

#[test]
fn a_session_of_its_own_is_asked_when_the_leader_is_gone() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let detached = bench.detached(run.pid);
    bench.stop(&run);
    assert_eq!(bench.living(&run), [detached], "the group's signal does not reach it");
    let receipt = bench.over(&run);
    assert_eq!(entry(&receipt, detached).signals, ["SIGTERM"]);
}

#[test]
fn the_rest_of_a_tree_keeps_its_grace_and_is_then_killed() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let (stays, detached) = (bench.fake.fork(run.pid), bench.detached(run.pid));
    for pid in [stays, detached] {
        bench.fake.change(pid, |process| process.ignores_term = true);
    }
    bench.stop(&run);
    assert_eq!(bench.turns(&run, 20), None);
    assert_eq!(bench.living(&run), [stays, detached]);
    assert!(bench.fake.with(|world| world.sent.iter().all(|sent| sent.signal != SIGKILL)));
    bench.kill(&run);
    let receipt = bench.over(&run);
    for pid in [stays, detached] {
        assert_eq!(entry(&receipt, pid).signals, ["SIGTERM", "SIGKILL"]);
    }
}

#[test]
fn each_process_is_asked_once_however_long_it_lingers() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let detached = bench.detached(run.pid);
    bench.fake.change(detached, |process| process.ignores_term = true);
    bench.stop(&run);
    bench.turns(&run, 20);
    let asked = bench.fake.with(|world| {
        world.sent.iter().filter(|sent| sent.pid == detached && sent.signal == SIGTERM).count()
    });
    assert_eq!(asked, 1);
}

#[test]
fn a_step_of_the_end_that_starts_later_is_not_asked_and_is_killed_after_the_grace() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let stays = bench.fake.fork(run.pid);
    bench.fake.change(stays, |process| process.ignores_term = true);
    bench.stop(&run);
    bench.turn();
    let later = bench.detached(stays);
    bench.turns(&run, 5);
    let start_time = bench.start_time(later);
    assert!(bench.fake.with(|world| !world.got(later, start_time, SIGTERM)));
    bench.kill(&run);
    let receipt = bench.over(&run);
    assert_eq!(entry(&receipt, later).signals, ["SIGKILL"]);
}

#[test]
fn a_leader_that_ignores_sigterm_is_killed_with_its_group() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let child = bench.fake.fork(run.pid);
    for pid in [run.pid, child] {
        bench.fake.change(pid, |process| process.ignores_term = true);
    }
    bench.stop(&run);
    assert_eq!(bench.turns(&run, 5), None);
    bench.kill(&run);
    let receipt = bench.over(&run);
    for pid in [run.pid, child] {
        assert_eq!(entry(&receipt, pid).signals, ["SIGTERM", "SIGKILL"]);
    }
}

#[test]
fn an_end_that_nobody_asked_for_kills_the_group_while_its_number_is_taken() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    bench.fake.fork(run.pid);
    let tag = run.tag;
    bench.fake.before(
        move |call| matches!(call, Call::Reap(_)),
        move |world| {
            assert_eq!(world.living_of(tag), [0; 0], "the leader is reaped before its group is killed")
        },
    );
    bench.exit(run.pid);
    bench.over(&run);
}

#[test]
fn an_end_that_was_asked_for_does_not_kill_the_group() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let child = bench.fake.fork(run.pid);
    bench.fake.change(child, |process| process.ignores_term = true);
    bench.fake.with(|world| world.end(run.tag));
    bench.asked.insert(run.key.clone());
    // As by its own way, such as a request over HTTP.
    bench.runs.ask(&run.key);
    bench.exit(run.pid);
    bench.turn();
    assert_eq!(bench.living(&run), [child]);
    assert!(bench.fake.with(|world| world.sent.iter().all(|sent| sent.signal != SIGKILL)));
}

#[test]
fn the_group_is_killed_through_the_leaders_handle_after_the_reap() {
    for has_group_signals in [true, false] {
        let mut bench = Bench::new();
        bench.fake.with(|world| world.has_group_signals = has_group_signals);
        let run = bench.start("a");
        let members: Vec<i32> = (0..3).map(|_| bench.fake.fork(run.pid)).collect();
        for pid in &members {
            bench.fake.change(*pid, |process| process.ignores_term = true);
        }
        bench.stop(&run);
        bench.turn();
        assert_eq!(bench.living(&run), members);
        bench.kill(&run);
        let receipt = bench.over(&run);
        for pid in members {
            assert_eq!(entry(&receipt, pid).signals, ["SIGTERM", "SIGKILL"]);
        }
        let by_group = bench
            .fake
            .with(|world| world.sent.iter().filter(|sent| sent.signal == SIGKILL).all(|sent| sent.to_group));
        assert_eq!(by_group, has_group_signals);
    }
}

#[test]
fn a_group_is_killed_whose_members_were_not_seen() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let seen = bench.fake.fork(run.pid);
    bench.fake.change(seen, |process| process.ignores_term = true);
    bench.stop(&run);
    bench.turn();
    bench.kill(&run);
    // Born after the scan, before the signal.
    bench.fake.before(
        |call| matches!(call, Call::SendGroupOf(..)),
        move |world| assert!(world.fork(seen).is_some()),
    );
    bench.turn();
    assert_eq!(bench.living(&run), [0; 0]);
    bench.over(&run);
}

#[test]
fn a_signal_to_a_leader_that_has_ended_is_no_error() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    bench.fake.with(|world| world.end(run.tag));
    bench.runs.signal(&run.key, "SIGHUP").unwrap();
    bench.exit(run.pid);
    bench.runs.signal(&run.key, "SIGHUP").unwrap();
    bench.turn();
    bench.runs.signal(&run.key, "SIGHUP").unwrap();
}

#[test]
fn ending_one_run_leaves_the_other_alone() {
    let mut bench = Bench::new();
    let (one, other) = (bench.start("a"), bench.start("b"));
    let theirs = [bench.fake.fork(other.pid), bench.detached(other.pid), bench.adopted(other.pid)];
    for pid in [bench.detached(one.pid), bench.adopted(one.pid)] {
        bench.fake.change(pid, |process| process.ignores_term = true);
    }
    bench.stop(&one);
    bench.turns(&one, 5);
    bench.kill(&one);
    // The fake panics when one of the other's gets anything.
    bench.over(&one);
    assert_eq!(bench.living(&other).len(), 1 + theirs.len());
    bench.stop(&other);
    bench.over(&other);
}

#[test]
fn many_runs_end_in_one_turn() {
    let mut bench = Bench::new();
    let runs: Vec<Started> = (0..20).map(|number| bench.start(&format!("g{number}"))).collect();
    for run in &runs {
        bench.detached(run.pid);
        bench.fake.with(|world| world.end(run.tag));
    }
    let scans = bench.calls_like(
        |call| call == Call::Pids,
        |bench| {
            bench.runs.new_turn();
            for run in &runs {
                bench.asked.insert(run.key.clone());
                bench.runs.terminate(&run.key, "SIGTERM");
            }
        },
    );
    assert_eq!(scans, 0, "their parents tell of all of them");
    for run in &runs {
        bench.over(run);
    }
}
