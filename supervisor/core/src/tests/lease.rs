//! Leases and their policy (PROTOCOL 5, ARCHITECTURE), and time that jumps.

use super::harness::{LEASE_GRACE_MS, World, kind};
use super::steps::Step;
use super::words::{by_name, hand_over, name, restart, start, start_leased, stop};
use crate::run::Run;
use crate::{ConnId, Input, Now};
use gob_config::kind::{Kind, OnLastLease};
use gob_protocol::limits::LEASE_HOLDERS_SHOWN;
use gob_protocol::{Actor, EventKind, Request, State, Timestamp};
use std::string::String;
use std::vec::Vec;

const CLI: ConnId = ConnId(1);
const DESKTOP: ConnId = ConnId(2);
const AGENT: ConnId = ConnId(3);
const NOBODY: ConnId = ConnId(4);
const DESKTOP_TOO: ConnId = ConnId(5);

fn world() -> World {
    let mut world = World::new(kind());
    let clients =
        [(CLI, "cli"), (DESKTOP, "desktop"), (AGENT, "agent"), (NOBODY, "unknown"), (DESKTOP_TOO, "desktop")];
    for (conn, owner) in clients {
        world.takes(&Step::Join(conn, owner));
    }
    world
}

/// The desktop started it with a lease.
fn leased() -> World {
    let mut world = world();
    world.takes(&Step::Ask(DESKTOP, start_leased("w")));
    world.settles();
    world
}

fn owner(world: &World) -> String {
    world.core.workers[&name("w")].owner().as_str().into()
}

fn lease(conn: ConnId) -> Step {
    Step::Ask(conn, Request::Lease(by_name("w")))
}

fn release(conn: ConnId) -> Step {
    Step::Ask(conn, Request::Release(by_name("w")))
}

fn count(world: &World, kind: EventKind) -> usize {
    world.history.iter().filter(|event| event.event == kind).count()
}

#[test]
fn a_kinds_rule_about_the_last_lease_holds_for_every_start() {
    for policy in [OnLastLease::Keep, OnLastLease::Release, OnLastLease::Stop] {
        let mut world = World::new(Kind { on_last_lease: Some(policy), ..kind() });
        world.takes(&Step::Join(DESKTOP, "desktop"));
        world.takes(&Step::Ask(DESKTOP, start("w")));
        world.settles();
        assert_eq!(owner(&world), "desktop", "{policy:?}: who never had a lease has lost none");
        let (conn, begin) = (DESKTOP, world.now);
        let mut core = world.core;
        let at = |ms| Now { mono_ms: ms, wall: Timestamp(0) };
        for request in [Request::Lease(by_name("w")), Request::Release(by_name("w"))] {
            core.apply(Input::Request { conn, id: None, request }, at(begin));
        }
        core.apply(Input::Due, at(begin + LEASE_GRACE_MS));
        let worker = &core.workers[&name("w")];
        let found = (worker.owner().as_str(), worker.state() == State::Stopping);
        let want = match policy {
            OnLastLease::Keep => ("desktop", false),
            OnLastLease::Release => ("unknown", false),
            OnLastLease::Stop => ("desktop", true),
        };
        assert_eq!(found, want, "{policy:?}");
    }
}

#[test]
fn a_stop_for_the_lack_of_a_lease_says_so_and_another_one_does_not() {
    for stops_first in [false, true] {
        let mut world = World::new(Kind { on_last_lease: Some(OnLastLease::Stop), ..kind() });
        world.takes(&Step::Join(DESKTOP, "desktop"));
        world.takes(&Step::Ask(DESKTOP, start_leased("w")));
        world.settles();
        let (begin, mut core) = (world.now, world.core);
        let at = |ms| Now { mono_ms: ms, wall: Timestamp(0) };
        let own = [Some(Request::Release(by_name("w"))), stops_first.then(|| stop("w"))];
        for request in own.into_iter().flatten() {
            core.apply(Input::Request { conn: DESKTOP, id: None, request }, at(begin));
        }
        core.apply(Input::Due, at(begin + LEASE_GRACE_MS));
        let why = core.workers[&name("w")].live().and_then(Run::end).expect("an end").why.as_deref();
        assert_eq!(why, (!stops_first).then_some("stopped: the last lease of its owner has ended"));
    }
}

#[test]
fn the_last_lease_of_the_owner_costs_it_the_worker_after_the_grace() {
    for gone in [release(DESKTOP), Step::Leave(DESKTOP)] {
        let mut world = leased();
        world.takes(&lease(AGENT));
        let begin = world.now;
        world.takes(&gone);
        assert_eq!(owner(&world), "desktop", "not at once");
        world.takes(&Step::Due);
        assert_eq!((world.now - begin, owner(&world)), (LEASE_GRACE_MS, "unknown".into()));
        let last = world.history.last().unwrap();
        assert_eq!((last.event, &last.actor), (EventKind::WorkerOwnerChanged, &Actor::Supervisor));
        assert!(world.state("w") == State::Ready, "the worker goes on");
    }
}

#[test]
fn a_lease_within_the_grace_keeps_it() {
    for by in [DESKTOP, DESKTOP_TOO] {
        let mut world = leased();
        world.takes(&release(DESKTOP));
        world.takes(&Step::Pass(LEASE_GRACE_MS - 1));
        world.takes(&lease(by));
        assert!(world.wake.is_none());
    }
    let mut world = leased();
    world.takes(&release(DESKTOP));
    world.takes(&lease(AGENT));
    world.takes(&Step::Due);
    assert_eq!(owner(&world), "unknown", "somebody else's does not");
}

