//! The store over the lives of its supervisors: cut runs, numbers of jobs, cursors, closing.

use super::*;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// Variable of the process that is killed: its directory.
const VICTIM: &str = "GOB_STORE_TEST_VICTIM";

#[test]
fn nothing_is_made_before_the_first_message() {
    let dir = dir();
    let rig = Rig::new(dir.path());
    assert_eq!(rig.handle.health().condition, Condition::Closed);
    rig.finish();
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    assert!(rig.handle.record(run("web", begun(1))).is_err(), "it has ended");
}

#[test]
fn a_run_that_the_supervisor_left_without_an_end_was_cut_off() {
    let dir = dir();
    let rig = Rig::new(dir.path());
    rig.record(run("web", begun(1)));
    rig.finish();
    // The same life, after an upgrade.
    let mut rig = Rig::new(dir.path());
    assert_eq!(rig.runs("web")[0].outcome, None);
    rig.finish();
    let mut rig = Rig::with(dir.path(), |settings| settings.instance = "second".to_owned());
    rig.record(run("web", begun(2)));
    let runs = rig.runs("web");
    assert_eq!((runs[0].outcome, runs[0].cut), (None, false));
    assert_eq!((runs[1].outcome, runs[1].cut, runs[1].stopped_at), (Some(RunOutcome::Killed), true, None));
    let Ok(Answer::Stats(stats)) = rig.ask(Question::Stats { name: worker("web") }) else { panic!() };
    assert_eq!((stats.runs, stats.by_outcome.killed.count), (2, 1));
}

#[test]
fn tokens_have_a_counter_of_their_own_that_only_grows() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    assert_eq!((rig.reserve(10), rig.reserve_tokens(100), rig.reserve_tokens(1)), (1, 1, 101));
    let above = Question::ReserveTokens { count: 5, above: 400 };
    assert_eq!(rig.ask(above).unwrap(), Answer::Reserved { first: 401, count: 5 });
    assert_eq!(rig.reserve(1), 11, "jobs have theirs");
    rig.finish();
    assert_eq!(Rig::new(dir.path()).reserve_tokens(1), 406);
}

#[test]
fn numbers_of_jobs_go_on_above_all_that_is_known() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    assert_eq!((rig.reserve(10), rig.reserve(1)), (1, 11));
    assert_eq!(rig.ask(Question::Highest { name: None }).unwrap(), Answer::Highest { job: 11, run: 0 });
    let above = Question::Reserve { count: 5, above: 40 };
    assert_eq!(rig.ask(above).unwrap(), Answer::Reserved { first: 41, count: 5 });
    assert_eq!(
        rig.ask(Question::Reserve { count: 0, above: 0 }).unwrap(),
        Answer::Reserved { first: 46, count: 1 }
    );
    rig.record(defined(definition("j100", Some(100))));
    assert_eq!(rig.reserve(1), 101);
    rig.finish();
    let mut rig = Rig::with(dir.path(), |settings| settings.job_floor = 500);
    assert_eq!(rig.reserve(1), 501);
    rig.finish();
    assert_eq!(Rig::new(dir.path()).reserve(1), 502);
}

#[test]
fn unused_numbers_are_given_back_at_the_end_and_only_the_last_ones() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    assert_eq!((rig.reserve(64), rig.reserve(64)), (1, 65));
    rig.record(Record::Unused { first: 3, count: 62 });
    assert_eq!(rig.reserve(1), 129, "a later reservation stands above");
    rig.record(Record::Unused { first: 129, count: 1 });
    assert_eq!(rig.reserve(8), 129);
    rig.record(Record::Unused { first: 130, count: 7 });
    rig.finish();
    assert_eq!(Rig::new(dir.path()).reserve(1), 130);
}

#[test]
fn a_name_with_a_great_number_takes_no_number_away() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(run(&format!("j{}", i64::MAX), ended(1, 1, 0)));
    rig.record(defined(definition(&format!("j{}", u64::MAX), None)));
    assert_eq!(rig.reserve(1), 1);
}

#[test]
fn a_defect_of_the_thread_is_told_and_the_next_message_finds_another_one() {
    let dir = dir();
    let (post, told) = channel();
    let settings = Settings::new(dir.path().to_owned(), "first".to_owned());
    let handle = Store::spawn(settings, move |message| {
        assert!(!matches!(message, Told::Answer { ticket: 13, .. }), "a defect that is wanted here");
        drop(post.send(message));
    });
    let mut rig = Rig::of(handle, told);
    rig.handle.ask(13, Question::Highest { name: None }).unwrap();
    wait_until(|| !rig.handle.is_running(), || "the thread stays".to_owned());
    let health = rig.handle.health();
    assert_eq!((health.condition, health.reason.unwrap().contains("by a defect")), (Condition::Failed, true));
    assert_eq!(rig.handle.overdue(), [0_u64; 0], "its answer was on its way");
    assert_eq!(rig.reserve(1), 1);
    assert_eq!(rig.handle.health().condition, Condition::Open);
}

