//! Claims per second in a shared lane, by one, three and eight supervisors, next to a bare loop of `SKIP LOCKED` by as many sessions in the same
//! database.

use crate::table::{Table, Target};
use gob_tests::postgres::Postgres;
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// How many supervisors there are, and jobs for each.
pub struct Sizes {
    pub supervisors: &'static [usize],
    pub jobs: usize,
}

const LANE: &str = "bench";
/// Claims under way at each supervisor.
const TOGETHER: usize = 8;
/// The least share of the bare loop's claims.
const SHARE: f64 = 0.25;

/// Measures each number of supervisors in a lane of its own.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let dir = PathBuf::from(format!("/tmp/gob-bench-{}", std::process::id()));
    let own = dir.join("s");
    fs::create_dir_all(&own).expect("a directory");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o711)).expect("a mode");
    match (Postgres::start(&own).expect("a database that starts"), pgbench()) {
        (Ok(database), Some(pgbench)) => {
            for count in sizes.supervisors {
                measure(table, &database, &pgbench, *count, sizes.jobs);
            }
        }
        (Err(why), _) => table.skip("claims of a shared lane", &why),
        (Ok(_), None) => table.skip("claims of a shared lane", "no pgbench here"),
    }
    fs::remove_dir_all(&dir).expect("a directory that goes");
}

fn measure(table: &mut Table, database: &Postgres, pgbench: &Path, supervisors: usize, jobs: usize) {
    let machines: Vec<Gob> = (0..supervisors).map(|_| machine(&database.url(), supervisors)).collect();
    let lane = format!("{LANE}{supervisors}");
    let all = jobs * supervisors;
    fill(&machines[0], &lane, all);
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for machine in &machines {
            for nth in 0..TOGETHER {
                let lane = &lane;
                scope.spawn(move || drain(machine, lane, nth));
            }
        }
    });
    let gob = all as f64 / begun.elapsed().as_secs_f64();
    drop(machines);
    let floor = bare(database, pgbench, supervisors, jobs);
    let figure = format!("claimed and finished by {supervisors} supervisor(s), {TOGETHER} at once at each");
    table.against(&figure, "1/s", (gob, floor), "a bare SKIP LOCKED loop", Target::RatioAtLeast(SHARE));
}

fn machine(url: &str, supervisors: usize) -> Gob {
    let gob = Gob::new();
    let text = format!("[shared]\nurl = \"{url}\"\n[lanes.{LANE}{supervisors}]\nshared = true\nwidth = 0\n");
    let path = gob.dir().join("config.toml");
    fs::write(&path, text).expect("a configuration");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
    let mut conn = gob.connect_as("cli");
    let is_open = || conn.ok("status", json!({}))["shared"]["state"] == "open";
    assert!(wait::until(DEADLINE, is_open), "the database is there");
    gob
}

fn fill(machine: &Gob, lane: &str, count: usize) {
    let mut conn = machine.connect_as("cli");
    let job = json!({"lane": lane, "command": ["true"], "cwd": "/", "env": {}});
    let mut left = count;
    while left > 0 {
        let many = left.min(64);
        let ids: Vec<u64> = (0..many).map(|_| conn.post("queue_add", job.clone())).collect();
        for id in ids {
            let answer = conn.response(id);
            assert_eq!(answer["success"], true, "{answer}");
        }
        left -= many;
    }
}

/// Claims and finishes until there is no job any more.
fn drain(machine: &Gob, lane: &str, nth: usize) {
    let mut conn: Conn = machine.connect_as("cli");
    let worker = format!("bench-{nth}");
    loop {
        let job = conn.ok("queue_claim", json!({"lane": lane, "worker_id": worker}))["job"].clone();
        if job.is_null() {
            return;
        }
        let end =
            json!({"job_id": job["id"], "attempt": job["attempt"], "worker_id": worker, "success": true});
        conn.ok("queue_finish", end);
    }
}

/// Returns the claims per second of as many sessions as there are supervisors, each of which claims and ends jobs of a plain table.
fn bare(database: &Postgres, pgbench: &Path, sessions: usize, jobs: usize) -> f64 {
    let script = database.dir().join("claim.sql");
    let set_up = database.dir().join("table.sql");
    // Enough that each finds one.
    let (all, rows) = (sessions * jobs, 2 * sessions * jobs);
    let text = format!(
        "DROP TABLE IF EXISTS bare;\nCREATE TABLE bare (id BIGINT PRIMARY KEY, status INT NOT NULL);\nINSERT INTO bare SELECT i, 0 FROM generate_series(1, {rows}) i;\nCREATE INDEX ON bare(id) WHERE status = 0;\nANALYZE bare;\n"
    );
    fs::write(&set_up, text).expect("a script");
    fs::write(
        &script,
        "UPDATE bare SET status = 1 WHERE id = (SELECT id FROM bare WHERE status = 0 ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id \\gset\nUPDATE bare SET status = 2 WHERE id = :id;\n",
    )
    .expect("a script");
    let run = |args: &[&str]| {
        let mut command = Command::new(pgbench);
        command.arg("-h").arg(database.dir()).args(["-U", "gob", "-n", "-M", "prepared"]).args(args);
        let said = command.arg("postgres").stdin(Stdio::null()).output().expect("pgbench");
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    };
    let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_owned();
    run(&["-M", "simple", "-t", "1", "-f", &path(&set_up)]);
    let (sessions, jobs) = (sessions.to_string(), jobs.to_string());
    let begun = Instant::now();
    run(&["-c", &sessions, "-j", &sessions, "-t", &jobs, "-f", &path(&script)]);
    all as f64 / begun.elapsed().as_secs_f64()
}

/// Returns PostgreSQL's program for benchmarks.
fn pgbench() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    let mut all: Vec<PathBuf> = versions.map(|entry| entry.path().join("bin/pgbench")).collect();
    all.sort();
    all.into_iter().rev().find(|path| path.is_file())
}
