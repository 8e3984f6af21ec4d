//! Every sequence of inputs up to a depth.
//!
//! Sequences that lead to the same state go on together, so each state is entered once for each depth at most, and the
//! number of sequences is counted along the edges. A state is everything that decides about the future; times count
//! from now, and runs and requests have no numbers in it.

use super::fingerprint::fingerprint;
use super::harness::{World, kind, watched_kind};
use super::remembered::killed as killed_world;
use super::spec::{Stand, stand};
use super::steps::{Seen, Step, stale_inputs};
use super::words::{
    by_name, hand_over, killed, name, restart, start, start_leased, stop, stop_force, stop_within, view,
};
use crate::{ConnId, Input, Lost, Note};
use gob_config::kind::{Check, HttpPort, Kind, Liveness, Orphans};
use gob_protocol::request::Force;
use gob_protocol::{Exit, Request};
use std::collections::HashMap;
use std::string::String;
use std::time::Instant;
use std::vec::Vec;
use std::{format, println, vec};

const CLI: ConnId = ConnId(1);
const DESKTOP: ConnId = ConnId(2);
const NOBODY: ConnId = ConnId(3);

/// One state in so many is driven to its rest, each way.
const SETTLE_EVERY: usize = 7;

/// How a state was first come by.
struct Node {
    from: Option<(usize, Step)>,
    /// The states that follow, once for each step that leads there; `None` at the edge.
    next: Option<Vec<usize>>,
}

struct Search<'a> {
    alphabet: &'a [Step],
    nodes: Vec<Node>,
    seen: HashMap<u64, usize>,
}

impl Search<'_> {
    fn path(&self, mut at: usize) -> String {
        let mut steps = Vec::new();
        while let Some((from, step)) = &self.nodes[at].from {
            steps.push(format!("    {step:?}"));
            at = *from;
        }
        steps.reverse();
        steps.join("\n")
    }

    /// Takes every step from this state and gives the worlds that are new.
    fn expand(&mut self, at: usize, world: &World, keep: bool) -> Vec<(usize, World)> {
        let mut fresh = Vec::new();
        let mut next = Vec::new();
        for step in self.alphabet {
            if !is_sensible(world, step) {
                continue;
            }
            let mut after = world.clone();
            match after.step(step) {
                Ok(true) => {}
                Ok(false) => continue,
                Err(why) => panic!("{why}\nafter\n{}\n    {step:?}", self.path(at)),
            }
            let print = fingerprint(&after);
            let node = *self.seen.entry(print).or_insert(self.nodes.len());
            next.push(node);
            if node == self.nodes.len() {
                self.nodes.push(Node { from: Some((at, step.clone())), next: None });
                self.examine(node, &after, print);
                if keep {
                    fresh.push((node, after));
                }
            }
        }
        self.nodes[at].next = Some(next);
        fresh
    }

    /// Checks every state for more than each step does: stale inputs change nothing.
    fn examine(&self, node: usize, world: &World, print: u64) {
        let lost = [Input::SocketsLost(Lost::Any)];
        for input in world.core.workers.values().flat_map(stale_inputs).chain(lost) {
            let mut after = world.clone();
            let told = format!("{input:?}");
            let outcome = after.feed(input).map(|()| fingerprint(&after) == print);
            assert_eq!(outcome, Ok(true), "{told} changes something after\n{}", self.path(node));
        }
        if node.is_multiple_of(SETTLE_EVERY) {
            for obey in [true, false] {
                let outcome = world.clone().settle(obey);
                assert_eq!(outcome, Ok(()), "when all obey ({obey}) after\n{}", self.path(node));
            }
        }
    }

    /// How many sequences of exactly this length there are.
    fn sequences(&self, depth: usize) -> u128 {
        let mut ways = vec![0u128; self.nodes.len()];
        ways[0] = 1;
        for _ in 0..depth {
            let mut after = vec![0u128; self.nodes.len()];
            for (node, ways) in self.nodes.iter().zip(&ways).filter(|(_, ways)| **ways > 0) {
                for next in node.next.iter().flatten() {
                    after[*next] += ways;
                }
            }
            ways = after;
        }
        ways.iter().sum()
    }
}

/// A kind whose graphs programs without gob can hold.
fn lockable() -> Kind {
    let mut kind = kind();
    kind.foreign.lock_file = Some("{data_dir}/lock".into());
    kind
}

/// Tells whether a truthful shell could report this now. The random histories also have late reports.
fn is_sensible(world: &World, step: &Step) -> bool {
    let Step::HolderGone(name) = step else { return true };
    world.core.workers.get(name).is_some_and(|worker| stand(worker) == Stand::External)
}

fn exhaust(what: &str, kind: Kind, prologue: &[Step], alphabet: &[Step], depth: usize) {
    exhaust_from(what, World::new(kind), prologue, alphabet, depth);
}

fn exhaust_from(what: &str, mut world: World, prologue: &[Step], alphabet: &[Step], depth: usize) {
    let begin = Instant::now();
    for step in prologue {
        world.takes(step);
    }
    let mut search = Search { alphabet, nodes: vec![Node { from: None, next: None }], seen: HashMap::new() };
    search.seen.insert(fingerprint(&world), 0);
    let mut edge = vec![(0, world)];
    for level in 1..=depth {
        let mut fresh = Vec::new();
        for (node, world) in edge {
            fresh.extend(search.expand(node, &world, level < depth));
        }
        edge = fresh;
    }
    let (states, took) = (search.nodes.len(), begin.elapsed().as_secs_f64());
    let sequences = search.sequences(depth);
    println!("{what}: {sequences} sequences of {depth} inputs, {states} states, {took:.1} s");
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
