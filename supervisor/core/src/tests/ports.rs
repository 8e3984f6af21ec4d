//! Where workers listen: when it is looked, who is told, and what requests share.

use super::harness::World;
use super::steps::Step;
use super::words::{CLI, DESKTOP, NOBODY, name, start, started_by, stop, view, world};
use crate::target::Miss;
use crate::{Effect, Input, Listener, Now, PortsSeen, RunKey, Transport};
use core::net::{IpAddr, Ipv4Addr};
use gob_protocol::answer::WorkerPort;
use gob_protocol::request::Ports;
use gob_protocol::{Data, ErrorCode, EventKind, Request, State, Timestamp};
use std::boxed::Box;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

fn at(port: u16, pid: i32) -> Listener {
    Listener { port, protocol: Transport::Tcp, address: IpAddr::V4(Ipv4Addr::LOCALHOST), pid }
}

fn key(text: &str, run: u64) -> RunKey {
    RunKey { name: name(text), run }
}

fn ports(of: Option<&str>) -> Request {
    Request::Ports(Ports { name: of.map(name) })
}

fn seen(ticket: u64, due: &[RunKey], found: Vec<(RunKey, Vec<Listener>)>) -> Input {
    let found = Ok(found.into_iter().collect());
    Input::Ports(Box::new(PortsSeen { ticket, due: due.to_vec(), found }))
}

/// Feeds the core itself, whose effects are wanted.
fn apply(world: &mut World, input: Input) -> Vec<Effect> {
    let now = Now { mono_ms: world.now, wall: Timestamp(0) };
    world.core.apply(input, now)
}

fn pauses(effects: &[Effect]) -> Vec<u64> {
    let pause = |effect: &Effect| match effect {
        Effect::LookForPorts { after_ms, .. } => Some(*after_ms),
        _other => None,
    };
    effects.iter().filter_map(pause).collect()
}

fn ticket(effects: &[Effect]) -> Option<u64> {
    effects.iter().find_map(|effect| match effect {
        Effect::FindPorts { ticket, .. } => Some(*ticket),
        _other => None,
    })
}

fn ask(world: &mut World, conn: crate::ConnId, of: Option<&str>) -> Vec<Effect> {
    apply(world, Input::Request { conn, id: Some(gob_protocol::Id::Number(77)), request: ports(of) })
}

/// The ports in each answer, or its code.
fn answers(effects: &[Effect]) -> Vec<(crate::ConnId, Result<Vec<WorkerPort>, ErrorCode>)> {
    let answer = |effect: &Effect| match effect {
        Effect::Reply { conn, result: Ok(Data::Ports(data)), .. } => Some((*conn, Ok(data.ports.clone()))),
        Effect::Reply { conn, result: Err(error), .. } => Some((*conn, Err(error.code))),
        _other => None,
    };
    effects.iter().filter_map(answer).collect()
}

#[test]
fn a_run_is_looked_at_at_growing_intervals_and_then_never_again() {
    let mut world = world();
    world.takes(&Step::Ask(CLI, start("w")));
    let spawn = Input::Spawned { key: key("w", 1), pid: 9, port: None, new: crate::New(false) };
    assert_eq!(pauses(&apply(&mut world, spawn)), [250]);
    let mut next = || pauses(&apply(&mut world, seen(0, &[key("w", 1)], Vec::new())));
    assert_eq!([next(), next(), next()], [[750], [3_000], [11_000]]);
    assert!(next().is_empty() && next().is_empty());
    // And anew from its readiness on.
    let handshake = gob_protocol::handshake::Handshake::default();
    let ready = Input::Ready { key: key("w", 1), handshake, ports: Vec::new() };
    assert_eq!(pauses(&apply(&mut world, ready)), [250]);
    let mut looks = 0;
    while !pauses(&apply(&mut world, seen(0, &[key("w", 1)], Vec::new()))).is_empty() {
        looks += 1;
        assert!(looks < 9, "it is looked at for ever");
    }
    assert_eq!(looks, 3);
}

