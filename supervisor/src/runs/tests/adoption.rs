//! The runs of processes that have lost their parents: each mark for itself, and none that belongs to another run.

use super::*;

/// The tag of no run, as of a process that has put its limits back.
const NONE: u64 = u64::MAX;

/// Two runs, and an adopted process of the first with no mark at all: no tag, no group, no environment.
fn unmarked() -> (Bench, [Started; 2], i32) {
    let mut bench = Bench::new();
    let runs = [bench.start("a"), bench.start("b")];
    let adopted = bench.adopted(runs[0].pid);
    bench.fake.change(adopted, |process| {
        process.tag = NONE;
        process.env.clear();
        process.ignores_term = true;
    });
    (bench, runs, adopted)
}

/// Ends the first run while the other one lives, and makes sure that the adopted process is ended with it.
fn ends_with_the_first(mut bench: Bench, [run, other]: &[Started; 2], adopted: i32) {
    let start_time = bench.start_time(adopted);
    bench.stop(run);
    bench.turns(run, 3);
    bench.kill(run);
    let receipt = bench.over(run);
    let entry = entry(&receipt, adopted);
    assert_eq!(
        (entry.start_time, entry.signals.as_slice()),
        (start_time, &["SIGTERM", "SIGKILL"].map(str::to_owned)[..])
    );
    assert_eq!(bench.living(other), [other.pid]);
}

#[test]
fn an_adopted_process_is_known_by_its_tag() {
    let (bench, runs, adopted) = unmarked();
    bench.fake.change(adopted, |process| process.tag = runs[0].tag);
    ends_with_the_first(bench, &runs, adopted);
}

#[test]
fn an_adopted_process_is_known_by_its_group() {
    let mut bench = Bench::new();
    let runs = [bench.start("a"), bench.start("b")];
    let between = bench.detached(runs[0].pid);
    // In the leader's group again, as a shell's job can be.
    let adopted = bench.fake.fork(runs[0].pid);
    bench.fake.change(adopted, |process| {
        process.tag = NONE;
        process.env.clear();
        process.ignores_term = true;
    });
    bench.exit(between);
    ends_with_the_first(bench, &runs, adopted);
}

#[test]
fn an_adopted_process_is_known_when_it_was_seen_in_the_tree_before() {
    let mut bench = Bench::new();
    let runs = [bench.start("a"), bench.start("b")];
    let child = bench.detached(runs[0].pid);
    bench.fake.change(child, |process| process.ignores_term = true);
    bench.stop(&runs[0]);
    bench.fake.change(child, |process| {
        process.tag = NONE;
        process.env.clear();
    });
    bench.turns(&runs[0], 3);
    bench.kill(&runs[0]);
    let receipt = bench.over(&runs[0]);
    assert_eq!(entry(&receipt, child).signals, ["SIGTERM", "SIGKILL"]);
    assert_eq!(bench.living(&runs[1]), [runs[1].pid]);
}

#[test]
fn an_adopted_process_is_known_by_its_marker() {
    let (bench, runs, adopted) = unmarked();
    let marker = [("GOB_INSTANCE", INSTANCE), ("GOB_NAME", "a"), ("GOB_RUN", "1")];
    bench.fake.change(adopted, |process| {
        process.env = marker.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    });
    ends_with_the_first(bench, &runs, adopted);
}

#[test]
fn a_marker_of_another_instance_or_run_tells_nothing() {
    for (name, value) in [("GOB_INSTANCE", "another"), ("GOB_RUN", "2"), ("GOB_NAME", "c")] {
        let (mut bench, [run, other], adopted) = unmarked();
        let marker = [("GOB_INSTANCE", INSTANCE), ("GOB_NAME", "a"), ("GOB_RUN", "1"), (name, value)];
        bench.fake.change(adopted, |process| {
            process.env = marker.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        });
        bench.stop(&run);
        assert!(bench.turns(&run, 5).is_some());
        assert_eq!((bench.living(&run), bench.living(&other)), (vec![adopted], vec![other.pid]), "{name}");
    }
}

