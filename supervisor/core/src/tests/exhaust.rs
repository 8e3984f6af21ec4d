//! Every sequence of inputs up to a depth: the inputs of each search, and where it begins.

mod search;

use super::harness::{World, kind, watched_kind};
use super::remembered::killed as killed_world;
use super::steps::{Seen, Step};
use super::words::{
    by_name, hand_over, killed, name, restart, start, start_leased, stop, stop_force, stop_within, view,
};
use crate::{ConnId, Note};
use gob_config::kind::{Check, HttpPort, Kind, Liveness, Orphans};
use gob_protocol::request::Force;
use gob_protocol::{Exit, Request};
use search::{exhaust, exhaust_from};
use std::vec;
use std::vec::Vec;

const CLI: ConnId = ConnId(1);
const DESKTOP: ConnId = ConnId(2);
const NOBODY: ConnId = ConnId(3);

/// A kind whose graphs programs without gob can hold.
fn lockable() -> Kind {
    let mut kind = kind();
    kind.foreign.lock_file = Some("{data_dir}/lock".into());
    kind
}

/// The steps of the shell and the clock about the one worker.
fn world_steps() -> Vec<Step> {
    let w = || name("w");
    vec![
        Step::Spawned(w()),
        Step::SpawnFailed(w()),
        Step::CalledOff(w()),
        Step::Ready(w()),
        Step::Refused(w()),
        Step::Exited(w(), Exit::Code { code: 0 }),
        Step::Exited(w(), killed()),
        Step::Swept(w()),
        Step::Due,
    ]
}

#[test]
fn one_owner() {
    let w = || name("w");
    let mut alphabet = world_steps();
    alphabet.extend([
        Step::Ask(CLI, start("w")),
        Step::Ask(CLI, stop("w")),
        Step::Ask(CLI, stop_force("w")),
        Step::Ask(CLI, stop_within("w", 9_000)),
        Step::Ask(CLI, restart("w")),
        Step::Ask(CLI, Request::Remove(by_name("w"))),
        Step::Surviving(w()),
        Step::Late(2_500),
        Step::Leave(CLI),
        Step::Join(CLI, "cli"),
    ]);
    exhaust("one owner", kind(), &[Step::Join(CLI, "cli")], &alphabet, 9);
}

#[test]
fn every_way_to_stop() {
    let w = || name("w");
    let mut kind = kind();
    kind.readiness.check = Check::Http { path: "/".into(), status: 200, port: HttpPort::Given };
    kind.stop.http = Some("POST /stop".into());
    kind.stop.then = Some("SIGINT".into());
    let mut alphabet = world_steps();
    alphabet.extend([
        Step::Ask(CLI, start("w")),
        Step::Ask(CLI, stop("w")),
        Step::Ask(CLI, stop_within("w", 20)),
        Step::Ask(CLI, restart("w")),
        Step::StopAnswered(w(), true),
        Step::StopAnswered(w(), false),
        Step::PortTaken(w()),
        Step::Late(2_500),
    ]);
    exhaust("every way to stop", kind, &[Step::Join(CLI, "cli")], &alphabet, 9);
}

#[test]
fn well_or_not() {
    let w = || name("w");
    let mut kind = watched_kind();
    kind.idle_stop_ms = Some(1_000);
    let watch = |restart| Liveness { restart, failures: 2, ..kind.liveness.clone().unwrap() };
    let notes = [
        Note { alive: true, ..Note::default() },
        Note { failed: true, ..Note::default() },
        Note { stopping: true, ..Note::default() },
        Note { watchdog_ms: Some(100), extend_ms: Some(900), ..Note::default() },
    ];
    let mut alphabet = world_steps();
    alphabet.extend([
        Step::Ask(CLI, start("w")),
        Step::Ask(CLI, stop("w")),
        Step::Ask(CLI, restart("w")),
        Step::Ask(CLI, Request::Lease(by_name("w"))),
        Step::Ask(CLI, Request::Release(by_name("w"))),
        Step::Probed(w(), false),
        Step::Probed(w(), true),
        Step::Late(2_500),
    ]);
    let looked_at = Kind { liveness: Some(watch(true)), ..kind.clone() };
    exhaust("well or not", looked_at, &[Step::Join(CLI, "cli")], &alphabet, 8);
    alphabet.extend(notes.map(|note| Step::Notified(w(), note)));
    let heard = Liveness { check: Check::Notify, ..watch(false) };
    exhaust(
        "heard of or not",
        Kind { liveness: Some(heard), ..kind },
        &[Step::Join(CLI, "cli")],
        &alphabet,
        7,
    );
}

#[test]
fn held_without_gob() {
    let w = || name("w");
    let seen = [Seen::Nobody, Seen::Held("cli"), Seen::Orphans, Seen::Unclear];
    let mut alphabet = world_steps();
    alphabet.extend(seen.map(|seen| Step::Examined(w(), seen)));
    alphabet.extend([
        Step::Ask(CLI, start("w")),
        Step::Ask(CLI, stop("w")),
        Step::Ask(CLI, restart("w")),
        Step::Ask(DESKTOP, start("w")),
        Step::Ask(DESKTOP, restart("w")),
        Step::Ask(CLI, Request::Shutdown(Force { force: false })),
        Step::HolderGone(w()),
        Step::OrphanEnded(w()),
        Step::StopAnswered(w(), true),
        Step::StopAnswered(w(), false),
        Step::Held(w()),
        Step::Busy(w()),
        Step::Gone(w()),
        Step::WasLast(w(), "graph", "/data"),
        Step::Leftover(w(), true),
        Step::Leftover(w(), false),
        Step::Leave(DESKTOP),
    ]);
    let prologue = [Step::Join(CLI, "cli"), Step::Join(DESKTOP, "desktop")];
    for orphans in [Orphans::Report, Orphans::End] {
        let mut kind = kind();
        kind.stop.http = Some("POST /stop".into());
        kind.foreign.lock_file = Some("{data_dir}/lock".into());
        kind.foreign.orphans = Some(orphans);
        exhaust("held without gob", kind, &prologue, &alphabet, 7);
    }
}

