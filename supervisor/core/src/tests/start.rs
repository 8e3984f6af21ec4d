//! How a start or restart is satisfied (PROTOCOL 5, *ensure*), and what it is told when it is not.

use super::harness::{World, kind};
use super::steps::Step;
use super::words::{
    CLI, DESKTOP, ELECTRON, OWNERS, code, killed, name, outcome, restart, start, started_by, stop,
    stop_force, view, world,
};
use crate::{Effect, Errno, Input, SpawnFailure, SpawnStep};
use gob_protocol::request::{Restart, Start};
use gob_protocol::{Data, ErrorCode, EventKind, Exit, Outcome, Request, State, Wait};
use std::format;
use std::string::String;
use std::vec::Vec;

#[test]
fn a_thousand_racing_starts_begin_one_run() {
    let mut world = world();
    let ids: Vec<_> = (0..1_000)
        .map(|n| if n % 2 == 0 { CLI } else { DESKTOP })
        .map(|conn| (conn, world.asks(conn, start("w"))))
        .collect();
    world.settles();
    let outcomes = ids.iter().map(|(conn, id)| outcome(world.answer(*conn, *id)));
    let started = outcomes.filter(|outcome| *outcome == Some(Outcome::Started)).count();
    assert_eq!((started, view(&world).run), (1, 1));
    let pids = ids.iter().map(|(conn, id)| match world.answer(*conn, *id) {
        Some(Ok(Data::Start(data))) => data.worker.pid,
        other => panic!("{other:?}"),
    });
    assert!(pids.into_iter().all(|pid| pid == view(&world).pid && pid.is_some()));
}

#[test]
fn a_restart_answers_once_its_own_run_is_ready() {
    let mut world = started_by(CLI);
    let id = world.asks(CLI, restart("w"));
    let also = world.asks(DESKTOP, start("w"));
    for step in
        [Step::Exited(name("w"), Exit::Code { code: 0 }), Step::Swept(name("w")), Step::Spawned(name("w"))]
    {
        world.takes(&step);
        assert!(world.answer(CLI, id).is_none(), "not before {step:?}");
    }
    world.takes(&Step::Ready(name("w")));
    assert!(matches!(world.answer(CLI, id), Some(Ok(Data::Stop(data))) if data.worker.run == 2));
    assert_eq!(outcome(world.answer(DESKTOP, also)), Some(Outcome::Reused));
    assert_eq!(view(&world).owner.as_str(), "cli");
}

#[test]
fn a_start_while_it_is_stopping_waits_and_owns_the_next_run() {
    let mut world = started_by(DESKTOP);
    let stop = world.asks(DESKTOP, stop("w"));
    let first = world.asks(CLI, start("w"));
    let second = world.asks(ELECTRON, start("w"));
    // The run that is ending is still the desktop's.
    let refused = world.asks(CLI, stop_force("w"));
    assert_eq!(code(world.answer(CLI, refused)), Some(ErrorCode::ServerOwnedByOther));
    assert_eq!(view(&world).owner.as_str(), "desktop");
    world.settles();
    assert!(
        matches!(world.answer(DESKTOP, stop), Some(Ok(Data::Stop(data))) if data.worker.state == State::Idle)
    );
    assert_eq!(outcome(world.answer(CLI, first)), Some(Outcome::Started));
    assert_eq!(outcome(world.answer(ELECTRON, second)), Some(Outcome::Reused));
    assert_eq!((view(&world).owner.as_str(), view(&world).run), ("cli", 2));
    let stopped = world.history.iter().find(|event| event.event == EventKind::WorkerStopped).unwrap();
    let owner = stopped.worker.as_ref().map(|view| view.owner.as_str());
    assert_eq!(owner, Some("desktop"), "who looks only at its own workers sees it end");
}

#[test]
fn a_stop_takes_back_the_start_that_waits() {
    let mut world = started_by(DESKTOP);
    world.takes(&Step::Ask(DESKTOP, stop("w")));
    let start = world.asks(CLI, start("w"));
    world.takes(&Step::Ask(DESKTOP, stop("w")));
    assert_eq!(code(world.answer(CLI, start)), Some(ErrorCode::ServerStartFailed), "at once");
    world.settles();
    assert!(world.state("w") == State::Idle);
    assert_eq!(view(&world).run, 1);
}

#[test]
fn a_start_that_takes_long_can_be_stopped_at_once_and_begun_again() {
    let mut world = world();
    let first = world.asks(CLI, start("w"));
    let stopped = world.asks(CLI, stop("w"));
    assert_eq!(code(world.answer(CLI, first)), Some(ErrorCode::ServerStartFailed));
    let next = world.asks(CLI, start("w"));
    assert_eq!(world.answer(CLI, stopped), None, "it may still get its process");
    world.takes(&Step::CalledOff(name("w")));
    let Some(Ok(Data::Stop(data))) = world.answer(CLI, stopped) else { panic!("not stopped") };
    assert_eq!(data.receipt, gob_protocol::Receipt::default());
    assert!(world.state("w") == State::Starting);
    assert_eq!(view(&world).run, 2);
    world.settles();
    assert_eq!(outcome(world.answer(CLI, next)), Some(Outcome::Started));
}

