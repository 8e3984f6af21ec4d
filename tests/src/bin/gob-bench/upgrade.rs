//! Upgrades in a row: how long no request is answered, next to a bare execution of the same program; and that nothing is lost by them,
//! under the load of flooding workers and many clients.

use crate::table::{Table, Target};
use gob_tests::{Conn, Gob, process};
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

/// The size of the load, and how often it is upgraded.
pub struct Sizes {
    pub rounds: usize,
    pub clients: usize,
    pub floods: usize,
}

/// A command that counts lines without an end.
const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo $i; done";

/// The longest time without an answer, beyond the floor.
const LONGEST_MS: f64 = 100.0;

/// Measures without load, and then under it.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let floor = bare_execution(sizes.rounds);
    let quiet = Sizes { rounds: sizes.rounds, clients: 0, floods: 0 };
    for (which, sizes) in [("an idle supervisor", &quiet), ("under load", sizes)] {
        let mut gaps = upgrades(sizes);
        gaps.sort_by(f64::total_cmp);
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            let at = ((gaps.len() - 1) as f64 * share).round() as usize;
            let figure = format!("no request is answered while {which} is upgraded, {name}");
            // A hundred milliseconds beyond the floor.
            let limit = Target::RatioAtMost(((LONGEST_MS + floor) / floor).round());
            table.against(&figure, "ms", (gaps[at], floor), "gobd --version", limit);
        }
    }
}

/// Milliseconds of an execution of the program that does nothing, the median.
fn bare_execution(rounds: usize) -> f64 {
    let gob = Gob::new();
    let mut all: Vec<f64> = (0..rounds)
        .map(|_| {
            let begun = Instant::now();
            let mut command = Command::new(gob.bin("gobd"));
            command.arg("--version").stdout(Stdio::null());
            assert!(command.status().expect("gobd").success());
            begun.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all[all.len() / 2]
}

/// Upgrades a supervisor again and again; returns the longest time without an answer around each upgrade, in milliseconds.
fn upgrades(sizes: &Sizes) -> Vec<f64> {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let names: Vec<String> = (0..sizes.floods).map(|number| format!("flood{number}")).collect();
    for name in &names {
        let command = json!(["/bin/sh", "-c", COUNTS, name]);
        conn.ok(
            "add",
            json!({"command": command, "cwd": gob.dir(), "name": name, "env": {"PATH": "/usr/bin:/bin"}}),
        );
    }
    conn.ok("start", json!({"graph": "g", "lease": true}));
    let token = conn.ok("lock_acquire", json!({"lock": "l"}))["token"].clone();
    let before: Vec<Value> = names.iter().map(|name| pid_of(&mut conn, name)).collect();
    let gobd = gob.gobd_pid();
    let (stop, gap) = (AtomicBool::new(false), AtomicU64::new(0));
    let gaps = thread::scope(|scope| {
        // Also after a failure: the clients would ask for ever.
        let _stop = Stop(&stop);
        for _ in 0..sizes.clients {
            let client = gob.connect_as("desktop");
            scope.spawn(|| ask_until(client, &stop, |_| {}));
        }
        let watcher = gob.connect_as("desktop");
        scope.spawn(|| {
            ask_until(watcher, &stop, |us| {
                gap.fetch_max(us, Ordering::Relaxed);
            });
        });
        let gaps = (0..sizes.rounds).map(|_| {
            gap.store(0, Ordering::Relaxed);
            conn.ok("upgrade", json!({}));
            // The watcher's own answer comes after this one.
            conn.ok("list", json!({}));
            gap.load(Ordering::Relaxed) as f64 / 1e3
        });
        gaps.collect::<Vec<f64>>()
    });
    assert_eq!(gob.gobd_pid(), gobd);
    let after: Vec<Value> = names.iter().map(|name| pid_of(&mut conn, name)).collect();
    assert_eq!(before, after, "every worker went on");
    assert!(process::is_alive(gobd));
    conn.ok("lock_release", json!({"lock": "l", "token": token}));
    assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["leases"], 1);
    for name in &names {
        conn.ok("stop", json!({"name": name, "force": true}));
        follow_each_other(&gob, name);
    }
    gaps
}

/// Stops the clients when it is dropped.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn pid_of(conn: &mut Conn, name: &str) -> Value {
    conn.ok("get", json!({"name": name}))["worker"]["pid"].clone()
}

/// Asks one request after the other, each of which must be answered, and tells how many microseconds each took.
fn ask_until(mut client: Conn, stop: &AtomicBool, took: impl Fn(u64)) {
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        client.ok("ping", json!({}));
        took(u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
}

/// Checks that no line of a worker's output is lost or doubled. Its older files may be gone, by rotation.
fn follow_each_other(gob: &Gob, name: &str) {
    let log = gob.log(name, 1, "stdout");
    let rotated = |number: u32| fs::read_to_string(format!("{}.{number}", log.display())).ok();
    let mut files: Vec<String> = (1..).map_while(rotated).collect();
    files.reverse();
    files.push(fs::read_to_string(&log).expect("a log"));
    let text = files.concat();
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    let mut lines = whole.lines().map(|line| line.parse::<u64>().expect("a number"));
    let mut last = lines.next().expect("a line");
    for line in lines {
        assert_eq!(line, last + 1, "a line of {name} is lost or doubled");
        last = line;
    }
}
