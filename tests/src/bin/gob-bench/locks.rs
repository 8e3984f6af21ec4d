//! Locks taken and given back, next to pings: by one client of the library, and by 64 connections at once. And the time in which the
//! lock of a killed holder is the next one's.

use crate::table::{Table, Target, medians};
use gob_client::blocking::{Client, Connector};
use gob_client::{Dirs, Owner, call};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Gob, process};
use nix::sys::signal::Signal;
use serde_json::json;
use std::thread;
use std::time::Instant;

/// The number of rounds of a sample.
pub struct Sizes {
    /// By one client.
    pub rounds: usize,
    /// By each of 64.
    pub each: usize,
    /// Holders that are killed.
    pub killed: usize,
}

const CONNECTIONS: usize = 64;

/// The promise about the lock of a holder that is killed.
const HANDED_ON_MS: f64 = 100.0;

/// Processes of a holder: gobctl, its guard, and the command.
const PROCESSES: usize = 3;

/// Measures both, each against two pings over the same connections.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let gob = Gob::new();
    let mut one = connect(&gob);
    let mut other = connect(&gob);
    let locks = || per_round(sizes.rounds, || round(&mut one, "bench"));
    let pings = || per_round(sizes.rounds, || two_pings(&mut other));
    let (locked, pinged) = medians(7, locks, pings);
    table.alone("a lock taken and given back, by the library", "ms", locked, 1.0);
    let limit = Target::RatioAtMost(3.0);
    table.against("the same, next to pings", "ms", (locked, pinged), "two pings", limit);
    let measured = medians(
        7,
        || at_once(&gob, sizes.each, |client, place| round(client, &format!("bench {place}"))),
        || at_once(&gob, sizes.each, |client, _| two_pings(client)),
    );
    let figure = format!("locks taken and given back on {CONNECTIONS} connections");
    table.against(&figure, "/s", measured, "two pings", Target::RatioAtLeast(0.33));
    let mut handed: Vec<f64> = (0..sizes.killed).map(|at| handed_on(&gob, &format!("killed {at}"))).collect();
    handed.sort_by(f64::total_cmp);
    for (which, at) in [("the median", handed.len() / 2), ("the slowest", handed.len() - 1)] {
        let figure = format!("from the SIGKILL of a holder to the next one's grant, {which}");
        table.alone(&figure, "ms", handed[at], HANDED_ON_MS);
    }
}

fn connect(gob: &Gob) -> Client {
    gob.ctl(["ping"]).ok();
    let of =
        |name: &str| gob.env().into_iter().find(|(known, _)| known == name).map(|(_, value)| value.into());
    let dirs = Dirs::resolve(of, nix::unistd::getuid().as_raw());
    Connector::new(dirs.expect("directories"), Owner::cli()).connect().expect("a connection")
}

fn round(client: &mut Client, lock: &str) {
    client.lock(lock).and_then(|held| held.release()).expect("a lock that is free");
}

fn two_pings(client: &mut Client) {
    for _ in 0..2 {
        client.ask(call::Ping).expect("an answer");
    }
}

/// Milliseconds from the SIGKILL of `gobctl lock run` with its guard and its command until the next one in line has the lock.
fn handed_on(gob: &Gob, lock: &str) -> f64 {
    let mut next = gob.connect_as("cli");
    let mut holder = gob.ctl(["lock", "run", lock, "--", "sleep", "1000"]).spawn();
    let mut counts = |key: &str| {
        let answer = next.ok("lock_status", json!({"lock": lock}));
        answer["locks"][0][key].as_array().map_or(0, Vec::len)
    };
    assert!(wait::until(DEADLINE, || counts("holders") == 1), "nobody holds {lock}");
    let waiting = next.post("lock_acquire", json!({"lock": lock}));
    // Requests of one connection are taken in order: the answer to this one tells that the one before it waits.
    next.ok("ping", json!({}));
    let pid = i32::try_from(holder.id()).expect("a pid");
    let mut tree = Vec::new();
    let is_whole = || {
        tree = process::tree(pid);
        tree.len() == PROCESSES
    };
    assert!(wait::until(DEADLINE, is_whole), "gobctl, its guard and the command do not all run");
    let begun = Instant::now();
    tree.iter().for_each(|process| process.signal(Signal::SIGKILL));
    let granted = next.response(waiting);
    let took = begun.elapsed().as_secs_f64() * 1e3;
    assert_eq!(granted["success"], true, "{granted}");
    holder.wait().expect("a child");
    took
}

/// Milliseconds per round.
fn per_round(rounds: usize, mut round: impl FnMut()) -> f64 {
    let begun = Instant::now();
    (0..rounds).for_each(|_| round());
    begun.elapsed().as_secs_f64() * 1e3 / rounds as f64
}

/// Rounds per second of 64 clients, each on a thread of its own.
fn at_once(gob: &Gob, each: usize, round: impl Fn(&mut Client, usize) + Sync) -> f64 {
    let mut clients: Vec<Client> = (0..CONNECTIONS).map(|_| connect(gob)).collect();
    let begun = Instant::now();
    thread::scope(|scope| {
        for (place, client) in clients.iter_mut().enumerate() {
            let round = &round;
            scope.spawn(move || (0..each).for_each(|_| round(client, place)));
        }
    });
    (CONNECTIONS * each) as f64 / begun.elapsed().as_secs_f64()
}