#[test]
fn a_start_waiting_for_an_ending_run_is_not_served_by_the_next() {
    let mut world = world();
    let first = world.asks(DESKTOP, start("w"));
    let also = world.asks(ELECTRON, start("w"));
    world.takes(&Step::Spawned(name("w")));
    world.takes(&Step::Exited(name("w"), killed()));
    let next = world.asks(CLI, start("w"));
    world.takes(&Step::Swept(name("w")));
    for (conn, id) in [(DESKTOP, first), (ELECTRON, also)] {
        assert_eq!(code(world.answer(conn, id)), Some(ErrorCode::ServerStartFailed), "at once");
    }
    world.settles();
    assert_eq!(outcome(world.answer(CLI, next)), Some(Outcome::Started));
    assert_eq!(view(&world).owner.as_str(), "cli");
}

#[test]
fn an_exit_before_ready_answers_all_starters_at_once() {
    let mut world = world();
    let ids: Vec<_> = OWNERS.iter().map(|(conn, _)| (*conn, world.asks(*conn, start("w")))).collect();
    world.takes(&Step::Spawned(name("w")));
    world.takes(&Step::Exited(name("w"), Exit::Code { code: 3 }));
    world.takes(&Step::Swept(name("w")));
    for (conn, id) in ids {
        let error = world.answer(conn, id).unwrap().as_ref().unwrap_err();
        assert_eq!(error.code, ErrorCode::ServerStartFailed);
        let details = error.details.as_ref().unwrap();
        assert_eq!((&details["exit"]["code"], &details["last_lines"][0]), (&3.into(), &"bye".into()));
    }
    assert!(world.state("w") == State::Backoff, "the policy goes on in the background");
}

#[test]
fn a_refusal_ends_the_tree_and_the_policy_goes_on() {
    let mut world = world();
    let id = world.asks(CLI, start("w"));
    world.takes(&Step::Spawned(name("w")));
    world.takes(&Step::Refused(name("w")));
    let error = world.answer(CLI, id).unwrap().as_ref().unwrap_err().clone();
    assert_eq!(error.code, ErrorCode::ServerStartFailed, "at once, not when its tree has ended");
    assert!(error.message.contains("no disk"), "{error:?}");
    // It ends as it was asked to: that cedes nothing, whatever its kind says of exit 0.
    world.takes(&Step::Exited(name("w"), Exit::Code { code: 0 }));
    world.takes(&Step::Swept(name("w")));
    assert!(world.state("w") == State::Backoff);
}

#[test]
fn a_start_that_times_out_ends_the_tree() {
    let mut world = world();
    let id = world.asks(CLI, start("w"));
    world.takes(&Step::Spawned(name("w")));
    world.takes(&Step::Due);
    assert_eq!((world.now, view(&world).state), (300, State::Stopping));
    assert!(world.answer(CLI, id).is_none(), "its tree has not ended yet");
    world.takes(&Step::Due);
    assert_eq!(world.now, 400, "the kind's grace, then it is killed");
    world.takes(&Step::Exited(name("w"), killed()));
    world.takes(&Step::Swept(name("w")));
    assert_eq!(code(world.answer(CLI, id)), Some(ErrorCode::ServerStartTimeout));
    assert_eq!(view(&world).state, State::Failed);
    assert!(world.wake.is_none(), "nothing starts it again by itself");
}

#[test]
fn a_requester_waits_no_longer_than_it_said() {
    let waits = |timeout_ms: u64| {
        Request::Start(Start { graph: Some(name("w")), timeout_ms: Some(timeout_ms), ..Start::default() })
    };
    let mut world = world();
    let short = world.asks(DESKTOP, waits(50));
    let long = world.asks(CLI, waits(10_000));
    world.takes(&Step::Spawned(name("w")));
    world.takes(&Step::Due);
    assert_eq!(world.now, 50);
    assert_eq!(code(world.answer(DESKTOP, short)), Some(ErrorCode::ServerStartTimeout));
    assert_eq!(view(&world).state, State::Starting, "the worker goes on");
    world.takes(&Step::Ready(name("w")));
    assert_eq!(outcome(world.answer(CLI, long)), Some(Outcome::Reused));
    assert!(world.wake.is_none(), "nobody waits any more");
}

#[test]
fn wait_spawned_is_answered_at_the_spawn() {
    let request =
        Request::Start(Start { graph: Some(name("w")), wait: Some(Wait::Spawned), ..Start::default() });
    let again = Request::Restart(Restart {
        name: name("w"),
        env: None,
        grace_ms: None,
        wait: Some(Wait::Spawned),
        timeout_ms: None,
    });
    let mut world = world();
    let ids = [world.asks(CLI, request), world.asks(CLI, again)];
    world.takes(&Step::Spawned(name("w")));
    assert!(ids.iter().all(|id| matches!(world.answer(CLI, *id), Some(Ok(_)))));
}