#[test]
fn a_change_is_told_once_and_a_run_on_its_way_down_has_no_ports() {
    let mut world = started_by(CLI);
    let pid = view(&world).pid.unwrap();
    let before = world.history.len();
    let look = |found: Vec<Listener>| seen(0, &[], vec![(key("w", 1), found)]);
    world.feed(look(vec![at(80, pid)])).unwrap();
    world.feed(look(vec![at(80, pid)])).unwrap();
    let told: Vec<_> = world.history[before..].iter().map(|event| event.event).collect();
    assert_eq!(told, [EventKind::WorkerUpdated]);
    assert_eq!(view(&world).ports.iter().map(|port| (port.port, port.pid)).collect::<Vec<_>>(), [(80, pid)]);
    world.feed(look(Vec::new())).unwrap();
    assert!(view(&world).ports.is_empty());
    assert_eq!(world.history.len(), before + 2);
    world.feed(look(vec![at(81, pid)])).unwrap();
    world.takes(&Step::Ask(CLI, stop("w")));
    assert_eq!(view(&world).state, State::Stopping);
    assert!(view(&world).ports.is_empty());
    let before = world.history.len();
    world.feed(look(vec![at(82, pid)])).unwrap();
    assert_eq!((view(&world).ports.len(), world.history.len()), (0, before));
}

#[test]
fn requests_share_a_look_that_begins_after_them() {
    let mut world = started_by(CLI);
    let first = ticket(&ask(&mut world, CLI, Some("w"))).unwrap();
    let second = ticket(&ask(&mut world, DESKTOP, None)).unwrap();
    let third = ticket(&ask(&mut world, NOBODY, Some("w"))).unwrap();
    assert!(first < second && second < third);
    let look = |ticket| seen(ticket, &[], vec![(key("w", 1), vec![at(9, 4), at(7, 4), at(7, 5)])]);
    let told = answers(&apply(&mut world, look(second)));
    let conns: Vec<_> = told.iter().map(|(conn, _)| *conn).collect();
    assert_eq!(conns, [CLI, DESKTOP], "the third came after that look began");
    for (_, answer) in told {
        let rows: Vec<_> = answer
            .unwrap()
            .into_iter()
            .map(|row| (row.name.to_string(), row.port, row.protocol, row.address, row.pid))
            .collect();
        let row = |port, pid| ("w".to_string(), port, "tcp".to_string(), "127.0.0.1".to_string(), pid);
        assert_eq!(rows, [row(7, 4), row(9, 4)], "sorted, and each socket once");
    }
    assert_eq!(answers(&apply(&mut world, look(third))).len(), 1);
    assert!(answers(&apply(&mut world, look(third))).is_empty());
}

#[test]
fn requests_about_nobody_are_answered_at_once() {
    let mut world = started_by(CLI);
    let told = answers(&ask(&mut world, CLI, Some("other")));
    assert_eq!(told, [(CLI, Err(ErrorCode::ServerNotFound))]);
    world.takes(&Step::Ask(CLI, stop("w")));
    for of in [Some("w"), None] {
        let effects = ask(&mut world, CLI, of);
        assert_eq!((ticket(&effects), answers(&effects)), (None, vec![(CLI, Ok(Vec::new()))]));
    }
}

#[test]
fn a_look_that_fails_refuses_requests_and_changes_nothing() {
    let mut world = started_by(CLI);
    let pid = view(&world).pid.unwrap();
    world.feed(seen(0, &[], vec![(key("w", 1), vec![at(80, pid)])])).unwrap();
    let ticket = ticket(&ask(&mut world, CLI, None)).unwrap();
    let failed = PortsSeen { ticket, due: vec![key("w", 1)], found: Err(Miss::TimedOut) };
    let effects = apply(&mut world, Input::Ports(Box::new(failed)));
    assert_eq!(answers(&effects), [(CLI, Err(ErrorCode::Internal))]);
    assert_eq!(pauses(&effects).len(), 1, "the next look comes nevertheless");
    assert_eq!(view(&world).ports.len(), 1);
}

#[test]
fn a_client_that_is_gone_and_a_run_that_is_over_are_passed_over() {
    let mut world = started_by(CLI);
    let ticket = ticket(&ask(&mut world, DESKTOP, None)).unwrap();
    world.core.apply(Input::Disconnected { conn: DESKTOP }, Now { mono_ms: world.now, wall: Timestamp(0) });
    let found = vec![(key("w", 7), vec![at(80, 1)]), (key("gone", 1), vec![at(80, 1)])];
    let effects = apply(&mut world, seen(ticket, &[key("w", 7), key("gone", 1)], found));
    assert!(effects.is_empty(), "{effects:?}");
}

#[test]
fn a_supervisor_that_goes_on_looks_again_for_those_who_wait() {
    let mut world = started_by(CLI);
    let ticket = ticket(&ask(&mut world, CLI, None)).unwrap();
    let again = world.core.resume();
    let finds: Vec<_> = again
        .iter()
        .filter_map(|effect| match effect {
            Effect::FindPorts { ticket, of } => Some((*ticket, of.clone())),
            _other => None,
        })
        .collect();
    assert_eq!(finds, [(ticket, vec![key("w", 1)])]);
    assert_eq!(pauses(&again).len(), 1);
}
