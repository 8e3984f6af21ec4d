//! Records and the questions about them.

use super::*;
use crate::Page;
use gob_protocol::history::{EXPECTED_FROM, expected_ms};
use gob_protocol::{Durations, Rate, Stats};

#[test]
fn a_run_is_one_row_through_all_its_steps() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let live = begun(1);
    rig.record(run("web", live.clone()));
    assert_eq!(rig.runs("web"), std::slice::from_ref(&live));
    rig.record(run("web", RunRecord { ready_at: Some(Timestamp(9)), ..live }));
    assert_eq!(rig.runs("web")[0].ready_at, Some(Timestamp(9)));
    let end = ended(1, 1500, 3);
    rig.record(run("web", end.clone()));
    assert_eq!(rig.runs("web"), [end]);
    assert_eq!(rig.runs("other"), []);
}

#[test]
fn runs_come_in_pages_newest_first() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for number in 1..=5 {
        rig.record(run("web", ended(number, 10, 0)));
    }
    rig.record(run("wea", ended(9, 10, 0)));
    let mut page = |before, limit| match rig.ask(Question::Runs { name: worker("web"), before, limit }) {
        Ok(Answer::Runs(Page { items, more })) => (items.iter().map(|run| run.run).collect::<Vec<_>>(), more),
        other => panic!("{other:?}"),
    };
    assert_eq!(page(None, 2), (vec![5, 4], true));
    assert_eq!(page(Some(4), 2), (vec![3, 2], true));
    assert_eq!(page(Some(2), 2), (vec![1], false));
    assert_eq!(page(Some(1), 2), (vec![], false));
    assert_eq!(page(None, 0), (vec![5], true), "a limit is at least one");
}

#[test]
fn killed_runs_count_as_runs_and_not_in_durations() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for (number, (duration, code)) in [(100, 0), (300, 0), (900, 1), (500, 0)].into_iter().enumerate() {
        rig.record(run("web", ended(number as u64 + 1, duration, code)));
    }
    let killed = RunRecord { outcome: Some(RunOutcome::Killed), ..ended(5, 7, 0) };
    rig.record(run("web", killed));
    rig.record(run("web", begun(6)));
    let Ok(Answer::Stats(stats)) = rig.ask(Question::Stats { name: worker("web") }) else { panic!() };
    assert_eq!((stats.runs, stats.success_rate, stats.expected_ms), (6, Rate::of(3, 5), Some(300)));
    let of = |count, mean_ms, median_ms| Durations { count, mean_ms, median_ms };
    assert_eq!(stats.by_outcome.success, of(3, Some(300), Some(300)));
    assert_eq!(stats.by_outcome.failure, of(1, Some(900), Some(900)));
    assert_eq!(stats.by_outcome.killed, of(1, None, None));
    let Ok(Answer::Stats(none)) = rig.ask(Question::Stats { name: worker("none") }) else { panic!() };
    assert_eq!(none, Stats::default());
}

#[test]
fn a_duration_is_expected_after_three_successes_and_from_the_last_ones() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let expected = |rig: &mut Rig| {
        let Ok(Answer::Stats(stats)) = rig.ask(Question::Stats { name: worker("web") }) else { panic!() };
        let asked = rig.ask(Question::Durations { name: worker("web") });
        let Ok(Answer::Durations(durations)) = asked else { panic!("{asked:?}") };
        assert!(
            durations.len() <= EXPECTED_FROM && durations.is_sorted_by(|a, b| a.0 > b.0),
            "{durations:?}"
        );
        let by_these = expected_ms(durations.iter().map(|(_, duration)| *duration));
        assert_eq!(by_these, stats.expected_ms, "the supervisor expects what the history does");
        stats.expected_ms
    };
    for number in 1..=2 {
        rig.record(run("web", ended(number, 10, 0)));
    }
    rig.record(run("web", ended(3, 99, 1)));
    assert_eq!(expected(&mut rig), None);
    rig.record(run("web", ended(4, 20, 0)));
    assert_eq!(expected(&mut rig), Some(10));
    for number in 5..30 {
        rig.record(run("web", ended(number, 4000, 0)));
    }
    assert_eq!(expected(&mut rig), Some(4000));
}

#[test]
fn a_definition_comes_back_as_it_was_with_its_worker_in_short() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    let mut job = definition("j3", Some(3));
    job.setup.readiness = Some(serde_json::json!({"type": "http", "path": "/"}));
    job.setup.rlimits.insert("nofile".to_owned(), 1024.into());
    rig.record(defined(job.clone()));
    rig.record(defined(definition("web", None)));
    for number in 1..=3 {
        rig.record(run("web", ended(number, 20, 0)));
    }
    let Ok(Answer::Definitions(found)) = rig.ask(Question::Definitions { after: None, limit: 1000 }) else {
        panic!()
    };
    assert_eq!((found.next, found.unreadable.len(), found.known.len()), (None, 0, 2));
    assert_eq!(found.known[0].definition, job);
    assert_eq!((found.known[0].last_run, &found.known[0].last), (0, &None));
    let web = &found.known[1];
    assert_eq!((web.last_run, web.last.as_ref().unwrap().run, web.expected_ms), (3, 3, Some(20)));
    let Ok(Answer::Definitions(page)) = rig.ask(Question::Definitions { after: None, limit: 1 }) else {
        panic!()
    };
    assert_eq!((page.known.len(), &page.next), (1, &Some(worker("j3"))));
    let rest = Question::Definitions { after: page.next, limit: 1000 };
    let Ok(Answer::Definitions(rest)) = rig.ask(rest) else { panic!() };
    assert_eq!((rest.known.len(), rest.next), (1, None));
    // Another one of that name takes its place and keeps its history.
    let other = Definition { command: vec!["true".to_owned()], ..definition("web", None) };
    rig.record(defined(other.clone()));
    assert_eq!(rig.definitions()[1], other);
    assert_eq!(rig.runs("web").len(), 3);
}

