//! Who may do what to whose worker (PROTOCOL 5), and how a start is satisfied.

use super::harness::{Answer, World, kind};
use super::settle::{by_name, killed, name, restart, start, start_leased, stop, stop_force};
use super::steps::Step;
use crate::worker::Phase;
use crate::{ConnId, Effect};
use gob_protocol::request::{Force, HandOver, Restart, Signal, Start};
use gob_protocol::{
    Actor, Data, ErrorCode, EventKind, Exit, Name, Outcome, Owner, Request, State, View, Wait,
};
use std::string::String;
use std::vec;
use std::vec::Vec;

const OWNERS: [(ConnId, &str); 4] =
    [(ConnId(1), "cli"), (ConnId(2), "desktop"), (ConnId(3), "electron"), (ConnId(4), "unknown")];
const CLI: ConnId = ConnId(1);
const DESKTOP: ConnId = ConnId(2);
const ELECTRON: ConnId = ConnId(3);
const NOBODY: ConnId = ConnId(4);

fn world() -> World {
    let mut world = World::new(kind());
    for (conn, owner) in OWNERS {
        world.takes(&Step::Join(conn, owner));
    }
    world
}

/// A ready worker `w` that this client started.
fn started_by(conn: ConnId) -> World {
    let mut world = world();
    world.takes(&Step::Ask(conn, start("w")));
    world.settles();
    world
}

fn code(answer: Option<&Answer>) -> Option<ErrorCode> {
    answer.and_then(|answer| answer.as_ref().err()).map(|error| error.code)
}

fn outcome(answer: Option<&Answer>) -> Option<Outcome> {
    match answer {
        Some(Ok(Data::Start(data))) => Some(data.outcome),
        _other => None,
    }
}

fn view(world: &World) -> View {
    world.core.workers[&name("w")].view(false)
}

fn hand_over(to: &str) -> Request {
    Request::HandOver(HandOver { name: name("w"), to: Owner::new(to).unwrap() })
}

/// May the requester manage what the owner owns? The rule again, as a table.
#[rustfmt::skip]
const MATRIX: [(&str, [bool; 4]); 4] = [
    // requester    cli    desktop electron unknown
    ("cli",      [ true,  false,  false,   false]),
    ("desktop",  [ false, true,   false,   false]),
    ("electron", [ false, false,  true,    false]),
    ("unknown",  [ true,  false,  false,   false]),
];

#[test]
fn every_verb_asks_who_owns_the_worker() {
    let signal = Request::Signal(Signal { name: name("w"), signal: "HUP".into() });
    let remove = Request::Remove(by_name("w"));
    for ((owner, _), (owner_name, row)) in OWNERS.into_iter().zip(MATRIX) {
        for ((requester, requester_name), may) in OWNERS.into_iter().zip(row) {
            let requests = [
                stop("w"),
                stop_force("w"),
                restart("w"),
                signal.clone(),
                hand_over("agent"),
                remove.clone(),
            ];
            for request in requests {
                let mut world = started_by(owner);
                if request == remove {
                    let by = OWNERS.iter().find(|(_, name)| row_allows(row, name)).unwrap().0;
                    world.takes(&Step::Ask(by, stop("w")));
                    world.settles();
                }
                let pid = view(&world).pid;
                let id = world.asks(requester, request.clone());
                let refused = code(world.answer(requester, id)) == Some(ErrorCode::ServerOwnedByOther);
                assert_eq!(refused, !may, "{request:?} of {owner_name}'s worker by {requester_name}");
                if refused {
                    assert_eq!(view(&world).pid, pid, "a refused {request:?} touches nothing");
                    let answer = world.answer(requester, id).unwrap().as_ref().unwrap_err();
                    let details = answer.details.clone().unwrap();
                    assert_eq!(details["worker"], "w");
                    assert_eq!(details["owner"], owner_name);
                    assert_eq!(details["requester"], requester_name);
                }
                world.settles();
            }
        }
    }
}

fn row_allows(row: [bool; 4], requester: &str) -> bool {
    OWNERS.iter().zip(row).any(|((_, name), may)| *name == requester && may)
}

#[test]
fn reads_starts_and_leases_are_open_to_all() {
    for (conn, _) in OWNERS {
        let mut world = started_by(DESKTOP);
        for request in [Request::Get(by_name("w")), start("w"), Request::Lease(by_name("w"))] {
            let id = world.asks(conn, request);
            assert!(matches!(world.answer(conn, id), Some(Ok(_))));
        }
        assert_eq!(view(&world).owner.as_str(), "desktop", "and change no owner");
    }
}

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
fn cli_takes_over_what_nobody_owns() {
    let mut world = started_by(NOBODY);
    for (conn, expected, owner) in [
        (DESKTOP, Outcome::Reused, "unknown"),
        (NOBODY, Outcome::Reused, "unknown"),
        (CLI, Outcome::TakenOver, "cli"),
        (CLI, Outcome::Reused, "cli"),
    ] {
        let id = world.asks(conn, start("w"));
        assert_eq!(outcome(world.answer(conn, id)), Some(expected));
        assert_eq!(view(&world).owner.as_str(), owner);
    }
    let changes = world.history.iter().filter(|event| event.event == EventKind::WorkerOwnerChanged);
    let actors: Vec<_> = changes.map(|event| event.actor.clone()).collect();
    assert!(matches!(&actors[..], [Actor::Client { owner, .. }] if owner.is_cli()), "{actors:?}");
}

#[test]
fn a_restart_by_cli_takes_over_too() {
    let mut world = started_by(NOBODY);
    world.takes(&Step::Ask(CLI, restart("w")));
    world.settles();
    assert_eq!((view(&world).owner.as_str(), view(&world).run), ("cli", 2));
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
    assert!(matches!(world.phase("w"), Phase::Idle));
    assert_eq!(view(&world).run, 1);
}