#[test]
fn another_lease_of_the_owner_keeps_it() {
    let mut world = leased();
    world.takes(&lease(DESKTOP_TOO));
    world.takes(&Step::Leave(DESKTOP));
    assert!(world.wake.is_none());
    world.takes(&Step::Leave(DESKTOP_TOO));
    assert!(world.wake.is_some());
}

#[test]
fn without_a_lease_at_its_start_the_owner_stays() {
    let mut world = world();
    world.takes(&Step::Ask(DESKTOP, start("w")));
    world.settles();
    world.takes(&lease(DESKTOP));
    world.takes(&Step::Leave(DESKTOP));
    assert!(world.wake.is_none());
}

#[test]
fn a_new_start_begins_anew() {
    // The desktop's lease is gone and so is its run; what cli starts is cli's, whatever becomes of the old grace.
    let mut world = leased();
    world.takes(&Step::Ask(DESKTOP, stop("w")));
    world.settles();
    world.takes(&release(DESKTOP));
    world.takes(&Step::Ask(CLI, start("w")));
    world.settles();
    assert_eq!((owner(&world).as_str(), world.wake), ("cli", None));
    world.takes(&lease(CLI));
    world.takes(&release(CLI));
    assert!(world.wake.is_none(), "nor does it inherit that leases count");
}

#[test]
fn a_restart_leaves_the_policy() {
    let mut world = leased();
    world.takes(&Step::Ask(DESKTOP, restart("w")));
    world.settles();
    world.takes(&release(DESKTOP));
    assert!(world.wake.is_some());
}

#[test]
fn an_owner_without_a_lease_loses_none() {
    let mut world = leased();
    world.takes(&Step::Ask(DESKTOP, hand_over("w", "agent")));
    assert_eq!((owner(&world).as_str(), world.wake), ("agent", None), "handed over");
    let mut world = leased();
    world.takes(&release(DESKTOP));
    world.takes(&Step::Due);
    world.takes(&Step::Ask(CLI, start("w")));
    assert_eq!((owner(&world).as_str(), world.wake), ("cli", None), "taken over");
}

#[test]
fn a_start_that_waits_brings_its_lease_along() {
    let mut world = leased();
    world.takes(&Step::Ask(DESKTOP, stop("w")));
    world.takes(&Step::Ask(AGENT, start_leased("w")));
    world.takes(&Step::Leave(AGENT));
    world.settles();
    assert_eq!(owner(&world), "agent");
    world.takes(&Step::Due);
    assert_eq!(owner(&world), "unknown", "it was gone before its run began");
}

#[test]
fn a_lease_is_one_for_each_connection_and_worker() {
    let mut world = leased();
    for _ in 0..3 {
        world.takes(&lease(DESKTOP));
        world.takes(&lease(NOBODY));
    }
    assert_eq!(world.core.workers[&name("w")].leases().len(), 2);
    assert_eq!(count(&world, EventKind::LeaseGranted), 2);
    for _ in 0..2 {
        world.takes(&release(NOBODY));
    }
    assert_eq!(count(&world, EventKind::LeaseReleased), 1);
}

#[test]
fn a_view_names_the_holders_and_counts_the_rest() {
    let mut world = leased();
    for number in 0..1_000 {
        let conn = ConnId(100 + number);
        world.takes(&Step::Join(conn, "agent"));
        world.takes(&lease(conn));
    }
    let view = world.core.views().remove(0);
    let owners: Vec<&str> = view.lease_holders.iter().map(|holder| holder.owner.as_str()).collect();
    assert_eq!((view.leases, owners.len()), (1_001, LEASE_HOLDERS_SHOWN));
    assert_eq!(&owners[..2], ["desktop", "agent"]);
}

#[test]
fn a_supervisor_that_slept_skips_a_round_of_deadlines() {
    let starting = || {
        let mut world = world();
        world.takes(&Step::Ask(CLI, start("w")));
        world.takes(&Step::Spawned(name("w")));
        world.takes(&Step::Pass(250));
        world
    };
    // A little late is late.
    let mut world = starting();
    world.takes(&Step::Late(2_000));
    assert!(world.state("w") == State::Stopping);
    // Later than that, it slept, and so may have the worker: what was left of its time is left of it still.
    let mut world = starting();
    world.takes(&Step::Late(2_001));
    assert!(world.state("w") == State::Starting);
    assert_eq!(world.wake, Some(world.now + 300), "nothing was heard of since the spawn");
    world.takes(&Step::Due);
    assert!(world.state("w") == State::Stopping, "one round only");
    // The answer that lay unread comes first, whatever the input that ends the sleep.
    let mut world = starting();
    world.now += 60_000;
    world.takes(&Step::Ready(name("w")));
    assert!(world.state("w") == State::Ready);
    assert!(world.wake.is_none());
}

#[test]
fn the_clock_on_the_wall_moves_no_deadline() {
    let mut world = leased();
    world.takes(&release(DESKTOP));
    let wake = world.wake;
    world.takes(&Step::Skew(-86_400_000));
    world.takes(&lease(AGENT));
    assert_eq!(world.wake, wake);
}

#[test]
fn a_connection_holds_something_while_it_has_a_lease_or_subscribes() {
    let mut world = leased();
    assert!(world.core.holds(DESKTOP) && !world.core.holds(AGENT));
    world.takes(&lease(AGENT));
    assert!(world.core.holds(AGENT));
    for conn in [AGENT, DESKTOP] {
        world.takes(&release(conn));
        assert!(!world.core.holds(conn), "it has used the worker, and has nothing of it");
    }
    world.takes(&Step::Ask(CLI, Request::Subscribe(Default::default())));
    assert!(world.core.holds(CLI));
}
