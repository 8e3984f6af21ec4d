//! Each readiness check: what the core has looked at, and what follows.

use super::harness::{World, kind};
use super::steps::Step;
use super::words::{CLI, code, killed, name, start, stop, view};
use crate::Note;
use crate::{Effect, Input, New, Now, PORT_MARK, PortWish, RunKey, Target};
use gob_config::kind::{Check, HttpPort, Kind};
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::{ErrorCode, State, Timestamp};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

fn checked(check: Check) -> Kind {
    let mut kind = kind();
    kind.readiness.check = check;
    kind
}

/// A worker that was asked for; the effects of its spawn come next.
fn asked_for(kind: Kind) -> (World, i64) {
    let mut world = World::new(kind);
    world.takes(&Step::Join(CLI, "cli"));
    let id = world.asks(CLI, start("w"));
    (world, id)
}

/// The effects of an input.
fn effects(world: &World, input: Input) -> Vec<Effect> {
    let now = Now { mono_ms: world.now, wall: Timestamp(0) };
    world.core.clone().apply(input, now)
}

fn probed_at(kind: Kind) -> Target {
    let (world, _) = asked_for(kind);
    let key = RunKey { name: name("w"), run: 1 };
    let target = effects(&world, Input::Spawned { key, pid: 5, port: Some(81), new: New(false) })
        .into_iter()
        .find_map(|effect| match effect {
            Effect::Probe { target, .. } => Some(target),
            _other => None,
        });
    target.expect("a probe")
}

#[test]
fn each_check_probes_its_own_target() {
    let http = |port| checked(Check::Http { path: "/ready?of={name}".into(), status: 204, port });
    for (port, expected) in
        [(HttpPort::Given, Some(81)), (HttpPort::Discover, None), (HttpPort::Fixed(99), Some(99))]
    {
        let target = Target::Http { port: expected, path: "/ready?of=w".into(), status: 204 };
        assert_eq!(probed_at(http(port)), target);
    }
    for (address, expected) in [("[::1]:{port}", "[::1]:81"), ("unix:{socket}", "unix:/run/graphs/w.sock")] {
        let kind = checked(Check::Connect { address: address.into() });
        assert_eq!(probed_at(kind), Target::Connect { address: expected.into() });
    }
}

#[test]
fn a_given_port_is_in_the_plan_the_view_and_the_endpoint() {
    let mut kind = checked(Check::Notify);
    kind.command = vec!["server".into(), "--port={port}".into()];
    kind.env.insert("PORT".into(), "{port}".into());
    let mut world = World::new(kind);
    world.takes(&Step::Join(CLI, "cli"));
    let request = Input::Request { conn: CLI, id: None, request: start("w") };
    let plan = effects(&world, request).into_iter().find_map(|effect| match effect {
        Effect::Spawn(plan) => Some(plan),
        _other => None,
    });
    let plan = plan.expect("a spawn");
    assert_eq!(plan.port, Some(PortWish::Any));
    assert_eq!(plan.command[1], format!("--port={PORT_MARK}"));
    assert_eq!(plan.env.get("PORT"), Some(PORT_MARK));
    assert_eq!(plan.env.get("NOTIFY_SOCKET"), Some("/run/notify.sock"));
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Spawned(name("w")));
    assert_eq!(view(&world).command[1], "--port=4000");
    world.takes(&Step::Notified(name("w"), Note { ready: true, ..Note::default() }));
    assert_eq!(
        (view(&world).state, view(&world).endpoint.as_deref()),
        (State::Ready, Some("http://127.0.0.1:4000"))
    );
}

/// The port that the next start of the worker wishes for.
fn wish_of_start(world: &World) -> Option<PortWish> {
    let request = Input::Request { conn: CLI, id: None, request: start("w") };
    let plan = effects(world, request).into_iter().find_map(|effect| match effect {
        Effect::Spawn(plan) => Some(plan),
        _other => None,
    });
    plan.expect("a spawn").port
}