#[test]
fn a_start_may_name_the_graph_the_worker_or_both() {
    let ask = |graph: Option<&str>, worker: Option<&str>, root: Option<&str>, kind: Option<&str>| {
        Request::Start(Start {
            graph: graph.map(name),
            name: worker.map(name),
            root_dir: root.map(Into::into),
            kind: kind.map(Into::into),
            ..Start::default()
        })
    };
    let told = |request: Request| -> Result<String, ErrorCode> {
        let mut world = world();
        let other = ask(Some("g"), Some("w"), Some("/r"), None);
        let mut out = Vec::new();
        for (number, request) in [other, request].into_iter().enumerate() {
            let id = Some(gob_protocol::Id::Number(number as i64));
            let now = crate::Now { mono_ms: 0, wall: gob_protocol::Timestamp(0) };
            out = world.core.apply(crate::Input::Request { conn: CLI, id, request }, now);
        }
        match out.iter().find(|effect| matches!(effect, Effect::Reply { .. })) {
            Some(Effect::Reply { result: Err(error), .. }) => Err(error.code),
            _waits => {
                let workers = world.core.workers.values();
                Ok(workers
                    .flat_map(|w| w.waiters().last().map(|_| w.name.as_str()))
                    .collect::<Vec<_>>()
                    .join("+"))
            }
        }
    };
    // The worker `w` serves the graph `g` below `/r`, and is starting.
    assert_eq!(told(ask(None, Some("w"), None, None)), Ok("w".into()));
    assert_eq!(told(ask(Some("g"), Some("w"), Some("/r"), Some("graph"))), Ok("w".into()));
    assert_eq!(told(ask(Some("g"), None, Some("/r"), None)), Ok("w".into()), "found by its graph");
    assert_eq!(told(ask(Some("g"), None, Some("/r"), Some("graph"))), Ok("w".into()));
    assert_eq!(told(ask(Some("g"), None, None, None)), Ok("g+w".into()), "another root, another worker");
    assert_eq!(told(ask(Some("w"), None, None, None)), Err(ErrorCode::GraphConflict));
    assert_eq!(told(ask(None, Some("w"), Some("/other"), None)), Err(ErrorCode::GraphConflict));
    assert_eq!(told(ask(Some("g"), Some("x"), Some("/r"), None)), Err(ErrorCode::GraphConflict));
    assert_eq!(told(ask(Some("x"), None, None, Some("nope"))), Err(ErrorCode::KindNotFound));
    assert_eq!(told(ask(None, None, None, None)), Err(ErrorCode::InvalidRequest));
}

#[test]
fn a_conflict_names_the_ways_out() {
    let refused = |world: &mut World, kind: Option<&str>, root_dir: Option<&str>| {
        let (kind, root_dir) = (kind.map(Into::into), root_dir.map(Into::into));
        let request = Request::Start(Start { graph: Some(name("w")), kind, root_dir, ..Start::default() });
        let now = crate::Now { mono_ms: world.now, wall: gob_protocol::Timestamp(0) };
        let effects = world.core.apply(Input::Request { conn: CLI, id: None, request }, now);
        let error = effects.into_iter().find_map(|effect| match effect {
            Effect::Reply { result: Err(error), .. } => Some(error),
            _other => None,
        });
        error.expect("a refusal")
    };
    let mut world = started_by(CLI);
    // Under another name there would be no such kind either.
    assert_eq!(refused(&mut world, Some("nope"), None).code, ErrorCode::KindNotFound);
    let hint = refused(&mut world, None, Some("/other")).hint.expect("a hint");
    assert_eq!(hint, "give the other one a name of its own: gobctl start --name NAME w");
    world.asks(CLI, stop("w"));
    world.settles();
    let hint = refused(&mut world, None, Some("/other")).hint.expect("a hint");
    assert!(hint.ends_with("; or forget this one, which is down: gobctl remove w"), "{hint}");
}

#[test]
fn only_a_missing_program_is_reported_as_missing() {
    let program = kind().command.swap_remove(0);
    let dir = format!("/srv/{program}");
    for (step, is_program) in [
        (SpawnStep::FindProgram(Some(program)), true),
        (SpawnStep::OpenLock { path: "/r/w.lock".into() }, false),
        // The name of the directory has that of the program in it.
        (SpawnStep::Chdir { path: dir }, false),
    ] {
        let mut world = world();
        let id = world.asks(CLI, start("w"));
        let key = world.core.workers[&name("w")].key();
        let errno = Errno { name: "ENOENT".into(), text: "no such file".into() };
        world.feed(Input::SpawnFailed { key, why: SpawnFailure { step, errno } }).expect("a failure");
        let Some(Err(error)) = world.answer(CLI, id) else { panic!("no answer") };
        assert_eq!(error.hint.is_some(), is_program, "{error:?}");
    }
}
