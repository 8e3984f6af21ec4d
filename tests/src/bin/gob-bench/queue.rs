//! Growth of the queue: what is asked of it with many jobs that wait, beside the same with few.

use crate::process::{command, timed};
use crate::table::{Table, Target, medians};
use gob_tests::process::Handle;
use gob_tests::wait::DEADLINE;
use gob_tests::{Conn, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::time::Instant;

/// The numbers of jobs that wait, and of samples.
pub struct Sizes {
    pub many: usize,
    pub few: usize,
    pub samples: usize,
}

const LANE: &str = "bench";
/// Requests on their way at once while the queue is filled.
const TOGETHER: usize = 256;
/// Jobs that are claimed when the supervisor is killed.
const CLAIMED: usize = 64;

/// Measures every figure, each in both queues.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let (full, small) = (Gob::new(), Gob::new());
    let begun = Instant::now();
    fill(&full, sizes.many);
    let per_job = begun.elapsed().as_secs_f64() * 1e6 / sizes.many as f64;
    table.alone(&format!("{} jobs added, {TOGETHER} requests in flight", sizes.many), "µs", per_job, 500.0);
    fill(&small, sizes.few);
    let floor = "few jobs";
    let what = |what: &str| format!("{what}, {} jobs wait instead of {}", sizes.many, sizes.few);
    {
        let (mut big, mut little) = (full.connect_as("cli"), small.connect_as("cli"));
        let measured = medians(sizes.samples, || added(&mut big), || added(&mut little));
        table.against(&what("queue_add on the disk"), "ms", measured, floor, Target::RatioAtMost(1.5));
        let measured = medians(sizes.samples, || claimed(&mut big), || claimed(&mut little));
        table.against(&what("claimed and finished"), "ms", measured, floor, Target::RatioAtMost(1.5));
        let page = |conn: &mut Conn| asked(conn, "queue_list", &json!({"lane": LANE, "limit": 100})).0;
        let measured = medians(sizes.samples, || page(&mut big), || page(&mut little));
        table.against(&what("a page of 100 jobs"), "ms", measured, floor, Target::RatioAtMost(1.5));
    }
    let measured = medians(sizes.samples.div_ceil(10), || recovered(&full), || recovered(&small));
    let figure = what(&format!("a list after kill -9 of all with {CLAIMED} claims"));
    table.against(&figure, "ms", measured, floor, Target::RatioAtMost(1.5));
}

fn payload() -> Value {
    json!({"lane": LANE, "command": ["make", "test"], "cwd": "/", "env": {"PATH": "/usr/bin:/bin"}})
}

/// Fills a lane that is left to workers outside.
fn fill(gob: &Gob, count: usize) {
    let mut conn = gob.connect_as("cli");
    conn.ok("queue_width", json!({"lane": LANE, "width": 0}));
    let mut left = count;
    while left > 0 {
        let many = left.min(TOGETHER);
        let ids: Vec<u64> = (0..many).map(|_| conn.post("queue_add", payload())).collect();
        for id in ids {
            let answer = conn.response(id);
            assert_eq!(answer["success"], true, "{answer}");
        }
        left -= many;
    }
}

/// Returns the milliseconds of a request, and its data.
fn asked(conn: &mut Conn, request: &str, payload: &Value) -> (f64, Value) {
    let begun = Instant::now();
    let data = conn.ok(request, payload.clone());
    (begun.elapsed().as_secs_f64() * 1e3, data)
}

fn added(conn: &mut Conn) -> f64 {
    asked(conn, "queue_add", &payload()).0
}

/// Claims a job and finishes it; returns the time of both.
fn claimed(conn: &mut Conn) -> f64 {
    let (claim, data) = asked(conn, "queue_claim", &json!({"lane": LANE, "worker_id": "bench"}));
    let job = &data["job"];
    let end = json!({"job_id": job["id"], "attempt": job["attempt"], "worker_id": "bench", "success": true});
    claim + asked(conn, "queue_finish", &end).0
}

/// Kills the supervisor and its keeper while jobs are claimed; returns the time of the first list of the next one.
fn recovered(gob: &Gob) -> f64 {
    gob.ctl(["ping"]).ok();
    let mut conn = gob.connect_as("cli");
    for nth in 0..CLAIMED {
        conn.ok("queue_claim", json!({"lane": LANE, "worker_id": format!("bench-{nth}")}));
    }
    let status = gob.status();
    for key in ["keeper_pid", "pid"] {
        let handle = Handle::open(status[key].as_i64().expect("a pid") as i32).expect("a live process");
        handle.signal(Signal::SIGKILL);
        assert!(handle.wait_gone(DEADLINE), "{key} was killed");
    }
    timed(command(gob, &gob.bin("gobctl")).args(["queue", "list", "--json", "--limit", "1"]))
}