#[test]
fn a_port_is_wished_for_again_until_a_run_is_not_ready_on_it() {
    let mut kind = checked(Check::Notify);
    kind.command = vec!["server".into(), "--port={port}".into()];
    let mut world = World::new(kind.clone());
    world.takes(&Step::Join(CLI, "cli"));
    assert_eq!(wish_of_start(&world), Some(PortWish::Any));
    let ends = [Step::Exited(name("w"), gob_protocol::Exit::Code { code: 3 }), Step::Swept(name("w"))];
    for ready in [true, false] {
        world.takes(&Step::Ask(CLI, start("w")));
        world.takes(&Step::Spawned(name("w")));
        if ready {
            world.takes(&Step::Notified(name("w"), Note { ready: true, ..Note::default() }));
        }
        ends.iter().for_each(|step| world.takes(step));
        let expected = if ready { PortWish::Rather(4000) } else { PortWish::Any };
        assert_eq!(wish_of_start(&world), Some(expected));
    }
    let fixed = World::new(Kind { port: Some(7878), ..kind });
    let mut fixed = fixed;
    fixed.takes(&Step::Join(CLI, "cli"));
    assert_eq!(wish_of_start(&fixed), Some(PortWish::Only(7878)));
}

#[test]
fn an_endpoint_made_of_a_port_has_the_scheme_of_its_kind() {
    let log = Check::Log { pattern: "x".into(), stream: None };
    let told = |endpoint: &str, by_port| Handshake {
        endpoint: Some(endpoint.into()),
        by_port,
        ..Handshake::default()
    };
    let made = "http://127.0.0.1:81";
    for (check, handshake, expected) in [
        (log.clone(), Handshake::default(), "redis://127.0.0.1:4000"),
        (log.clone(), told(made, true), "redis://127.0.0.1:81"),
        (log, told(made, false), made),
        (Check::Connect { address: "unix:{socket}".into() }, told("unix:/s", true), "unix:/s"),
        // PROTOCOL 11 says what a port in a handshake means.
        (Check::Handshake, told(made, true), made),
    ] {
        let mut kind = checked(check);
        kind.command = vec!["server".into(), "--port={port}".into()];
        kind.scheme = Some("redis".into());
        let (mut world, _) = asked_for(kind);
        world.takes(&Step::Spawned(name("w")));
        let key = RunKey { name: name("w"), run: 1 };
        world.feed(Input::Ready { key, handshake, ports: Vec::new() }).expect("ready");
        assert_eq!(view(&world).endpoint.as_deref(), Some(expected));
    }
}

#[test]
fn only_a_notify_check_is_satisfied_by_a_notification() {
    let (mut world, _) = asked_for(kind());
    world.takes(&Step::Spawned(name("w")));
    world.takes(&Step::Notified(name("w"), Note { ready: true, ..Note::default() }));
    assert_eq!(view(&world).state, State::Starting);
}

#[test]
fn a_delay_is_a_deadline() {
    let (mut world, _) = asked_for(checked(Check::Delay { for_ms: 50 }));
    world.takes(&Step::Spawned(name("w")));
    assert_eq!(world.wake, Some(50));
    world.takes(&Step::Due);
    assert_eq!(view(&world).state, State::Ready);
}