#[test]
fn who_waits_for_a_run_that_ends_is_not_served_by_the_next() {
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
    assert!(matches!(world.phase("w"), Phase::Backoff), "the policy goes on in the background");
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
    assert!(matches!(world.phase("w"), Phase::Backoff));
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
fn survivors_are_told_to_all_who_wait() {
    let mut world = started_by(CLI);
    let stop = world.asks(CLI, stop_force("w"));
    let start = world.asks(DESKTOP, start("w"));
    world.takes(&Step::Due);
    assert_eq!(world.now, 5_000);
    world.takes(&Step::Surviving(name("w")));
    let told = |conn, id| world.answer(conn, id).unwrap().as_ref().unwrap_err().clone();
    let (stop, start) = (told(CLI, stop), told(DESKTOP, start));
    assert_eq!(stop.code, ErrorCode::ServerStopTimeout);
    assert_eq!(stop.details.unwrap()["receipt"]["survivors"][0]["pid"], 9);
    assert_eq!(start.code, ErrorCode::ServerStartTimeoutOrphan);
    assert_eq!(start.details.unwrap()["pids"][0], 9);
    world.settles();
}

#[test]
fn the_end_is_refused_whole_while_others_have_live_workers() {
    let end = |force| [Request::Shutdown(Force { force }), Request::Nuke(Force { force })];
    for (refused, forced) in end(false).into_iter().zip(end(true)) {
        let mut world = started_by(DESKTOP);
        world.takes(&Step::Ask(CLI, start("v")));
        world.settles();
        let id = world.asks(CLI, refused);
        let error = world.answer(CLI, id).unwrap().as_ref().unwrap_err().clone();
        assert_eq!(error.code, ErrorCode::ServerOwnedByOther);
        let details = error.details.unwrap();
        assert_eq!(details["workers"][0]["worker"], "w");
        assert_eq!((details["workers"].as_array().unwrap().len(), &details["owner"]), (1, &"desktop".into()));
        assert!(["v", "w"].iter().all(|name| matches!(world.phase(name), Phase::Ready { .. })));

        let id = world.asks(CLI, forced);
        let late = world.asks(CLI, start("u"));
        assert_eq!(code(world.answer(CLI, late)), Some(ErrorCode::ShuttingDown));
        assert!(world.answer(CLI, id).is_none(), "answered when all are down");
        world.settles();
        let stopped: Vec<Name> = match world.answer(CLI, id) {
            Some(Ok(Data::Shutdown(data))) => data.stopped.clone(),
            Some(Ok(Data::Nuke(data))) => data.stopped.clone(),
            other => panic!("{other:?}"),
        };
        assert_eq!(stopped, [name("v"), name("w")]);
        let who = world.history.iter().find(|event| event.event == EventKind::SupervisorStopping).unwrap();
        assert!(
            matches!(&who.actor, Actor::Client { owner, .. } if owner.is_cli()),
            "the event says who did it"
        );
    }
}

#[test]
fn the_end_needs_nobody_who_waits_for_it() {
    let mut world = started_by(CLI);
    world.takes(&Step::Ask(CLI, Request::Shutdown(Force { force: false })));
    world.takes(&Step::Leave(CLI));
    world.settles();
    assert!(world.ended);
}

#[test]
fn a_second_signal_has_no_patience() {
    let mut world = started_by(CLI);
    world.takes(&Step::Terminate);
    assert!(world.runs.get(&name("w")).is_some_and(|run| run.terminated && !run.sweeping));
    world.takes(&Step::Terminate);
    assert!(world.runs.get(&name("w")).is_some_and(|run| run.sweeping));
    world.settles();
}

#[test]
fn cleanup_takes_only_what_is_down_and_the_requesters() {
    let mut world = world();
    for (conn, worker) in [(CLI, "down"), (CLI, "up"), (DESKTOP, "others"), (NOBODY, "nobodys")] {
        world.takes(&Step::Ask(conn, start(worker)));
        world.settles();
    }
    for (conn, worker) in [(CLI, "down"), (DESKTOP, "others"), (CLI, "nobodys")] {
        world.takes(&Step::Ask(conn, stop(worker)));
    }
    world.settles();
    let id = world.asks(CLI, Request::Cleanup);
    let removed = match world.answer(CLI, id) {
        Some(Ok(Data::Removed(data))) => data.removed.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(removed, [name("down"), name("nobodys")]);
}

#[test]
fn what_is_not_ours_is_never_signalled() {
    let requests = || {
        let signal = Request::Signal(Signal { name: name("w"), signal: "KILL".into() });
        vec![stop("w"), stop_force("w"), restart("w"), signal, hand_over("agent"), start_leased("w")]
    };
    for (holder, may) in [("cli", true), ("desktop", false)] {
        for request in requests() {
            let mut world = started_by(CLI);
            world.takes(&Step::Ask(CLI, stop("w")));
            world.settles();
            world.takes(&Step::External(name("w"), Some(holder)));
            let id = world.asks(CLI, request.clone());
            let answer = code(world.answer(CLI, id));
            let expected = match &request {
                Request::Start(_) => None,
                _managed if may => Some(ErrorCode::ServerLockedByExternal),
                _managed => Some(ErrorCode::ServerOwnedByOther),
            };
            assert_eq!(answer, expected, "{request:?} of what {holder} holds");
            assert!(matches!(world.phase("w"), Phase::External(_)));
        }
    }
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
                    .flat_map(|w| w.waiters.last().map(|_| w.name.as_str()))
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