#[test]
fn a_definition_of_a_later_form_is_named_and_stays() {
    let dir = dir();
    let rig = Rig::new(dir.path());
    rig.record(defined(definition("web", None)));
    rig.record(defined(definition("api", None)));
    rig.finish();
    let changed = sqlite(dir.path())
        .execute("UPDATE definition SET setup = '{\"version\":2,\"setup\":{}}' WHERE name = 'web'", [])
        .unwrap();
    assert_eq!(changed, 1);
    let mut rig = Rig::new(dir.path());
    let Ok(Answer::Definitions(found)) = rig.ask(Question::Definitions { after: None, limit: 9 }) else {
        panic!()
    };
    assert_eq!((found.known.len(), found.unreadable), (1, vec!["web".to_owned()]));
}

#[test]
fn a_forgotten_worker_keeps_its_history_unless_that_goes_too() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    for name in ["a", "b"] {
        rig.record(defined(definition(name, None)));
        rig.record(run(name, ended(4, 1, 0)));
        rig.record(Record::Forgotten { name: worker(name), history: name == "b" });
    }
    assert_eq!(rig.definitions(), []);
    assert_eq!((rig.runs("a").len(), rig.runs("b").len()), (1, 0));
    let mut highest = |name| rig.ask(Question::Highest { name: Some(worker(name)) }).unwrap();
    assert_eq!(highest("a"), Answer::Highest { job: 0, run: 4 });
    assert_eq!(highest("b"), Answer::Highest { job: 0, run: 0 });
}

#[test]
fn a_deleted_run_is_gone_and_its_number_is_not_used_again() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(run("web", ended(1, 1, 0)));
    rig.record(run("web", begun(2)));
    let mut delete = |run| rig.ask(Question::DeleteRun { name: worker("web"), run }).unwrap();
    assert_eq!(delete(1), Answer::RunDeleted(true));
    assert_eq!(delete(1), Answer::RunDeleted(false));
    assert_eq!(delete(2), Answer::RunDeleted(false), "it lives");
    rig.record(run("web", ended(2, 1, 0)));
    assert_eq!(
        rig.ask(Question::DeleteRun { name: worker("web"), run: 2 }).unwrap(),
        Answer::RunDeleted(true)
    );
    assert_eq!(
        rig.ask(Question::Highest { name: Some(worker("web")) }).unwrap(),
        Answer::Highest { job: 0, run: 2 }
    );
}

#[test]
fn blame_names_who_did_what_newest_first() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(changed(entry(1, "web", EventKind::WorkerStarted)));
    rig.record(changed(entry(2, "api", EventKind::WorkerStarted)));
    rig.record(changed(entry(3, "web", EventKind::WorkerStopping)));
    let mut blame = |limit| match rig.ask(Question::Blame { name: worker("web"), before: None, limit }) {
        Ok(Answer::Blame(page)) => page,
        other => panic!("{other:?}"),
    };
    let page = blame(10);
    let events: Vec<_> = page.entries.iter().map(|entry| entry.event).collect();
    assert_eq!((events, page.next), (vec![EventKind::WorkerStopping, EventKind::WorkerStarted], None));
    assert_eq!(page.entries[0].reason.as_deref(), Some("because"));
    assert_eq!(blame(1).next.unwrap().to_string(), "first:3");
}

#[test]
fn changes_come_in_pages_over_the_lives_of_supervisors() {
    let dir = dir();
    let rig = Rig::new(dir.path());
    for seq in 1..=1500 {
        rig.record(changed(entry(seq, "web", EventKind::WorkerStarted)));
    }
    rig.finish();
    let mut rig = Rig::with(dir.path(), |settings| settings.instance = "second".to_owned());
    for seq in 1..=1500 {
        rig.record(changed(entry(seq, "web", EventKind::WorkerStopped)));
        rig.record(changed(entry(9000 + seq, "other", EventKind::WorkerStopped)));
    }
    let mut blame = |before, limit| match rig.ask(Question::Blame { name: worker("web"), before, limit }) {
        Ok(Answer::Blame(page)) => page,
        other => panic!("{other:?}"),
    };
    let (mut events, mut sizes, mut before) = (Vec::new(), Vec::new(), None);
    loop {
        let page = blame(before, 700);
        sizes.push(page.entries.len());
        events.extend(page.entries.into_iter().map(|entry| entry.event));
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(sizes, [700, 700, 700, 700, 200]);
    let (later, earlier) = events.split_at(1500);
    assert!(later.iter().all(|event| *event == EventKind::WorkerStopped));
    assert!(earlier.iter().all(|event| *event == EventKind::WorkerStarted));
    let of = |text: &str| gob_protocol::Cursor::parse(text);
    assert_eq!(blame(of("first:2"), 9).entries.len(), 1);
    assert_eq!(blame(of("first:1"), 9), gob_protocol::answer::BlameData::default());
    assert_eq!(blame(of("forgotten:7"), 9), gob_protocol::answer::BlameData::default());
}

#[test]
fn a_record_that_can_not_be_written_is_counted_and_the_others_are_written() {
    let dir = dir();
    let mut rig = Rig::new(dir.path());
    rig.record(defined(definition("j1", Some(1))));
    rig.record(defined(definition("other", Some(1))));
    rig.record(defined(definition("third", None)));
    let names: Vec<_> = rig.definitions().into_iter().map(|found| found.name.to_string()).collect();
    assert_eq!(names, ["j1", "third"]);
    assert_eq!(rig.handle.health().dropped, 1);
}
