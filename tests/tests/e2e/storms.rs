//! Workers whose processes end at a high rate: all other clients are served meanwhile.

use crate::orphans::away;
use gob_tests::Gob;
use gob_tests::script::{Child, Step};
use serde_json::json;
use std::time::{Duration, Instant};

/// Starts a worker with this many descendants, each of which goes on as its own child after a pause, for some
/// four seconds: the zombies that a supervisor without a processor would leave stay far below the number of
/// pids.
fn storm(gob: &Gob, descendants: u32, hop_us: u32) {
    let child = Child { hops: 4_000_000 / hop_us, hop_us, ..away() };
    let mut steps: Vec<Step> = (0..descendants).map(|_| Step::Child(child.clone())).collect();
    steps.extend([Step::Listen, Step::Handshake]);
    gob.script("storm", &steps);
    gob.connect_as("cli").ok("start", json!({"graph": "storm"}));
}

/// Returns the longest answer to a ping within that time.
fn worst_ping(gob: &Gob, time: Duration) -> Duration {
    let (mut conn, begun) = (gob.connect_as("cli"), Instant::now());
    let mut worst = Duration::ZERO;
    while begun.elapsed() < time {
        let asked = Instant::now();
        conn.ok("ping", json!({}));
        worst = worst.max(asked.elapsed());
    }
    worst
}

/// On an idle machine a ping takes less than 100 ms, and a stop little more than its grace. Where other tests
/// have the processors too, most of the measured time is theirs; a supervisor that serves no client takes far
/// longer.
const BUSY_MACHINE: Duration = Duration::from_secs(10);

fn others_are_served(descendants: u32, hop_us: u32) {
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    conn.ok("start", json!({"graph": "calm"}));
    storm(&gob, descendants, hop_us);
    let worst = worst_ping(&gob, Duration::from_secs(1));
    eprintln!("{descendants} descendants, {hop_us} us: the longest ping took {worst:?}");
    assert!(worst < Duration::from_secs(3), "a ping took {worst:?}");
    // A worker of another run, and then the storm itself.
    for (worker, grace_ms) in [("calm", 2_000), ("storm", 100)] {
        let asked = Instant::now();
        conn.ok("stop", json!({"name": worker, "grace_ms": grace_ms}));
        let took = asked.elapsed();
        eprintln!("the stop of {worker} took {took:?}");
        assert!(
            took < Duration::from_millis(grace_ms + 2_000) + BUSY_MACHINE,
            "the stop of {worker} took {took:?}"
        );
    }
}

#[test]
fn descendants_that_fork_every_few_milliseconds_starve_no_client() {
    others_are_served(20, 5_000);
}

#[test]
fn three_hundred_forking_descendants_starve_no_client() {
    others_are_served(300, 200_000);
}