#[test]
fn three_owners() {
    let mut alphabet = world_steps();
    for conn in [CLI, DESKTOP, NOBODY] {
        let requests = [start("w"), stop("w"), restart("w")];
        alphabet.extend(requests.map(|request| Step::Ask(conn, request)));
    }
    alphabet.extend([
        Step::Ask(DESKTOP, start_leased("w")),
        Step::Ask(DESKTOP, stop_force("w")),
        Step::Ask(DESKTOP, hand_over("w", "cli")),
        Step::Ask(CLI, hand_over("w", "desktop")),
        Step::Ask(DESKTOP, Request::Release(by_name("w"))),
        Step::Leave(DESKTOP),
        Step::Join(DESKTOP, "desktop"),
    ]);
    let prologue = [Step::Join(CLI, "cli"), Step::Join(DESKTOP, "desktop"), Step::Join(NOBODY, "unknown")];
    exhaust("three owners", kind(), &prologue, &alphabet, 6);
}

#[test]
fn a_worker_that_lost_its_owner() {
    let w = || name("w");
    let mut alphabet = world_steps();
    for conn in [CLI, DESKTOP, NOBODY] {
        let requests = [start("w"), stop("w"), restart("w"), Request::Lease(by_name("w"))];
        alphabet.extend(requests.map(|request| Step::Ask(conn, request)));
    }
    alphabet.extend([
        Step::Ask(DESKTOP, start_leased("w")),
        Step::Ask(DESKTOP, Request::Release(by_name("w"))),
        Step::Ask(DESKTOP, hand_over("w", "unknown")),
        Step::Ask(DESKTOP, Request::Cleanup),
        Step::Examined(w(), Seen::Nobody),
        Step::Examined(w(), Seen::Held("unknown")),
        Step::HolderGone(w()),
    ]);
    let prologue = [
        Step::Join(CLI, "cli"),
        Step::Join(DESKTOP, "desktop"),
        Step::Join(NOBODY, "unknown"),
        Step::Ask(DESKTOP, start_leased("w")),
        Step::Examined(w(), Seen::Nobody),
        Step::Spawned(w()),
        Step::Ready(w()),
        Step::Ask(DESKTOP, Request::Release(by_name("w"))),
        Step::Due,
    ];
    exhaust("an owner that lost it", lockable(), &prologue, &alphabet, 5);
}

#[test]
fn after_an_earlier_supervisor() {
    let w = || name("w");
    let mut alphabet = world_steps();
    for conn in [CLI, DESKTOP] {
        let requests = [start("w"), stop("w"), restart("w"), Request::Remove(by_name("w")), Request::Cleanup];
        alphabet.extend(requests.map(|request| Step::Ask(conn, request)));
    }
    alphabet.extend([
        Step::Ask(DESKTOP, Request::Lease(by_name("w"))),
        Step::Ask(CLI, Request::Shutdown(Force { force: false })),
        Step::Leftover(w(), true),
        Step::Leftover(w(), false),
    ]);
    let mut earlier = World::new(kind());
    let prologue = [Step::Join(DESKTOP, "desktop"), Step::Ask(DESKTOP, start("w"))];
    prologue.iter().for_each(|step| earlier.takes(step));
    exhaust_from("after an earlier supervisor", killed_world(view(&earlier)), &[], &alphabet, 5);
}

#[test]
fn the_last_steps_of_an_end() {
    let w = || name("w");
    let mut kind = kind();
    kind.command.push("--port={port}".into());
    let alphabet = [
        Step::Ask(CLI, start("w")),
        Step::Ask(CLI, stop("w")),
        Step::Ask(CLI, restart("w")),
        Step::Ask(CLI, Request::Remove(by_name("w"))),
        Step::Ask(CLI, Request::Shutdown(Force { force: false })),
        Step::Leave(CLI),
        Step::Spawned(w()),
        Step::Exited(w(), Exit::Code { code: 0 }),
        Step::Exited(w(), killed()),
        Step::Emptied(w()),
        Step::ReadOut(w(), false),
        Step::ReadOut(w(), true),
        Step::Freed(w()),
        Step::Due,
    ];
    exhaust(
        "the last steps of an end",
        kind,
        &[Step::Join(CLI, "cli"), Step::Ask(CLI, start("w"))],
        &alphabet,
        7,
    );
}

#[test]
fn two_workers_and_the_end() {
    let mut alphabet = Vec::new();
    for w in ["v", "w"] {
        alphabet.extend([
            Step::Ask(CLI, start(w)),
            Step::Ask(CLI, stop(w)),
            Step::Spawned(name(w)),
            Step::Exited(name(w), killed()),
            Step::Swept(name(w)),
        ]);
    }
    alphabet.extend([
        Step::Ask(CLI, Request::Shutdown(Force { force: false })),
        Step::Ask(DESKTOP, Request::Nuke(Force { force: true })),
        Step::Ask(DESKTOP, restart("w")),
        Step::Ask(DESKTOP, start("w")),
        Step::Ask(CLI, Request::Cleanup),
        Step::Leave(CLI),
        Step::Terminate,
        Step::Due,
    ]);
    let prologue = [Step::Join(CLI, "cli"), Step::Join(DESKTOP, "desktop")];
    exhaust("two workers and the end", kind(), &prologue, &alphabet, 7);
}
