//! Processes that fork and end while the table is read, and how much work a turn may cost.

use super::*;
use crate::sys::fake::{Process, World};
use gob_protocol::Exit;

/// A run whose leader ignores SIGTERM, so that it lives until it is killed.
fn stubborn(bench: &mut Bench) -> Started {
    let run = bench.start("a");
    bench.fake.change(run.pid, |process| process.ignores_term = true);
    run
}

fn killed() -> Exit {
    Exit::Signal { signal: "SIGKILL".to_owned(), core_dumped: false }
}

#[test]
fn the_end_of_a_run_without_others_takes_no_scan() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    for number in 0..100 {
        bench.start(&format!("g{number}"));
    }
    bench.exit(run.pid);
    let scans =
        bench.calls_like(|call| matches!(call, Call::Pids | Call::Next(_)), |bench| drop(bench.over(&run)));
    assert_eq!(scans, 0, "the list of our children proves it");
}

#[test]
fn a_turn_without_an_end_asks_the_kernel_for_nothing_but_dead_children() {
    let mut bench = Bench::new();
    bench.start("a");
    let (calls, ()) = bench.fake.clone().count(|| bench.turn());
    assert_eq!(calls, 1);
}

#[test]
fn a_stop_scans_nothing_and_what_is_left_is_scanned_once_and_then_only_new_numbers() {
    let mut bench = Bench::new();
    let run = stubborn(&mut bench);
    let stranger = bench.fake.with(|world| world.stranger());
    let scans = bench.calls_like(|call| call == Call::Pids, |bench| bench.stop(&run));
    let child = bench.detached(run.pid);
    let census = |bench: &mut Bench| drop(bench.runs.census(&run.key));
    let first = bench.calls_like(|call| call == Call::Pids, census);
    let second = bench.calls_like(|call| call == Call::Pids, census);
    let reads = bench.calls_like(|call| matches!(call, Call::Tag(_)), |bench| bench.runs.new_turn());
    assert_eq!((scans, first, second, reads), (0, 1, 0, 0));
    bench.kill(&run);
    let reads = bench.calls_like(
        move |call| matches!(call, Call::Pids | Call::Next(_)) || call == Call::Tag(4),
        |bench| bench.turn(),
    );
    assert_eq!((stranger, reads), (4, 0), "an old number is not read again");
    let receipt = bench.over(&run);
    assert_eq!(entry(&receipt, child).signals, ["SIGKILL"]);
}

#[test]
fn a_stop_notes_the_children_of_a_process_that_ends_while_its_tree_is_read() {
    let mut bench = Bench::new();
    let run = stubborn(&mut bench);
    let between = bench.detached(run.pid);
    let child = bench.detached(between);
    let adopted = bench.adopted(run.pid);
    bench.fake.before(move |call| call == Call::ChildrenOf(between), move |world| world.exit(between));
    bench.stop(&run);
    let asked = bench.runs.census(&run.key);
    bench.kill(&run);
    let receipt = bench.over(&run);
    for pid in [run.pid, child, adopted] {
        assert_eq!(entry(&asked, pid).ended_ms, None);
        assert!(entry(&receipt, pid).ended_ms.is_some());
    }
}

#[test]
fn a_scan_that_is_old_or_that_new_numbers_do_not_follow_is_done_again() {
    let changes = [
        |world: &mut World| world.pass(Duration::from_millis(100)),
        // The numbers have begun anew.
        |world: &mut World| {
            world.exit(4);
            world.set_last_pid(3);
        },
        |world: &mut World| world.tells_last = false,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut bench = Bench::new();
        let run = stubborn(&mut bench);
        bench.fake.with(|world| {
            for _ in 0..5 {
                world.stranger();
            }
        });
        bench.stop(&run);
        bench.runs.census(&run.key);
        bench.fake.with(change);
        let child = bench.detached(run.pid);
        bench.runs.new_turn();
        let scans = bench.calls_like(|call| call == Call::Pids, |bench| drop(bench.runs.census(&run.key)));
        assert_eq!(scans, 1, "{number}");
        bench.kill(&run);
        let receipt = bench.over(&run);
        assert_eq!(entry(&receipt, child).signals, ["SIGKILL"]);
    }
}

#[test]
fn a_thread_of_a_new_number_is_no_process() {
    let mut bench = Bench::new();
    let run = stubborn(&mut bench);
    bench.stop(&run);
    bench.runs.census(&run.key);
    let tid = bench.fake.with(|world| world.thread(run.pid));
    bench.runs.new_turn();
    let members = bench.runs.census(&run.key).survivors;
    assert!(members.iter().all(|left| left.pid != tid), "{members:?}");
}

#[test]
fn a_process_that_is_born_behind_the_scan_is_found_by_the_next_one() {
    let mut bench = Bench::new();
    let run = stubborn(&mut bench);
    let parent = bench.detached(run.pid);
    let strangers = bench.fake.with(|world| [world.stranger(), world.stranger()]);
    bench.fake.change(parent, |process| process.ignores_term = true);
    // Its number is one that the scan has passed already.
    bench.exit(strangers[0]);
    bench.fake.before(
        move |call| call == Call::Next(strangers[1]),
        move |world| {
            world.set_last_pid(strangers[0] - 1);
            let child = world.fork(parent).unwrap();
            assert_eq!(child, strangers[0]);
            world.set_session(child);
            world.process(child).ignores_term = true;
        },
    );
    bench.stop(&run);
    bench.runs.census(&run.key);
    assert_eq!(bench.living(&run).len(), 3);
    bench.turns(&run, 2);
    bench.kill(&run);
    bench.over(&run);
}

