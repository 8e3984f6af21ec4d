//! The owner rule, request by request (PROTOCOL 5).

use super::harness::{LEASE_GRACE_MS, World, kind};
use super::steps::{Seen, Step};
use super::words::{
    CLI, DESKTOP, ELECTRON, NOBODY, OWNERS, by_name, code, hand_over, name, outcome, restart, start,
    start_leased, started_by, stop, stop_force, view, world,
};
use crate::ConnId;
use gob_protocol::request::Signal;
use gob_protocol::{Actor, Data, ErrorCode, EventKind, Outcome, Request, State};
use std::string::String;
use std::vec;
use std::vec::Vec;

/// May the requester manage what the owner owns, or lost? The rule again, as a table.
#[rustfmt::skip]
const MATRIX: [(ConnId, bool, [bool; 4]); 8] = [
    // starter, lost, requester cli    desktop electron unknown
    (CLI,      false,         [ true,  false,  false,   false]),
    (DESKTOP,  false,         [ false, true,   false,   false]),
    (ELECTRON, false,         [ false, false,  true,    false]),
    (NOBODY,   false,         [ true,  false,  false,   false]),
    (CLI,      true,          [ true,  false,  false,   false]),
    (DESKTOP,  true,          [ true,  true,   false,   false]),
    (ELECTRON, true,          [ true,  false,  true,    false]),
    (NOBODY,   true,          [ true,  false,  false,   false]),
];

/// A ready worker of this client's owner, or one that it has lost with its last lease.
fn owned_or_lost(starter: ConnId, lost: bool) -> World {
    if !lost {
        return started_by(starter);
    }
    let mut world = world();
    world.takes(&Step::Ask(starter, start_leased("w")));
    world.settles();
    world.takes(&Step::Ask(starter, Request::Release(by_name("w"))));
    world.takes(&Step::Pass(LEASE_GRACE_MS));
    if world.wake.is_some() {
        world.takes(&Step::Due);
    }
    assert_eq!(view(&world).owner.as_str(), "unknown");
    world
}

