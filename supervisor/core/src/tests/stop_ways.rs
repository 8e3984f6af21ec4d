//! The ways in which a worker is asked to end, one after the other until it does.

use super::harness::{World, kind};
use super::steps::Step;
use super::words::{CLI, killed, name, start, stop, stop_force, stop_within, view};
use crate::{Effect, Input, Note, Now, RunKey};
use gob_config::kind::{Check, HttpPort, Kind};
use gob_protocol::handshake::Handshake;
use gob_protocol::{EventKind, Exit, Id, Request, State, Timestamp};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

fn way(http: bool, then: bool) -> Kind {
    let mut kind = kind();
    kind.readiness.check = Check::Http { path: "/".into(), status: 200, port: HttpPort::Given };
    kind.stop.http = http.then(|| "POST /{name}".into());
    kind.stop.then = then.then(|| "SIGINT".into());
    kind
}

fn spawned(kind: Kind) -> World {
    let mut world = World::new(kind);
    world.takes(&Step::Join(CLI, "cli"));
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Spawned(name("w")));
    world
}

/// The run is ready, and this is where.
fn told_by(endpoint: &str) -> Input {
    let handshake = Handshake { endpoint: Some(endpoint.into()), ..Handshake::default() };
    Input::Ready { key: RunKey { name: name("w"), run: 1 }, handshake, ports: Vec::new() }
}

fn ready(kind: Kind) -> World {
    let mut world = spawned(kind);
    world.feed(told_by("http://127.0.0.1:4000")).expect("ready");
    world
}

/// Takes a step and says what it led to.
fn does(world: &mut World, step: &Step) -> Vec<String> {
    let now = world.now;
    let mut before = world.core.clone();
    let wake = world.wake;
    world.takes(step);
    let key = before.workers[&name("w")].key();
    let input = match step {
        Step::Ask(conn, request) => {
            Input::Request { conn: *conn, id: Some(Id::Number(99)), request: Request::clone(request) }
        }
        Step::StopAnswered(_, taken) => Input::StopAnswered { key, taken: *taken },
        Step::Due => Input::Due,
        Step::Exited(_, exit) => Input::Exited { key, exit: exit.clone() },
        other => panic!("{other:?}"),
    };
    let now = if matches!(step, Step::Due) { wake.unwrap_or(now) } else { now };
    let effects = before.apply(input, Now { mono_ms: now, wall: Timestamp(0) });
    let words = effects.into_iter().filter_map(|effect| match effect {
        Effect::StopHttp { endpoint, request, look, .. } => {
            let sure = if look { ", if that is it" } else { "" };
            Some(format!("{request} to {endpoint}{sure}"))
        }
        Effect::Terminate { signal, .. } => Some(signal),
        Effect::Linger { signal, .. } => Some(format!("{signal} to the rest")),
        Effect::Sweep { .. } => Some("kill".into()),
        _other => None,
    });
    words.collect()
}

const POST: &str = "POST /w to http://127.0.0.1:4000";

/// The same, where nobody has seen yet that it is the run that listens there.
const POST_IF: &str = "POST /w to http://localhost:4000, if that is it";

#[test]
fn only_a_port_seen_as_the_runs_is_asked_without_a_check() {
    let mut seen = spawned(way(true, false));
    seen.feed(told_by("http://127.0.0.1:4000")).expect("ready");
    assert_eq!(does(&mut seen, &Step::Ask(CLI, stop("w"))), [POST]);
    // A run that never was ready, and one that was by a check that does not look there.
    for ready in [false, true] {
        let mut kind = way(true, false);
        kind.command.push("{port}".into());
        kind.readiness.check = Check::Notify;
        let mut world = spawned(kind);
        if ready {
            world.takes(&Step::Notified(name("w"), Note { ready: true, ..Note::default() }));
        }
        assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), [POST_IF]);
        assert_eq!(does(&mut world, &Step::StopAnswered(name("w"), false)), ["SIGTERM"]);
    }
    let mut fixed = way(true, false);
    (fixed.command, fixed.readiness.timeout_ms) = (vec!["server".into()], 50);
    fixed.readiness.check = Check::Http { path: "/".into(), status: 200, port: HttpPort::Fixed(4000) };
    assert_eq!(does(&mut spawned(fixed), &Step::Due), [POST_IF], "it was not ready in time");
}

