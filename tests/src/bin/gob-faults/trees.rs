//! The proofs that no process survives: trees of seven processes each that leave their group, their session,
//! their environment and their politeness, and a supervisor that is killed, alone or together with its
//! keeper.

use crate::options::Options;
use crate::truth;
use gob_tests::Gob;
use gob_tests::process::{self, Handle};
use gob_tests::script::{Step, every_escape};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use serde_json::json;
use std::time::{Duration, Instant};

/// The keeper gives up after ten restarts in a minute, so each world is used for fewer.
const ROUNDS_PER_WORLD: u64 = 8;
/// Processes of one tree.
const TREE: usize = 7;

/// The killed programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Killed {
    Supervisor,
    Both,
}

/// Kills as often as the options say; true when no process ever survived for too long.
pub fn run(options: &Options, killed: Killed) -> bool {
    let mut worst = Duration::ZERO;
    let (mut processes, mut survivors) = (0, 0);
    let mut round = 0;
    while round < options.times {
        let gob = Gob::new();
        prepare(&gob, options.trees);
        for _ in 0..ROUNDS_PER_WORLD.min(options.times - round) {
            round += 1;
            let handles = plant(&gob, options.trees);
            processes += handles.len();
            let (took, left) = kill(&gob, killed, &handles, options.within);
            for handle in &left {
                eprintln!("VIOLATION in round {round}: {}", process::describe(handle.pid));
            }
            survivors += left.len();
            worst = worst.max(took);
        }
    }
    let (who, since) = match killed {
        Killed::Supervisor => ("gobd", "the kill"),
        Killed::Both => ("gobd and gob-keeper", "the next command"),
    };
    let (trees, within) = (options.trees, options.within);
    println!("{who} killed {round} times with {trees} trees, {processes} processes in all");
    println!("{survivors} survivors {within:?} after {since}; at worst all were gone {worst:.1?} after it");
    survivors == 0
}

fn prepare(gob: &Gob, trees: usize) {
    for n in 0..trees {
        gob.script(&format!("tree{n}"), &[every_escape(), vec![Step::Listen, Step::Handshake]].concat());
    }
}

/// Starts all trees; returns a handle on each of their processes.
fn plant(gob: &Gob, trees: usize) -> Vec<Handle> {
    gob.ctl(["ping"]).ok();
    let mut conn = gob.connect_as("cli");
    let ids: Vec<u64> =
        (0..trees).map(|n| conn.post("start", json!({"graph": format!("tree{n}")}))).collect();
    for id in ids {
        let response = conn.response(id);
        assert_eq!(response["success"], true, "{response}");
    }
    // A process that has detached itself has forked twice, and the one in between ends a moment later.
    let mut procs = Vec::new();
    let are_all = || {
        procs = truth::scan(gob).workers;
        procs.len() == trees * TREE
    };
    assert!(wait::until(DEADLINE, are_all), "{} processes, and each tree has {TREE}", procs.len());
    procs.iter().map(|proc| Handle::open(proc.pid).expect("a live process")).collect()
}

/// Kills, and waits until all are gone; returns the time of that, and the processes left by then.
fn kill<'a>(
    gob: &Gob,
    killed: Killed,
    handles: &'a [Handle],
    within: Duration,
) -> (Duration, Vec<&'a Handle>) {
    let status = gob.status();
    let handle =
        |key: &str| Handle::open(status[key].as_i64().expect("a pid") as i32).expect("a live process");
    let (gobd, keeper) = (handle("pid"), handle("keeper_pid"));
    if killed == Killed::Both {
        keeper.signal(Signal::SIGKILL);
    }
    gobd.signal(Signal::SIGKILL);
    let begin = match killed {
        Killed::Supervisor => Instant::now(),
        Killed::Both => {
            assert!(gobd.wait_gone(within) && keeper.wait_gone(within), "both were killed");
            let begin = Instant::now();
            gob.ctl(["list"]).ok();
            begin
        }
    };
    let gone = |handle: &&Handle| handle.wait_gone(within.saturating_sub(begin.elapsed()));
    let left: Vec<&Handle> = handles.iter().filter(|handle| !gone(handle)).collect();
    let took = begin.elapsed();
    if killed == Killed::Supervisor {
        // The next round must not begin with this one's supervisor.
        gob.wait_other_instance(status["instance"].as_str().expect("an instance"));
    }
    (took, left)
}
