//! Who may do what to whose worker (PROTOCOL 5).

use super::steps::Step;
use super::words::{
    CLI, DESKTOP, NOBODY, OWNERS, by_name, code, hand_over, name, outcome, restart, start, start_leased,
    started_by, stop, stop_force, view, world,
};
use crate::worker::Phase;
use gob_protocol::request::Signal;
use gob_protocol::{Actor, Data, ErrorCode, EventKind, Outcome, Request};
use std::vec;
use std::vec::Vec;

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
                hand_over("w", "agent"),
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
        vec![stop("w"), stop_force("w"), restart("w"), signal, hand_over("w", "agent"), start_leased("w")]
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
fn hints_can_be_pasted_into_a_shell() {
    let mut world = world();
    world.takes(&Step::Ask(CLI, start("my $notes")));
    let id = world.asks(DESKTOP, stop("my $notes"));
    let Some(Err(error)) = world.answer(DESKTOP, id) else { panic!("not refused") };
    let hint = error.hint.as_deref().expect("a hint");
    assert!(hint.ends_with(": gobctl hand-over 'my $notes' desktop --owner cli"), "{hint}");
}