#[test]
fn http_comes_first_and_the_signal_when_it_is_refused() {
    let mut world = ready(way(true, false));
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), [POST]);
    assert_eq!(does(&mut world, &Step::StopAnswered(name("w"), false)), ["SIGTERM"]);
    assert!(does(&mut world, &Step::Due).is_empty(), "it was asked by its signal already");
    assert_eq!(does(&mut world, &Step::Due), ["kill"]);
    assert_eq!(world.now, 100);
}

#[test]
fn the_stop_request_uses_http_whatever_the_endpoints_scheme() {
    let mut kind = way(true, false);
    kind.scheme = Some("ws".into());
    kind.command.push("{port}".into());
    let mut world = World::new(kind);
    world.takes(&Step::Join(CLI, "cli"));
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Spawned(name("w")));
    let endpoint = Some("http://127.0.0.1:77".into());
    let handshake = Handshake { endpoint, by_port: true, ..Handshake::default() };
    let key = world.core.workers[&name("w")].key();
    world.feed(Input::Ready { key, handshake, ports: Vec::new() }).expect("ready");
    assert_eq!(view(&world).endpoint.as_deref(), Some("ws://127.0.0.1:77"));
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), ["POST /w to http://127.0.0.1:77"]);
}

#[test]
fn a_run_that_took_the_request_and_stays_is_signalled_at_half_of_the_grace() {
    let mut world = ready(way(true, false));
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), [POST]);
    assert!(does(&mut world, &Step::StopAnswered(name("w"), true)).is_empty());
    assert_eq!(does(&mut world, &Step::Due), ["SIGTERM"]);
    assert_eq!(world.now, 50);
    assert_eq!(does(&mut world, &Step::Due), ["kill"]);
}

#[test]
fn a_late_refusal_sends_no_second_signal() {
    let mut world = ready(way(true, false));
    does(&mut world, &Step::Ask(CLI, stop("w")));
    assert_eq!(does(&mut world, &Step::Due), ["SIGTERM"]);
    assert!(does(&mut world, &Step::StopAnswered(name("w"), false)).is_empty());
}

#[test]
fn the_second_signal_comes_at_half_of_the_grace() {
    let mut world = ready(way(false, true));
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), ["SIGTERM"]);
    assert_eq!(does(&mut world, &Step::Due), ["SIGINT"]);
    assert_eq!(world.now, 50);
    assert_eq!(does(&mut world, &Step::Due), ["kill"]);
    assert_eq!(world.now, 100);
}

#[test]
fn a_hurried_stop_hurries_the_second_signal_too() {
    let mut world = ready(way(false, true));
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), ["SIGTERM"]);
    assert!(does(&mut world, &Step::Ask(CLI, stop_within("w", 20))).is_empty());
    assert_eq!(does(&mut world, &Step::Due), ["SIGINT"]);
    assert_eq!(world.now, 10);
    assert!(does(&mut world, &Step::Ask(CLI, stop_within("w", 5_000))).is_empty());
    assert_eq!(does(&mut world, &Step::Due), ["kill"]);
    assert_eq!(world.now, 20);
}

#[test]
fn force_asks_by_no_request() {
    let mut world = ready(way(true, true));
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop_force("w"))), ["SIGTERM", "kill"]);
}

/// As a shell ends on its signal while the server that it has started is still at it.
fn leader_gone() -> Step {
    Step::Exited(name("w"), Exit::Signal { signal: "SIGTERM".into(), core_dumped: false })
}

