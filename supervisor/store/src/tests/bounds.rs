//! The bounds of history.

use super::*;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;

fn old(run: RunRecord, days: i64) -> RunRecord {
    RunRecord { started_at: Timestamp(run.started_at.0 - days * DAY_MS), ..run }
}

#[test]
fn the_oldest_runs_of_a_worker_go_and_are_named() {
    let dir = dir();
    let mut rig = Rig::with(dir.path(), |settings| settings.keep_runs = 3);
    for number in 1..=1000 {
        rig.record(run("web", begun(number)));
        rig.record(run("web", ended(number, 1, 0)));
    }
    rig.record(run("api", ended(1, 1, 0)));
    let until = Instant::now() + DEADLINE;
    while rig.trimmed.len() < 997 {
        assert!(Instant::now() < until);
        assert!(!rig.runs("web").is_empty());
    }
    let gone: Vec<_> = rig.trimmed.iter().map(|(name, run)| (name.to_string(), *run)).collect();
    assert_eq!(gone, (1..=997).map(|run| ("web".to_owned(), run)).collect::<Vec<_>>());
    assert_eq!(rig.runs("web").iter().map(|run| run.run).collect::<Vec<_>>(), [1000, 999, 998]);
    assert_eq!(rig.runs("api").len(), 1);
}

#[test]
fn runs_and_changes_of_a_great_age_go_and_live_runs_stay() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", old(ended(1, 1, 0), 91)));
    rig.record(run("web", old(begun(2), 91)));
    rig.record(run("web", old(ended(3, 1, 0), 89)));
    let ancient =
        Change { time: Timestamp(now() - 91 * DAY_MS), ..entry(1, "web", EventKind::WorkerStarted) };
    rig.record(changed(ancient));
    rig.record(changed(entry(2, "web", EventKind::WorkerStopped)));
    wait_until_trimmed(&mut rig, 1);
    assert_eq!(rig.trimmed, [(worker("web"), 1)]);
    assert_eq!(rig.runs("web").iter().map(|run| run.run).collect::<Vec<_>>(), [3, 2]);
    let until = Instant::now() + DEADLINE;
    let since = loop {
        let question = Question::Since { after: at_first(0), limit: 9 };
        let Ok(Answer::Since(since)) = rig.ask(question) else { panic!() };
        if since.gap {
            break since;
        }
        assert!(Instant::now() < until);
    };
    assert_eq!(since.entries.len(), 1);
    let after = Question::Since { after: at_first(1), limit: 9 };
    let Ok(Answer::Since(after)) = rig.ask(after) else { panic!() };
    assert_eq!((after.entries.len(), after.gap), (1, false));
}

fn wait_until_trimmed(rig: &mut Rig, count: usize) {
    let until = Instant::now() + DEADLINE;
    while rig.trimmed.len() < count {
        assert!(Instant::now() < until);
        assert_eq!(
            rig.ask(Question::Durations { name: worker("nobody") }).unwrap(),
            Answer::Durations(vec![])
        );
    }
}

#[test]
fn new_bounds_hold_for_the_next_run() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for number in 1..=5 {
        rig.record(run("web", ended(number, 1, 1)));
    }
    assert_eq!(rig.runs("web").len(), 5);
    rig.handle.set_bounds(2, Duration::from_secs(3600), Duration::from_secs(3600));
    rig.record(run("web", begun(6)));
    wait_until_trimmed(&mut rig, 4);
    assert_eq!(rig.trimmed.iter().map(|(_, run)| *run).collect::<Vec<_>>(), [1, 2, 3, 4]);
}

#[test]
fn a_worker_that_never_rests_keeps_only_its_last_changes() {
    let dir = dir();
    let rig = Rig::new(dir.path());
    for seq in 1..=100 {
        rig.record(changed(entry(seq, if seq == 1 { "calm" } else { "web" }, EventKind::WorkerBackoff)));
    }
    rig.finish();
    let mut rig = Rig::with(dir.path(), |settings| settings.keep_runs = 10);
    let until = Instant::now() + DEADLINE;
    loop {
        let Ok(Answer::Blame(page)) =
            rig.ask(Question::Blame { name: worker("web"), before: None, limit: 1000 })
        else {
            panic!()
        };
        if page.entries.len() == 40 {
            break;
        }
        assert!(Instant::now() < until);
    }
    let Ok(Answer::Blame(calm)) = rig.ask(Question::Blame { name: worker("calm"), before: None, limit: 9 })
    else {
        panic!()
    };
    assert_eq!(calm.entries.len(), 1);
}

#[test]
fn a_full_queue_refuses_counts_and_leaves_a_gap() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(changed(entry(1, "web", EventKind::WorkerStarted)));
    assert_eq!(rig.runs("web"), []);
    let other = sqlite(dir.path());
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut taken = 1;
    while rig.handle.record(changed(entry(taken + 1, "web", EventKind::WorkerUpdated))).is_ok() {
        taken += 1;
        assert!(taken < 100_000);
    }
    assert_eq!(rig.handle.health().dropped, 1);
    other.execute_batch("ROLLBACK").unwrap();
    wait_until(|| rig.handle.health().waiting == 0, || format!("{:?}", rig.handle));
    rig.record(changed(entry(taken + 2, "web", EventKind::WorkerStopped)));
    let mut gap = |seq| match rig.ask(Question::Since { after: at_first(seq), limit: 9 }) {
        Ok(Answer::Since(since)) => since.gap,
        other => panic!("{other:?}"),
    };
    assert!(gap(taken));
    assert!(!gap(taken + 1));
}
