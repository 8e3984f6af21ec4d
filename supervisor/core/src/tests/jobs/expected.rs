//! How long a job's run is expected to take, by its runs in this life and by what the store tells of earlier ones.

use super::*;
use crate::{Remembered, RememberedWorker};
use std::vec;

impl Small {
    /// Runs a job so long, to this exit code. Returns what its last event says is expected, and whether the store was asked.
    fn runs_for(&mut self, name: &str, ms: u64, code: i32) -> (Option<u64>, Option<u64>) {
        self.send(CLI, Request::Add(Box::new(named(name))));
        let asked = self.asked();
        self.spawned(name);
        self.now_ms += ms;
        self.ends(name, code);
        let expected = self.events(EventKind::WorkerStopped).last().map(|view| view.expected_ms);
        (expected.expect("an end"), asked)
    }

    /// The ticket of the question about a job's earlier runs.
    fn asked(&self) -> Option<u64> {
        self.out.iter().find_map(|effect| match effect {
            Effect::Ask { ticket, question: Question::Durations(_) } => Some(*ticket),
            _other => None,
        })
    }

    /// The views in the events of one kind.
    fn events(&self, kind: EventKind) -> Vec<View> {
        let event = |effect: &Effect| match effect {
            Effect::Publish { event, .. } if event.event == kind => event.worker.clone(),
            _other => None,
        };
        self.out.iter().filter_map(event).collect()
    }
}

fn named(name: &str) -> Add {
    Add { name: Some(Name::graph(name).unwrap()), ..add(&["make", name]) }
}

/// A supervisor with a subscriber.
fn watched(config: Config) -> Small {
    let mut small = Small::with(config);
    small.ask(AGENT, Request::Subscribe(Default::default())).unwrap();
    small
}

/// A job of the supervisor before this one, which ran four times.
fn remembered() -> Small {
    let mut before = Small::new();
    before.send(CLI, Request::Add(Box::new(named("web"))));
    let view = View { run: 4, expected_ms: Some(7), state: State::Idle, ..before.view("web") };
    let (last_owner, last_port, was_served, restart) = (None, None, false, None);
    let worker = RememberedWorker { view, last_owner, last_port, was_served, restart };
    let remembered =
        Remembered { workers: vec![worker], ended_in_order: true, highest_job: 0, has_queue: false };
    watched(Config { remembered, ..config(Kind::graph()) })
}

#[test]
fn the_median_of_the_latest_good_runs_is_in_the_event_of_the_end() {
    let mut small = watched(config(Kind::graph()));
    assert_eq!(small.runs_for("web", 100, 0), (None, None), "a new job has no earlier runs to ask for");
    assert_eq!(small.runs_for("web", 300, 0).0, None);
    assert_eq!(small.runs_for("web", 9_000, 1).0, None, "a failure");
    assert_eq!(small.runs_for("web", 200, 0).0, Some(200));
    assert_eq!(small.view("web").expected_ms, Some(200));
    for _ in 0..10 {
        small.runs_for("web", 1_000, 0);
    }
    assert_eq!(small.view("web").expected_ms, Some(1_000), "only the latest ones");
}

#[test]
fn a_run_that_was_stopped_lets_expect_nothing() {
    let mut small = watched(config(Kind::graph()));
    for ms in [10, 10, 10] {
        small.runs_for("web", ms, 0);
    }
    for _ in 0..10 {
        small.send(CLI, Request::Add(Box::new(named("web"))));
        small.spawned("web");
        small.now_ms += 5_000;
        let name = Name::graph("web").unwrap();
        small.send(CLI, Request::Stop(Stop { name, force: false, grace_ms: None }));
        small.ends("web", 0);
    }
    assert_eq!(small.view("web").expected_ms, Some(10));
}

#[test]
fn earlier_lives_are_asked_of_the_store_once_when_a_job_begins_or_is_looked_at() {
    let which = || ByName { name: Name::graph("web").unwrap() };
    let begins: [Request; 3] = [
        Request::Add(Box::new(named("web"))),
        Request::Start(Start { name: Some(which().name), ..Start::default() }),
        Request::Get(which()),
    ];
    for request in begins {
        let mut small = remembered();
        assert_eq!(small.view("web").expected_ms, Some(7), "as the supervisor before this one expected");
        small.send(CLI, request);
        let ticket = small.asked().expect("a question");
        small.send(CLI, Request::Get(which()));
        assert_eq!(small.asked(), None, "once");
        let answer = Ok(Stored::Durations(vec![(4, 40), (2, 20), (1, 30)]));
        small.feed(Input::Stored { ticket, answer });
        let told: Vec<_> =
            small.events(EventKind::WorkerUpdated).iter().map(|view| view.expected_ms).collect();
        assert_eq!(told, [Some(30)]);
        assert!(!small.out.iter().any(|effect| matches!(effect, Effect::Record(_))), "nobody changed it");
    }
}

#[test]
fn a_store_that_gives_no_answer_is_asked_at_the_next_begin() {
    let mut small = remembered();
    let (expected, ticket) = small.runs_for("web", 50, 0);
    assert_eq!(expected, Some(7));
    let ticket = ticket.expect("a question");
    small.feed(Input::Stored { ticket, answer: Err(NoAnswer::Silent) });
    assert_eq!(small.view("web").expected_ms, Some(7));
    let ticket = small.runs_for("web", 50, 0).1.expect("a second question");
    // The run that ended meanwhile may be in the answer or not: it counts once.
    small.feed(Input::Stored { ticket, answer: Ok(Stored::Durations(vec![(5, 50), (4, 10), (3, 10)])) });
    assert_eq!(small.view("web").expected_ms, Some(30), "of 10, 10, 50, 50");
}

#[test]
fn an_answer_about_a_job_that_was_removed_is_not_its_successors() {
    let mut small = remembered();
    let name = Name::graph("web").unwrap();
    small.send(CLI, Request::Get(ByName { name: name.clone() }));
    let ticket = small.asked().expect("a question");
    small.ask(CLI, Request::Remove(ByName { name })).unwrap();
    small.send(CLI, Request::Create(Box::new(named("web"))));
    small.feed(Input::Stored { ticket, answer: Ok(Stored::Durations(vec![(4, 40), (2, 20), (1, 30)])) });
    assert_eq!(small.view("web").expected_ms, None);
}

#[test]
fn a_deleted_run_is_made_up_for_by_an_older_one_of_the_store() {
    let mut small = watched(config(Kind::graph()));
    for ms in [10, 20, 30] {
        small.runs_for("web", ms, 0);
    }
    let name = Name::graph("web").unwrap();
    small.send(CLI, Request::RunsDelete(RunsDelete { name, run: 3 }));
    let Some(Effect::Ask { ticket, .. }) = small.out.first().cloned() else { panic!("{:?}", small.out) };
    small.feed(Input::Stored { ticket, answer: Ok(Stored::Deleted(true)) });
    let ticket = small.asked().expect("a question");
    small.feed(Input::Stored { ticket, answer: Ok(Stored::Durations(vec![(2, 20), (1, 10)])) });
    assert_eq!(small.view("web").expected_ms, None, "two are too few");
}
