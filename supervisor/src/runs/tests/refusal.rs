//! Processes that can't be ended, or not yet.

use super::*;

#[test]
fn a_process_of_another_user_is_a_survivor_with_uid_and_error() {
    for (detached, root) in [(false, false), (true, false), (true, true)] {
        let mut bench = Bench::new();
        bench.fake.with(|world| world.is_root = root);
        let run = bench.start("a");
        let refuses = if detached { bench.detached(run.pid) } else { bench.fake.fork(run.pid) };
        bench.fake.change(refuses, |process| process.uid = 0);
        bench.stop(&run);
        bench.turns(&run, 3);
        bench.kill(&run);
        if root {
            bench.over(&run);
            continue;
        }
        assert_eq!(bench.turns(&run, 20), None, "it lives, so the run is not over");
        let census = bench.runs.census(&run.key);
        let [survivor] = census.survivors.as_slice() else { panic!("{census:?}") };
        assert_eq!(
            (survivor.pid, survivor.start_time, survivor.uid, survivor.error.as_deref()),
            (refuses, bench.start_time(refuses), Some(0), Some("EPERM"))
        );
        let entry = entry(&census, refuses);
        assert_eq!((entry.signals.len(), entry.error.as_deref()), (0, Some("EPERM")), "{entry:?}");
        // The password was given, and it ends by itself.
        bench.exit(refuses);
        bench.over(&run);
    }
}

#[test]
fn a_process_of_another_user_is_told_of_also_when_the_rest_of_its_group_is_killed() {
    for with_leader in [true, false] {
        let mut bench = Bench::new();
        let run = bench.start("a");
        let (refuses, other) = (bench.fake.fork(run.pid), bench.fake.fork(run.pid));
        bench.fake.change(refuses, |process| process.uid = 0);
        bench.fake.change(other, |process| process.ignores_term = true);
        bench.fake.change(run.pid, |process| process.ignores_term = with_leader);
        bench.stop(&run);
        bench.turns(&run, 2);
        bench.kill(&run);
        assert_eq!(bench.turns(&run, 5), None);
        let census = bench.runs.census(&run.key);
        let (refuses, other) = (entry(&census, refuses), entry(&census, other));
        assert_eq!((refuses.signals.len(), refuses.error.as_deref()), (0, Some("EPERM")));
        assert_eq!((other.signals.len(), &other.error), (2, &None));
    }
}

#[test]
fn a_leader_of_another_user_is_told_of() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    bench.fake.change(run.pid, |process| process.uid = 0);
    bench.fake.with(|world| world.end(run.tag));
    let refused = bench.runs.signal(&run.key, "SIGHUP").unwrap_err();
    assert_eq!(refused.raw_os_error(), Some(libc::EPERM));
    bench.stop(&run);
    let census = bench.runs.census(&run.key);
    assert_eq!(entry(&census, run.pid).error.as_deref(), Some("EPERM"));
}

#[test]
fn a_process_that_dies_late_is_waited_for() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let late = bench.detached(run.pid);
    bench.fake.change(late, |process| (process.ignores_term, process.dies_late) = (true, 300));
    bench.stop(&run);
    bench.turns(&run, 2);
    bench.kill(&run);
    bench.turn();
    let census = bench.runs.census(&run.key);
    let [survivor] = census.survivors.as_slice() else { panic!("{census:?}") };
    assert_eq!((survivor.pid, survivor.error.as_deref()), (late, None), "killed, and does not go");
    assert_eq!(entry(&census, late).ended_ms, None);
    let receipt = bench.over(&run);
    let entry = entry(&receipt, late);
    assert_eq!(entry.signals, ["SIGTERM", "SIGKILL"], "each KILL is noted once");
    assert!(entry.ended_ms.is_some());
}

#[test]
fn a_leader_whose_main_thread_has_ended_is_alive() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    bench.fake.with(|world| world.thread(run.pid));
    bench.exit(run.pid);
    assert_eq!(bench.turns(&run, 5), None);
    assert_eq!(bench.runs.census(&run.key).survivors.len(), 1, "another thread goes on");
    bench.fake.change(run.pid, |process| process.ignores_term = true);
    bench.stop(&run);
    assert_eq!(bench.turns(&run, 5), None);
    bench.kill(&run);
    let receipt = bench.over(&run);
    assert_eq!(entry(&receipt, run.pid).signals, ["SIGTERM", "SIGKILL"]);
}

#[test]
fn an_adopted_process_whose_main_thread_has_ended_is_alive() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let adopted = bench.adopted(run.pid);
    bench.fake.with(|world| world.thread(adopted));
    bench.fake.change(adopted, |process| process.ignores_term = true);
    bench.exit(adopted);
    bench.stop(&run);
    assert_eq!(bench.turns(&run, 5), None);
    bench.kill(&run);
    let receipt = bench.over(&run);
    assert_eq!(entry(&receipt, adopted).signals, ["SIGTERM", "SIGKILL"]);
}

#[test]
fn nothing_is_over_while_the_children_cannot_be_listed() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let adopted = bench.adopted(run.pid);
    bench.fake.change(adopted, |process| process.ignores_term = true);
    bench.stop(&run);
    bench.fake.with(|world| world.hides_children = true);
    bench.kill(&run);
    assert_eq!(bench.turns(&run, 5), None);
    assert_eq!(bench.living(&run), [adopted]);
    bench.fake.with(|world| world.hides_children = false);
    bench.over(&run);
}
