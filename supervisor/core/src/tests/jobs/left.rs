//! A client that was to stay until its job's end, and left it running: told once, while it is so, and never otherwise.

use super::*;

const LEFT: &str = "its client (pid 40) left it running";

/// A job that this client runs, as another one watches.
fn run() -> Small {
    let mut small = Small::new();
    small.ask(AGENT, Request::Subscribe(Default::default())).unwrap();
    small.runs(attached());
    small
}

fn attached() -> Add {
    Add { attached: true, name: Some(web()), ..add(&["make"]) }
}

fn web() -> Name {
    Name::graph("web").unwrap()
}

fn leaves(small: &mut Small) -> Vec<(EventKind, Actor, Option<String>)> {
    small.feed(Input::Disconnected { conn: CLI });
    let told = |effect: &Effect| match effect {
        Effect::Publish { event, .. } => {
            let reason = event.worker.as_ref().and_then(|view| view.reason.clone());
            Some((event.event, event.actor.clone(), reason))
        }
        _other => None,
    };
    small.out.iter().filter_map(told).collect()
}

#[test]
fn a_client_that_leaves_a_run_is_told_with_its_name_and_recorded() {
    let mut small = run();
    let actor = Actor::Client { owner: Owner::cli(), client: None, pid: Some(40) };
    let told = leaves(&mut small);
    assert_eq!(told, [(EventKind::WorkerUpdated, actor.clone(), Some(LEFT.into()))]);
    let recorded = |effect: &Effect| match effect {
        Effect::Record(Recorded::Change(change)) => {
            change.actor == actor && change.reason.as_deref() == Some(LEFT) && change.run == Some(1)
        }
        _other => false,
    };
    assert!(small.out.iter().any(recorded), "{:?}", small.out);
    assert_eq!(small.view("web").reason.as_deref(), Some(LEFT));
    small.ends("web", 0);
    assert_eq!(small.view("web").reason, None, "it is at rest");
}

#[test]
fn a_client_whose_job_is_over_or_is_to_end_leaves_without_a_word() {
    let mut over = run();
    over.ends("web", 3);
    assert_eq!(leaves(&mut over), []);
    let mut stopped = run();
    stopped.send(CLI, Request::Stop(Stop { name: web(), force: false, grace_ms: None }));
    assert_eq!(leaves(&mut stopped), []);
    stopped.ends("web", 0);
    assert_eq!(stopped.view("web").reason, None);
}

#[test]
fn only_the_client_that_began_a_run_leaves_it() {
    let mut small = Small::new();
    small.send(AGENT, Request::Add(Box::new(attached())));
    small.spawned("web");
    small.send(CLI, Request::Add(Box::new(attached())));
    assert_eq!(leaves(&mut small), [], "it had joined");
    small.feed(Input::Disconnected { conn: AGENT });
    assert_eq!(small.view("web").reason.as_deref(), Some(LEFT));
    let mut plain = Small::new();
    plain.ask(AGENT, Request::Subscribe(Default::default())).unwrap();
    plain.runs(Add { name: Some(web()), ..add(&["make"]) });
    assert_eq!(leaves(&mut plain), [], "add does not stay");
}

#[test]
fn a_job_that_is_to_run_again_is_left_too_and_its_next_run_says_so() {
    let mut small = Small::new();
    small.ask(AGENT, Request::Subscribe(Default::default())).unwrap();
    small.runs(Add { restart: Some(RestartOn::Always), ..attached() });
    small.ends("web", 3);
    assert_eq!(small.view("web").state, State::Backoff);
    assert_eq!(leaves(&mut small), [], "nothing runs");
    small.now_ms = 1_000;
    small.feed(Input::Due);
    assert_eq!((small.view("web").run, small.view("web").reason.as_deref()), (2, Some(LEFT)));
    // Another client's start begins anew.
    small.spawned("web");
    small.feed(Input::Connected { conn: CLI, pid: Some(40) });
    let hello = Hello { protocol: 1, client: None, owner: Some(Owner::cli()) };
    small.ask(CLI, Request::Hello(hello)).unwrap();
    small.send(CLI, Request::Stop(Stop { name: web(), force: true, grace_ms: None }));
    small.ends("web", 0);
    small.send(CLI, Request::Start(Start { name: Some(web()), ..Start::default() }));
    assert_eq!(small.view("web").reason, None);
}

#[test]
fn a_run_that_waits_for_the_end_of_the_one_before_it_is_left_as_well() {
    let mut small = Small::new();
    small.runs(Add { name: Some(web()), ..add(&["make"]) });
    small.send(CLI, Request::Stop(Stop { name: web(), force: false, grace_ms: None }));
    small.send(CLI, Request::Add(Box::new(attached())));
    small.feed(Input::Disconnected { conn: CLI });
    small.ends("web", 0);
    assert_eq!((small.view("web").run, small.view("web").reason.as_deref()), (2, Some(LEFT)));
}