#[test]
fn no_number_is_given_twice_when_everything_is_killed() {
    if let Some(dir) = std::env::var_os(VICTIM) {
        let mut rig = Rig::new(Path::new(&dir));
        loop {
            println!("NUMBER {}", rig.reserve(3));
        }
    }
    let dir = dir();
    let mut highest = 0;
    for round in 0..10 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "tests::lives::no_number_is_given_twice_when_everything_is_killed",
                "--nocapture",
            ])
            .env(VICTIM, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut given = 0;
        for line in lines.by_ref() {
            // The harness begins the first of the lines.
            let Some((_, number)) = line.split_once("NUMBER ") else { continue };
            let number: u64 = number.parse().unwrap();
            assert!(number > highest, "{number} after {highest}");
            highest = number + 2;
            given += 1;
            if given > round {
                break;
            }
        }
        victim.kill().unwrap();
        victim.wait().unwrap();
        let rest = lines.filter_map(|line| line.split_once("NUMBER ").map(|(_, text)| text.to_owned()));
        for number in rest.filter_map(|text| text.parse::<u64>().ok()) {
            assert!(number > highest, "{number} after {highest}");
            highest = number + 2;
        }
    }
}

#[test]
fn a_cursor_is_followed_over_the_lives_of_supervisors() {
    let dir = dir();
    let rig = Rig::new(dir.path());
    for seq in 1..=3 {
        rig.record(changed(entry(seq, "web", EventKind::WorkerStarted)));
    }
    rig.finish();
    let mut rig = Rig::with(dir.path(), |settings| settings.instance = "second".to_owned());
    rig.record(changed(entry(1, "web", EventKind::WorkerStopped)));
    let mut since = |after: &str, limit| {
        let after = gob_protocol::Cursor::parse(after).unwrap();
        let Ok(Answer::Since(data)) = rig.ask(Question::Since { after, limit }) else { panic!() };
        let entries = data.entries.iter().map(|entry| format!("{}:{}", entry.instance, entry.seq));
        let next = data.next.map(|next| next.to_string()).unwrap_or_default();
        (entries.collect::<Vec<_>>().join(" "), next, data.gap, data.unknown)
    };
    let whole = |entries: &str, next: &str| (entries.to_owned(), next.to_owned(), false, false);
    assert_eq!(since("first:2", 9), whole("first:3 second:1", ""));
    assert_eq!(since("first:0", 2), whole("first:1 first:2", "first:2"));
    assert_eq!(since("first:2", 1), whole("first:3", "first:3"));
    assert_eq!(since("first:99", 9), whole("second:1", ""));
    assert_eq!(since("second:1", 9), whole("", ""));
    assert_eq!(since("third:0", 9), (String::new(), String::new(), false, true));
}

#[test]
fn the_end_of_a_run_is_told_with_the_change_that_it_is() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(changed(entry(1, "web", EventKind::WorkerStarted)));
    rig.record(run("web", ended(1, 10, 3)));
    rig.record(changed(entry(2, "web", EventKind::WorkerStopped)));
    rig.record(changed(entry(3, "api", EventKind::WorkerStopped)));
    let Ok(Answer::Since(data)) = rig.ask(Question::Since { after: at_first(0), limit: 9 }) else { panic!() };
    let exits: Vec<_> = data.entries.into_iter().map(|entry| entry.exit).collect();
    assert_eq!(exits, [None, Some(Exit::Code { code: 3 }), None]);
}

#[test]
fn the_removal_of_a_worker_is_all_that_is_told_of_it_afterwards() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(changed(entry(1, "web", EventKind::WorkerStarted)));
    rig.record(run("web", ended(1, 10, 3)));
    rig.record(changed(entry(2, "web", EventKind::WorkerRemoved)));
    rig.record(Record::Forgotten { name: worker("web"), history: true });
    let Ok(Answer::Since(data)) = rig.ask(Question::Since { after: at_first(0), limit: 9 }) else { panic!() };
    let events: Vec<_> = data.entries.into_iter().map(|entry| entry.event).collect();
    assert_eq!((events, rig.runs("web")), (vec![EventKind::WorkerRemoved], vec![]));
}

#[test]
fn an_idle_store_is_closed_and_leaves_one_file_and_no_thread() {
    let dir = dir();
    let mut rig = Rig::with(dir.path(), |settings| settings.idle = Duration::from_millis(50));
    for round in 1..=3 {
        rig.record(run("web", ended(round, 1, 0)));
        assert_eq!(rig.runs("web").len(), usize::try_from(round).unwrap());
        rig.settle(Condition::Closed);
        let names: Vec<_> =
            std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE]);
        wait_until(|| !rig.handle.is_running(), || "the thread stays".to_owned());
    }
}
