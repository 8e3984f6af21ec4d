//! Control groups: the last belt of a sweep, and those that a dead supervisor left.

use super::*;
use crate::cgroups::Cgroups;
use crate::sys::fake::World;
use std::path::PathBuf;

const BASE: &str = "/groups";

/// The group of a run.
fn group(bench: &Bench, run: &Started) -> PathBuf {
    bench.fake.with(|world| world.process(run.pid).cgroup.clone()).unwrap()
}

/// Starts a process that is known by its group alone: it is no child of ours, and has neither tag nor marker.
fn lost(bench: &Bench, run: &Started) -> i32 {
    let (at, of) = (group(bench, run), run.tag);
    bench.fake.with(|world| {
        let pid = world.stranger();
        let process = world.process(pid);
        (process.cgroup, process.of) = (Some(at), Some(of));
        pid
    })
}

fn groups(bench: &Bench) -> Vec<PathBuf> {
    bench.fake.with(|world| world.groups_in(Path::new(BASE)))
}

#[test]
fn a_process_that_only_its_group_knows_is_killed_and_told_of() {
    let mut bench = Bench::with_groups(BASE);
    let run = bench.start("a");
    let lost = lost(&bench, &run);
    bench.stop(&run);
    let receipt = bench.over(&run);
    assert_eq!(entry(&receipt, lost).signals, ["SIGKILL"]);
    assert!(groups(&bench).is_empty(), "{:?}", groups(&bench));
}

#[test]
fn a_group_that_forks_while_it_is_killed_is_killed_whole() {
    let mut bench = Bench::with_groups(BASE);
    let run = bench.start("a");
    let lost = lost(&bench, &run);
    bench.fake.before(
        move |call| call == Call::KillGroup,
        move |world| {
            world.fork(lost);
        },
    );
    bench.stop(&run);
    bench.over(&run);
    assert!(groups(&bench).is_empty(), "{:?}", groups(&bench));
}

#[test]
fn a_group_is_kept_until_the_last_of_it_has_died_late() {
    let mut bench = Bench::with_groups(BASE);
    let run = bench.start("a");
    let lost = lost(&bench, &run);
    bench.fake.change(lost, |process| (process.uid, process.dies_late) = (0, 300));
    bench.stop(&run);
    assert_eq!(bench.turns(&run, 3), None, "it is killed, and lives");
    assert_eq!(groups(&bench), [group_of(&bench, lost)]);
    bench.over(&run);
    assert!(groups(&bench).is_empty(), "{:?}", groups(&bench));
}

fn group_of(bench: &Bench, pid: i32) -> PathBuf {
    bench.fake.with(|world| world.process(pid).cgroup.clone()).unwrap()
}

/// A process enters a group that it made below its run's, right before that group is to go.
#[test]
fn a_process_that_hides_in_a_group_below_is_killed() {
    let mut bench = Bench::with_groups(BASE);
    let run = bench.start("a");
    let lost = lost(&bench, &run);
    let at = group(&bench, &run);
    let below = at.join("below");
    bench.fake.with(|world| world.make_group(&below)).unwrap();
    bench.fake.change(lost, |process| process.cgroup = None);
    bench.fake.before(
        move |call| call == Call::GroupsIn,
        move |world: &mut World| world.process(lost).cgroup = Some(below),
    );
    bench.stop(&run);
    bench.over(&run);
    assert!(groups(&bench).is_empty(), "{:?}", groups(&bench));
}

#[test]
fn an_adopted_process_without_other_marks_is_of_the_run_of_its_group() {
    let mut bench = Bench::with_groups(BASE);
    let (run, other) = (bench.start("a"), bench.start("b"));
    let adopted = bench.adopted(run.pid);
    bench.fake.change(adopted, |process| (process.tag, process.env) = (u64::MAX, Default::default()));
    bench.stop(&other);
    bench.over(&other);
    assert_eq!(bench.living(&run), [run.pid, adopted]);
    bench.stop(&run);
    bench.over(&run);
}

#[test]
fn groups_of_a_dead_supervisor_are_cleared_within_their_time() {
    for dies_late in [0, 1_000_000] {
        let mut bench = Bench::with_groups(BASE);
        let run = bench.start("a");
        let lost = lost(&bench, &run);
        bench.fake.change(lost, |process| process.dies_late = dies_late);
        bench.fake.with(|world| {
            world.end(run.tag);
            world.exit(run.pid);
        });
        let begun = bench.fake.with(|world| world.now());
        // Of another state directory: it stays.
        assert!(Cgroups::clear(&bench.fake, Path::new(BASE), 8).is_empty());
        assert_eq!(groups(&bench).len(), 1);
        let killed = Cgroups::clear(&bench.fake, Path::new(BASE), 7);
        let took = bench.fake.with(|world| world.now()) - begun;
        assert_eq!(killed, [lost].into());
        assert_eq!(groups(&bench).is_empty(), dies_late == 0, "a group with a living process stays");
        assert!(took < Duration::from_millis(400), "{took:?}");
    }
}
