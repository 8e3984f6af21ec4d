//! The load under which a supervisor is upgraded: workers that write without a pause, and clients whose every request must be answered.

use gob_tests::{Conn, Gob, process};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A command that counts lines without an end.
const COUNTS: &str = "i=0; while :; do i=$((i+1)); echo $i; done";
/// Small files, so that all that is kept can be read; and a claim outlasts a round on a busy machine.
const CONFIG: &str = "[logs]\nrotate = \"1MiB\"\nkeep = 5\n[queue]\nstale_after = \"10m\"\n";
/// Longest pause between two events after the end.
const SILENT: Duration = Duration::from_millis(500);

/// A request of the watcher.
pub struct Ping {
    pub begun: Instant,
    pub ended: Instant,
}

/// The workers, and all that their supervisor holds for one client.
pub struct Load {
    pub conn: Conn,
    /// It waits for the lock that `conn` has.
    waiter: Conn,
    waits: u64,
    gobd: i32,
    keeper: Value,
    floods: Vec<String>,
    pids: Vec<Value>,
    pipes: BTreeSet<String>,
    token: Value,
    job: Value,
}

impl Load {
    /// Starts the workers and takes a lease, a lock and a job.
    pub fn new(gob: &Gob, floods: usize) -> Self {
        let config = gob.dir().join("config.toml");
        fs::write(&config, CONFIG).expect("a configuration");
        let mut conn = gob.connect_as("cli");
        let floods: Vec<String> = (0..floods).map(|number| format!("flood{number}")).collect();
        for name in &floods {
            let command = json!(["/bin/sh", "-c", COUNTS, name]);
            let env = json!({"PATH": "/usr/bin:/bin"});
            conn.ok("add", json!({"command": command, "cwd": gob.dir(), "name": name, "env": env}));
        }
        conn.ok("start", json!({"graph": "g", "lease": true}));
        let token = conn.ok("lock_acquire", json!({"lock": "l"}))["token"].clone();
        let mut waiter = gob.connect_as("desktop");
        let waits = waiter.post("lock_acquire", json!({"lock": "l"}));
        conn.ok("queue_width", json!({"lane": "held", "width": 0}));
        conn.ok("queue_add", job("held"));
        let job = conn.ok("queue_claim", json!({"lane": "held", "worker_id": "held"}))["job"].clone();
        let pids = pids(&mut conn, &floods);
        let keeper = gob.status()["keeper_pid"].clone();
        let gobd = gob.gobd_pid();
        Self { conn, waiter, waits, gobd, keeper, pipes: pipes(&pids), floods, pids, token, job }
    }

    /// Checks what can be seen after each upgrade: processes, pipes, and the output of one worker.
    pub fn is_whole(&mut self, gob: &Gob, round: usize) {
        let claim = json!({"job_id": self.job["id"], "attempt": self.job["attempt"], "worker_id": "held"});
        self.conn.ok("queue_heartbeat", claim);
        let status = self.conn.ok("status", json!({}));
        assert_eq!((&status["pid"], &status["keeper_pid"]), (&json!(self.gobd), &self.keeper));
        assert_eq!(pids(&mut self.conn, &self.floods), self.pids, "a worker has another process");
        let held = links(self.gobd);
        assert!(self.pipes.is_subset(&held), "a pipe is lost: {:?}", &self.pipes - &held);
        if let Some(name) = self.floods.get(round % self.floods.len().max(1)) {
            follow_each_other(&gob.log(name, 1, "stdout"));
        }
    }

    /// Checks that all is there still, gives it back, and reads all output that is kept.
    pub fn end(mut self, gob: &Gob) {
        let conn = &mut self.conn;
        assert_eq!(conn.ok("get", json!({"name": "g"}))["worker"]["leases"], 1);
        assert_eq!(conn.ok("status", json!({}))["log_bytes_dropped"], 0);
        conn.ok("lock_release", json!({"lock": "l", "token": self.token}));
        let granted = self.waiter.response(self.waits);
        assert!(granted["data"]["token"].as_u64() > self.token.as_u64(), "{granted}");
        finish(conn, &self.job, "held");
        for name in &self.floods {
            conn.ok("stop", json!({"name": name, "force": true}));
            follow_each_other(&gob.log(name, 1, "stdout"));
        }
        assert!(process::is_alive(self.gobd));
    }
}

fn job(lane: &str) -> Value {
    json!({"lane": lane, "command": ["true"], "cwd": "/", "env": {"PATH": "/usr/bin:/bin"}})
}