#[test]
fn forks_at_every_step_of_a_kill_are_ended_too() {
    for step in 0..150 {
        let mut bench = Bench::new();
        let run = stubborn(&mut bench);
        let parent = bench.detached(run.pid);
        bench.fake.change(parent, |process| process.ignores_term = true);
        bench.stop(&run);
        bench.kill(&run);
        let from = bench.fake.with(|world| world.calls());
        let at = from + step;
        let counted = std::cell::Cell::new(from);
        bench.fake.before(
            move |_| {
                counted.set(counted.get() + 1);
                counted.get() > at
            },
            move |world| {
                if world.get(parent).is_some_and(Process::is_alive) {
                    let child = world.fork(parent).unwrap();
                    world.set_session(child);
                    world.exit(parent);
                }
            },
        );
        bench.over(&run);
    }
}

#[test]
fn a_chain_that_hops_slower_than_it_is_killed_ends() {
    for every in [40, 50, 100, 200] {
        let mut bench = Bench::new();
        let run = stubborn(&mut bench);
        let hopper = bench.detached(run.pid);
        bench.fake.change(hopper, |process| (process.hops, process.ignores_term) = (Some(every), true));
        bench.stop(&run);
        bench.kill(&run);
        bench.over(&run);
    }
}

#[test]
fn a_chain_that_hops_at_every_call_costs_a_bounded_turn_and_ends_when_it_tires() {
    let mut bench = Bench::with_numbers(300);
    let run = stubborn(&mut bench);
    let hoppers: Vec<i32> = (0..4).map(|_| bench.detached(run.pid)).collect();
    for pid in &hoppers {
        bench.fake.change(*pid, |process| (process.hops, process.ignores_term) = (Some(1), true));
    }
    bench.stop(&run);
    bench.kill(&run);
    let mut most = 0;
    for _ in 0..20 {
        let fake = bench.fake.clone();
        bench.runs.new_turn();
        // At least 512 are taken in between two sweeps (`Shell::reap`).
        for _ in 0..512 {
            if bench.runs.reap() == Reaping::Nothing {
                break;
            }
        }
        bench.runs.sweep(&run.key);
        let (calls, swept) = fake.count(|| bench.runs.sweep_on());
        most = most.max(calls);
        if !swept.is_empty() {
            assert_eq!(bench.living(&run), [0; 0], "it is over, and these live");
            return;
        }
    }
    assert!(most < 2_000, "{most} calls in one turn");
    bench.fake.with(|world| {
        for pid in world.living_of(run.tag) {
            world.process(pid).hops = None;
        }
    });
    bench.over(&run);
}

#[test]
fn a_crowd_is_killed_while_the_table_is_read() {
    let mut bench = Bench::with_numbers(4000);
    let run = stubborn(&mut bench);
    for _ in 0..60 {
        let pid = bench.detached(run.pid);
        bench.fake.change(pid, |process| (process.hops, process.ignores_term) = (Some(400), true));
    }
    bench.stop(&run);
    bench.kill(&run);
    bench.over(&run);
}

#[test]
fn a_turn_among_hundreds_of_dead_children_costs_a_few_calls_for_each() {
    let mut bench = Bench::with_numbers(2000);
    let run = stubborn(&mut bench);
    let parent = bench.detached(run.pid);
    let dead: Vec<i32> = (0..500).map(|_| bench.fake.fork(run.pid)).collect();
    for pid in dead {
        // Each is adopted and a zombie: its parent is dead, and it is.
        bench.fake.with(|world| world.orphan_to_us(pid));
    }
    bench.fake.change(parent, |process| process.ignores_term = true);
    bench.stop(&run);
    bench.kill(&run);
    let fake = bench.fake.clone();
    let (calls, swept) = fake.count(|| bench.runs.sweep_on());
    assert!(swept.is_empty() && calls < 6 * 500, "{calls} calls");
    assert_eq!(bench.runs.reap(), Reaping::Leader(run.key.clone(), killed()));
    let (calls, reaped) = fake.count(|| bench.runs.reap());
    assert_eq!((calls, reaped), (2, Reaping::Stray));
    bench.runs.sweep(&run.key);
    bench.over(&run);
}

#[test]
fn a_huge_tree_without_tags_costs_a_bounded_look() {
    let mut bench = Bench::with_numbers(2000);
    bench.fake.with(|world| world.refuses_tags = true);
    let run = stubborn(&mut bench);
    for _ in 0..40 {
        let parent = bench.fake.fork(run.pid);
        for _ in 0..20 {
            bench.fake.fork(parent);
        }
    }
    bench.fake.with(|world| world.end(run.tag));
    let fake = bench.fake.clone();
    let (calls, census) = fake.count(|| bench.runs.census(&run.key));
    assert!(census.survivors.len() > 500, "{}", census.survivors.len());
    assert!(calls < 4_000, "{calls} calls");
    bench.stop(&run);
    bench.kill(&run);
    bench.over(&run);
}