#[test]
fn every_verb_applies_the_owner_rule() {
    let signal = Request::Signal(Signal { name: name("w"), signal: "HUP".into() });
    let remove = Request::Remove(by_name("w"));
    for (owner, lost, row) in MATRIX {
        let owner_name =
            if lost { "unknown" } else { OWNERS.iter().find(|(conn, _)| *conn == owner).unwrap().1 };
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
                let mut world = owned_or_lost(owner, lost);
                if request == remove {
                    let by = OWNERS.iter().find(|(_, name)| row_allows(row, name)).unwrap().0;
                    world.takes(&Step::Ask(by, stop("w")));
                    world.settles();
                }
                let pid = view(&world).pid;
                assert_eq!(
                    owned(&mut world, requester),
                    may,
                    "{owner_name}'s, lost {lost}, {requester_name}"
                );
                let id = world.asks(requester, request.clone());
                let refused = code(world.answer(requester, id)) == Some(ErrorCode::ServerOwnedByOther);
                assert_eq!(
                    refused, !may,
                    "{request:?} of {owner_name}'s worker by {requester_name}, lost: {lost}"
                );
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

/// The `owned` that `get` answers to the requester.
fn owned(world: &mut World, requester: ConnId) -> bool {
    let id = world.asks(requester, Request::Get(by_name("w")));
    match world.answer(requester, id) {
        Some(Ok(Data::Worker(data))) => data.worker.owned,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_last_owner_takes_a_worker_back_by_start_restart_and_lease() {
    let requests =
        [start("w"), start_leased("w"), restart("w"), Request::Lease(by_name("w"))].into_iter().enumerate();
    for ((at, request), conn) in
        requests.flat_map(|request| [DESKTOP, ELECTRON].map(|conn| (request.clone(), conn)))
    {
        let mut world = owned_or_lost(DESKTOP, true);
        let pid = view(&world).pid;
        let id = world.asks(conn, request.clone());
        world.settles();
        let took = conn == DESKTOP;
        let expected = if took { "desktop" } else { "unknown" };
        assert_eq!(view(&world).owner.as_str(), expected, "{request:?}");
        let last = world.history.iter().rev().find(|event| event.event == EventKind::WorkerOwnerChanged);
        let by = match &last.unwrap().actor {
            Actor::Client { owner, .. } => owner.as_str().into(),
            Actor::Supervisor => String::new(),
        };
        assert_eq!(by, if took { "desktop" } else { "" });
        if at < 2 {
            let expected = if took { Outcome::TakenOver } else { Outcome::Reused };
            assert_eq!(outcome(world.answer(conn, id)), Some(expected));
        }
        if at != 2 {
            assert_eq!(view(&world).pid, pid, "it goes on as it is");
        }
    }
}

#[test]
fn a_takeover_ends_the_rights_of_the_last_owner() {
    let mut world = owned_or_lost(DESKTOP, true);
    world.takes(&Step::Ask(CLI, start("w")));
    let id = world.asks(DESKTOP, stop("w"));
    assert_eq!(code(world.answer(DESKTOP, id)), Some(ErrorCode::ServerOwnedByOther));
    world.takes(&Step::Ask(CLI, hand_over("w", "unknown")));
    assert!(owned(&mut world, CLI) && !owned(&mut world, DESKTOP), "cli had it last");
}

#[test]
fn a_refusal_names_the_owners_client_and_the_users() {
    let hint_for = |world: &mut World, conn| {
        let id = world.asks(conn, stop("w"));
        match world.answer(conn, id) {
            Some(Err(error)) => error.hint.clone().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let mut world = started_by(CLI);
    assert_eq!(hint_for(&mut world, DESKTOP), "ask its owner (pid 101) to stop it or to hand it over");
    for _ in 0..2 {
        world.takes(&Step::Ask(ELECTRON, Request::Lease(by_name("w"))));
    }
    let used = "; it is used by electron (pid 103)";
    assert!(hint_for(&mut world, DESKTOP).ends_with(used), "{}", hint_for(&mut world, DESKTOP));
    let mut world = owned_or_lost(DESKTOP, true);
    let lost = "nobody owns it now; desktop, which had it last, may take it back, or cli may take it over";
    assert_eq!(hint_for(&mut world, ELECTRON), lost);
    // The hint names the client that took it over, not the one that started it.
    world.takes(&Step::Ask(CLI, start("w")));
    assert_eq!(hint_for(&mut world, DESKTOP), "ask its owner (pid 101) to stop it or to hand it over");
    // Handed over to somebody of whom no client is known.
    world.takes(&Step::Ask(CLI, hand_over("w", "agent")));
    assert_eq!(hint_for(&mut world, CLI), "ask its owner to stop it or to hand it over");
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
fn cli_takes_over_a_worker_without_an_owner() {
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
fn cleanup_removes_only_the_requesters_workers_at_rest() {
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

/// A worker whose graph a process of this owner holds without gob.
fn held_by(holder: &'static str) -> World {
    let mut kind = kind();
    kind.foreign.lock_file = Some("{data_dir}/lock".into());
    let mut world = World::new(kind);
    world.takes(&Step::Join(CLI, "cli"));
    world.takes(&Step::Ask(CLI, start("w")));
    world.takes(&Step::Examined(name("w"), Seen::Held(holder)));
    world
}

#[test]
fn a_holder_without_gob_is_never_signalled() {
    let requests = || {
        let signal = Request::Signal(Signal { name: name("w"), signal: "KILL".into() });
        vec![stop("w"), stop_force("w"), restart("w"), signal, hand_over("w", "agent"), start_leased("w")]
    };
    for (holder, may) in [("cli", true), ("desktop", false)] {
        for request in requests() {
            let mut world = held_by(holder);
            let id = world.asks(CLI, request.clone());
            let answer = code(world.answer(CLI, id));
            let expected = match &request {
                Request::Start(_) => None,
                _managed if may => Some(ErrorCode::ServerLockedByExternal),
                _managed => Some(ErrorCode::ServerOwnedByOther),
            };
            assert_eq!(answer, expected, "{request:?} of what {holder} holds");
            assert!(world.state("w") == State::External);
        }
    }
}