#[test]
fn a_process_without_a_mark_is_of_the_only_run_that_is_old_enough() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    let adopted = bench.adopted(run.pid);
    bench.fake.change(adopted, |process| {
        process.tag = NONE;
        process.env.clear();
        process.ignores_term = true;
    });
    let younger = bench.start("b");
    ends_with_the_first(bench, &[run, younger], adopted);
}

#[test]
fn a_process_of_one_of_two_runs_ends_with_the_last_of_them() {
    let (mut bench, [run, other], adopted) = unmarked();
    bench.stop(&run);
    assert!(bench.turns(&run, 5).is_some());
    assert_eq!(bench.living(&run), [adopted], "it may be the other's");
    bench.stop(&other);
    bench.turns(&other, 5);
    bench.kill(&other);
    bench.over(&other);
    bench.turn();
    assert_eq!(bench.living(&run), [0; 0], "no run is left that it can be of");
}

#[test]
fn remains_of_a_run_that_is_over_are_not_the_next_runs() {
    let mut bench = Bench::new();
    let runs = [bench.start("a"), bench.start("b")];
    let adopted = bench.adopted(runs[0].pid);
    bench.fake.change(adopted, |process| {
        process.tag = NONE;
        process.env.clear();
    });
    for run in &runs {
        bench.stop(run);
    }
    let next = bench.start("c");
    for run in &runs {
        assert!(bench.turns(run, 5).is_some());
    }
    bench.turn();
    assert_eq!((bench.living(&runs[0]), bench.living(&next)), (vec![], vec![next.pid]));
}

#[test]
fn adopted_processes_of_two_runs_are_not_mixed_up() {
    let mut bench = Bench::new();
    let runs = [bench.start("a"), bench.start("b")];
    for (run, count) in [(&runs[0], 3), (&runs[1], 4)] {
        for number in 0..count {
            let adopted = bench.adopted(run.pid);
            bench.fake.change(adopted, |process| {
                process.ignores_term = true;
                if number % 2 == 0 {
                    // The marker alone tells.
                    process.tag = NONE;
                }
            });
        }
    }
    bench.stop(&runs[0]);
    bench.turns(&runs[0], 3);
    bench.kill(&runs[0]);
    let receipt = bench.over(&runs[0]);
    assert_eq!((receipt.signalled.len(), bench.living(&runs[1]).len()), (4, 5));
    bench.kill(&runs[1]);
    assert_eq!(bench.over(&runs[1]).signalled.len(), 5);
}

#[test]
fn a_tag_that_was_put_back_below_a_living_leader_hides_nothing() {
    let mut bench = Bench::new();
    let (run, other) = (bench.start("a"), bench.start("b"));
    let child = bench.detached(run.pid);
    let grandchild = bench.detached(child);
    for pid in [child, grandchild] {
        bench.fake.change(pid, |process| {
            process.tag = NONE;
            process.env.clear();
        });
    }
    bench.stop(&run);
    let receipt = bench.over(&run);
    for pid in [run.pid, child, grandchild] {
        assert_eq!(entry(&receipt, pid).signals, ["SIGTERM"]);
    }
    assert_eq!(bench.living(&other), [other.pid]);
}

#[test]
fn a_tag_that_is_put_back_between_scan_and_open_spares_the_process_for_one_look_only() {
    let mut bench = Bench::new();
    let run = bench.start("a");
    bench.fake.change(run.pid, |process| process.ignores_term = true);
    let child = bench.detached(run.pid);
    bench.stop(&run);
    bench.kill(&run);
    bench.fake.before(
        move |call| call == Call::Open(child),
        move |world| (world.process(child).tag, world.process(child).ignores_term) = (NONE, true),
    );
    bench.over(&run);
}