fn finish(conn: &mut Conn, job: &Value, worker: &str) {
    let end = json!({"job_id": job["id"], "attempt": job["attempt"], "worker_id": worker, "success": true});
    conn.ok("queue_finish", end);
}

fn pids(conn: &mut Conn, names: &[String]) -> Vec<Value> {
    names.iter().map(|name| conn.ok("get", json!({"name": name}))["worker"]["pid"].clone()).collect()
}

/// The files that a process has open, as the kernel names them.
fn links(pid: i32) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("a live process");
    let link = |entry: fs::DirEntry| fs::read_link(entry.path()).ok();
    entries.flatten().filter_map(link).map(|link| link.display().to_string()).collect()
}

/// The pipes into which workers write.
fn pipes(pids: &[Value]) -> BTreeSet<String> {
    let of = |pid: &Value| {
        ["1", "2"]
            .map(|fd| fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("an output").display().to_string())
    };
    pids.iter().flat_map(of).collect()
}

/// Asks again and again, each time for something of its own.
pub fn ask(mut client: Conn, number: usize, stop: &AtomicBool) {
    let name = format!("client{number}");
    if number % 4 == 2 {
        client.ok("queue_width", json!({"lane": name, "width": 0}));
    }
    let mut last = 0;
    while !stop.load(Ordering::Relaxed) {
        match number % 4 {
            0 => drop(client.ok("ping", json!({}))),
            1 => {
                let token =
                    client.ok("lock_acquire", json!({"lock": name}))["token"].as_u64().expect("a token");
                assert!(token > last, "a token came twice");
                last = token;
                client.ok("lock_release", json!({"lock": name, "token": token}));
            }
            2 => {
                let added = client.ok("queue_add", job(&name))["job"]["id"].clone();
                let claim = json!({"lane": name, "worker_id": name});
                let claimed = client.ok("queue_claim", claim)["job"].clone();
                assert_eq!(claimed["id"], added, "a job is lost or came twice");
                finish(&mut client, &claimed, &name);
            }
            _more => {
                client.ok("lease", json!({"name": "g"}));
                client.ok("release", json!({"name": "g"}));
            }
        }
    }
}

/// Asks one `ping` after the other and notes each.
pub fn watch(mut client: Conn, stop: &AtomicBool, pings: &Mutex<Vec<Ping>>) {
    while !stop.load(Ordering::Relaxed) {
        let begun = Instant::now();
        client.ok("ping", json!({}));
        pings.lock().expect("the table goes on").push(Ping { begun, ended: Instant::now() });
    }
}

/// Checks that every event comes once, in its order, and that of each upgrade, but for those that are told as missed.
pub fn follow(mut events: Conn, stop: &AtomicBool, rounds: usize) {
    let (mut last, mut upgrades, mut missed) = (None, 0, 0);
    loop {
        let Some(event) = events.frame_within(SILENT) else {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            continue;
        };
        let seq = event["seq"].as_u64().expect("an event");
        // A subscriber that gets too little of a processor misses events, and is told how many.
        let skipped = event["missed"].as_u64().unwrap_or(1);
        assert!(
            last.is_none_or(|last| seq == last + skipped),
            "after {last:?} came {seq}, {}",
            event["event"]
        );
        last = Some(seq);
        missed += skipped - 1;
        upgrades += usize::from(event["event"] == "supervisor_upgraded");
    }
    eprintln!("the subscriber was told that it missed {missed} events");
    assert!(upgrades == rounds || missed > 0 && upgrades < rounds, "an event of an upgrade is lost");
}

/// Checks that no line of a worker's output is lost or doubled. Its older files may be gone, by rotation.
fn follow_each_other(log: &Path) {
    let newest = || fs::metadata(format!("{}.1", log.display())).ok().map(|file| file.ino());
    // A rotation in between moves a file behind the one that is read next.
    let text = (0..100).find_map(|_| {
        let before = newest();
        let rotated = |number: u32| fs::read_to_string(format!("{}.{number}", log.display())).ok();
        let mut files: Vec<String> = (1..).map_while(rotated).collect();
        files.reverse();
        files.push(fs::read_to_string(log).ok()?);
        (newest() == before).then(|| files.concat())
    });
    let text = text.expect("a log");
    let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
    let mut lines = whole.lines().map(|line| line.parse::<u64>().expect("a number"));
    let mut last = lines.next().expect("a line");
    for line in lines {
        assert_eq!(line, last + 1, "a line of {} is lost or doubled", log.display());
        last = line;
    }
}