#[test]
fn the_status_of_a_starting_run_is_its_reason_but_not_an_event_each_time() {
    let (mut world, id) = asked_for(kind());
    world.takes(&Step::Spawned(name("w")));
    let events = world.history.len();
    for status in ["a", "b", "c", "loading"] {
        let key = RunKey { name: name("w"), run: 1 };
        world.feed(Input::Told { key, status: status.into() }).expect("told");
    }
    assert_eq!(world.history.len(), events + 1);
    assert_eq!(view(&world).reason.as_deref(), Some("a"), "the others are held back, from all alike");
    world.takes(&Step::Due);
    assert_eq!((world.now, world.history.len()), (100, events + 2));
    assert_eq!(view(&world).reason.as_deref(), Some("loading"));
    world.takes(&Step::Due);
    assert_eq!(view(&world).reason.as_deref(), Some("was not ready after 0.3 s (loading)"));
    world.takes(&Step::Exited(name("w"), killed()));
    world.takes(&Step::Swept(name("w")));
    assert_eq!(code(world.answer(CLI, id)), Some(ErrorCode::ServerStartTimeout));
    let reason = "was not ready after 0.3 s (loading): see gobctl logs w";
    assert_eq!((view(&world).state, view(&world).reason.as_deref()), (State::Failed, Some(reason)));
}

#[test]
fn a_run_that_is_never_ready_leaves_its_last_lines() {
    let (mut world, id) = asked_for(kind());
    world.takes(&Step::Spawned(name("w")));
    let key = RunKey { name: name("w"), run: 1 };
    let error = HandshakeError::Refused("no disk".into());
    world.feed(Input::NeverReady { key, error, last_lines: vec!["E: full".into()] }).expect("never ready");
    let answer = world.answer(CLI, id).expect("an answer").clone().expect_err("a failure");
    assert_eq!(answer.details.expect("details")["last_lines"][0], "E: full");
}

fn lose_port(world: &mut World) {
    world.takes(&Step::Spawned(name("w")));
    world.takes(&Step::Exited(name("w"), gob_protocol::Exit::Code { code: 1 }));
    world.takes(&Step::PortTaken(name("w")));
}

#[test]
fn a_lost_port_counts_as_no_failure_three_times() {
    let (mut world, id) =
        asked_for(checked(Check::Http { path: "/".into(), status: 200, port: HttpPort::Given }));
    for run in 2..=4 {
        lose_port(&mut world);
        assert_eq!((view(&world).state, view(&world).run), (State::Starting, run));
        assert!(world.answer(CLI, id).is_none(), "who waits goes on waiting");
    }
    let words: Vec<String> =
        world.history.iter().filter_map(|event| event.worker.as_ref()?.reason.clone()).collect();
    assert!(words.contains(&"port 4000 was taken; another one is tried".into()), "{words:?}");
    lose_port(&mut world);
    assert_eq!(view(&world).state, State::Backoff);
    assert_eq!(code(world.answer(CLI, id)), Some(ErrorCode::ServerStartFailed));
}

#[test]
fn nothing_is_tried_again_after_a_stop_or_once_it_was_ready() {
    for ready in [true, false] {
        let (mut world, _) =
            asked_for(checked(Check::Http { path: "/".into(), status: 200, port: HttpPort::Given }));
        world.takes(&Step::Spawned(name("w")));
        if ready {
            world.takes(&Step::Ready(name("w")));
        } else {
            world.takes(&Step::Ask(CLI, stop("w")));
        }
        world.takes(&Step::Exited(name("w"), killed()));
        world.takes(&Step::PortTaken(name("w")));
        assert_eq!(view(&world).state, if ready { State::Backoff } else { State::Idle });
    }
}

#[test]
fn a_start_is_probed_with_growing_pauses_until_it_answers() {
    let check = Check::Http { path: "/".into(), status: 200, port: HttpPort::Given };
    let (mut world, _) = asked_for(checked(check));
    world.takes(&Step::Spawned(name("w")));
    let mut pauses = Vec::new();
    for _ in 0..4 {
        let before = world.now;
        world.takes(&Step::Probed(name("w"), false));
        world.takes(&Step::Due);
        pauses.push(world.now - before);
    }
    assert_eq!(pauses, [10, 20, 40, 80]);
    assert_eq!((view(&world).state, view(&world).reason.as_deref()), (State::Starting, Some("no answer")));
    world.takes(&Step::Probed(name("w"), true));
    assert_eq!((view(&world).state, view(&world).reason), (State::Ready, None));
}