#[test]
fn processes_that_outlive_the_leader_have_the_rest_of_the_grace() {
    let mut world = ready(way(false, false));
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), ["SIGTERM"]);
    world.takes(&Step::Pass(30));
    assert_eq!(does(&mut world, &leader_gone()), ["SIGTERM to the rest"]);
    assert!(does(&mut world, &Step::Ask(CLI, stop_within("w", 5_000))).is_empty(), "no later than before");
    assert_eq!(does(&mut world, &Step::Due), ["kill"]);
    assert_eq!(world.now, 100, "the grace began with the stop");
    assert_eq!((view(&world).state, view(&world).pid), (State::Stopping, Some(1_000)), "not told yet");
    assert!(does(&mut world, &Step::Due).is_empty());
    assert_eq!(world.now, 130);
    assert_eq!((view(&world).state, view(&world).pid), (State::Stopping, None));
    assert!(world.history.last().is_some_and(|event| event.event == EventKind::WorkerUpdated));
    world.takes(&Step::Swept(name("w")));
    assert_eq!(view(&world).state, State::Idle);
}

#[test]
fn a_tree_that_ends_within_its_grace_is_never_killed() {
    let mut world = ready(way(false, true));
    let asked = world.asks(CLI, stop("w"));
    world.takes(&leader_gone());
    assert_eq!(does(&mut world, &Step::Due), ["SIGINT"], "the second signal is for the tree too");
    assert!(world.answer(CLI, asked).is_none(), "nothing is left when the answer comes");
    world.takes(&Step::Swept(name("w")));
    assert!(world.answer(CLI, asked).is_some_and(Result::is_ok));
    assert_eq!((view(&world).state, world.wake), (State::Idle, None), "nothing is due any more");
}

#[test]
fn force_hurries_processes_that_outlived_the_leader() {
    let mut world = ready(way(true, true));
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), [POST]);
    assert_eq!(does(&mut world, &leader_gone()), ["SIGTERM to the rest"], "it knows nothing of the request");
    assert!(does(&mut world, &Step::StopAnswered(name("w"), false)).is_empty(), "the leader is gone");
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop_force("w"))), ["kill"]);
}

#[test]
fn an_unasked_end_leaves_the_tree_no_grace() {
    let mut world = ready(way(false, false));
    assert_eq!(does(&mut world, &leader_gone()), ["kill"]);
    let mut by_itself = way(false, false);
    by_itself.restart.on = gob_config::kind::RestartOn::Never;
    let mut world = ready(by_itself);
    world.takes(&Step::Notified(name("w"), Note { stopping: true, ..Note::default() }));
    assert_eq!(does(&mut world, &leader_gone()), ["kill"], "it said so itself");
}

#[test]
fn a_stop_asks_a_run_that_was_ending_by_itself() {
    let says_so = Step::Notified(name("w"), Note { stopping: true, ..Note::default() });
    let mut world = ready(way(false, true));
    world.takes(&says_so);
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), ["SIGTERM"]);
    assert!(does(&mut world, &Step::Ask(CLI, stop("w"))).is_empty(), "it was asked already");
    assert_eq!(does(&mut world, &Step::Due), ["SIGINT"], "half of the grace is over");
    assert_eq!(
        does(&mut world, &leader_gone()),
        ["SIGINT to the rest"],
        "its tree has the rest of the grace"
    );
    // By its kind's own way, as a stop of a run that is up.
    let mut world = ready(way(true, false));
    world.takes(&says_so);
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop("w"))), [POST]);
    let mut world = ready(way(true, true));
    world.takes(&says_so);
    assert_eq!(does(&mut world, &Step::Ask(CLI, stop_force("w"))), ["SIGTERM", "kill"]);
}

#[test]
fn death_by_the_signal_of_a_stop_is_a_clean_stop() {
    let mut world = ready(way(false, true));
    world.takes(&Step::Ask(CLI, stop("w")));
    world.takes(&Step::Exited(name("w"), killed()));
    world.takes(&Step::Swept(name("w")));
    assert_eq!((view(&world).state, view(&world).reason), (State::Idle, None));
}