#[test]
fn a_tree_that_cannot_be_tagged_is_ended_by_its_parents() {
    let mut bench = Bench::new();
    bench.fake.with(|world| world.refuses_tags = true);
    let (run, other) = (bench.start("a"), bench.start("b"));
    assert_eq!(bench.runs.unmarked(), 2);
    let (child, detached) = (bench.fake.fork(run.pid), bench.detached(run.pid));
    let below = bench.fake.fork(detached);
    for pid in [child, detached, below] {
        bench.fake.change(pid, |process| process.ignores_term = true);
    }
    bench.stop(&run);
    bench.turns(&run, 3);
    bench.kill(&run);
    let receipt = bench.over(&run);
    assert_eq!(receipt.signalled.len(), 4);
    assert_eq!(bench.living(&other), [other.pid]);
}

#[test]
fn a_hidden_process_is_known_by_its_group() {
    let mut bench = Bench::new();
    let (run, other) = (bench.start("a"), bench.start("b"));
    let hidden = bench.fake.fork(run.pid);
    bench.fake.change(hidden, |process| {
        (process.hidden, process.ignores_term) = (true, true);
        process.tag = u64::MAX;
    });
    bench.stop(&run);
    assert_eq!(bench.turns(&run, 5), None);
    let census = bench.runs.census(&run.key);
    let told = census.survivors.iter().map(|survivor| (survivor.pid, survivor.start_time, survivor.uid));
    assert_eq!(told.collect::<Vec<_>>(), [(hidden, 0, None)]);
    bench.kill(&run);
    bench.over(&run);
    assert_eq!(bench.living(&other), [other.pid]);
}

#[test]
fn children_of_a_child_that_dies_during_its_examination_are_found() {
    for known in [true, false] {
        let mut bench = Bench::new();
        let run = bench.start("a");
        let adopted = bench.adopted(run.pid);
        bench.fake.change(adopted, |process| {
            process.ignores_term = true;
            if !known {
                process.tag = NONE;
            }
        });
        bench.stop(&run);
        bench.turn();
        // Whenever a child is examined it is dead, and its own child is behind the list that was read.
        for _ in 0..20 {
            bench.fake.before(
                |call| matches!(call, Call::IsLivingChild(_)),
                move |world| {
                    let last = *world.children_of(OWN).last().unwrap();
                    world.hop(last);
                },
            );
        }
        bench.kill(&run);
        bench.over(&run);
    }
}

#[test]
fn a_child_that_dies_while_its_run_is_looked_for_hides_no_children() {
    // Before each of the readings that tell its run.
    let readings: [fn(i32) -> Call; 4] = [Call::Stat, Call::Tag, Call::Variable, Call::OpenFiles];
    for reading in readings {
        let mut bench = Bench::new();
        let runs = [bench.start("a"), bench.start("b")];
        let between = bench.fake.fork(runs[0].pid);
        let child = bench.detached(between);
        bench.fake.change(child, |process| process.tag = NONE);
        let grandchild = bench.detached(child);
        bench.exit(between);
        bench.fake.with(|world| world.end(runs[0].tag));
        bench.exit(runs[0].pid);
        bench.fake.before(move |call| call == reading(child), move |world| world.exit(child));
        bench.over(&runs[0]);
        assert!(bench.fake.with(|world| world.get(grandchild).is_none()), "before {:?}", reading(child));
    }
}

#[test]
fn a_run_is_told_by_its_tag_or_its_parents() {
    let mut bench = Bench::new();
    let (run, other) = (bench.start("a"), bench.start("b"));
    let stranger = bench.fake.with(|world| world.stranger());
    let child = bench.fake.fork(run.pid);
    let untagged = bench.detached(child);
    bench.fake.change(untagged, |process| process.tag = NONE);
    for pid in [run.pid, child, untagged] {
        assert_eq!(bench.runs.run_of(pid), Some(run.key.clone()), "{pid}");
    }
    assert_eq!(bench.runs.run_of(other.pid), Some(other.key));
    assert_eq!((bench.runs.run_of(stranger), bench.runs.run_of(999)), (None, None));
}
