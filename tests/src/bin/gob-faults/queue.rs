//! The proof of the queue: many claimants, a third of which is killed at random, over and over, and a supervisor that is killed
//! in between. Every job is done, none by two at once, and none after its end was acknowledged.
//!
//! Each claimant is a process that writes what it does into a file of its own, and to the disk before it goes on. An independent
//! check of these files judges; it asks no supervisor and shares no code with one.

mod check;
mod claimant;
mod records;

use crate::dice::Dice;
use crate::options::Options;
use claimant::Link;
pub use claimant::part;
use gob_protocol::queue::{QueueJob, QueueStatus};
use gob_tests::Gob;
use gob_tests::process::Handle;
use gob_tests::wait::{until, while_time_passes};
use nix::sys::signal::Signal;
use records::{Records, now_ns};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The lane that the claimants share.
pub const LANE: &str = "proof";
/// A claim without a sign of life is taken back after this. Claimants give up before.
pub const STALE: Duration = Duration::from_secs(8);
/// Requests on their way at once while jobs are added.
const TOGETHER: usize = 64;
/// Time for everything to come to its end once no more is killed, for each thousand of jobs, and at least.
const END: Duration = Duration::from_secs(180);

/// Runs the proof; true when it holds.
pub fn run(options: &Options) -> bool {
    println!("queue: {} jobs, {} claimants, seed {}", options.jobs, options.claimants, options.seed);
    let gob = Gob::new();
    let config = format!(
        "[queue]\nheartbeat = \"1s\"\nstale_after = \"{}s\"\nbackoff = [\"50ms\", \"500ms\"]\n",
        STALE.as_secs()
    );
    std::fs::write(gob.dir().join("config.toml"), config).expect("a configuration");
    let dir = gob.dir().join("records");
    std::fs::create_dir(&dir).expect("a directory");
    let begun = Instant::now();
    gob.connect_as("cli").ok("queue_width", json!({"lane": LANE, "width": 0}));
    let mut added = BTreeSet::new();
    // The other half is added while claimants and supervisors die.
    add(&gob, options.jobs.div_ceil(2), &mut added);
    let mut world = World { gob: &gob, dir: &dir, claimants: Vec::new(), serial: 0, killed: 0, restarts: 0 };
    world.fill(options.claimants);
    let mut dice = Dice::new(options.seed, 7);
    for round in 0..options.kills {
        let left = options.jobs - added.len() as u64;
        let share = if round + 1 == options.kills { left } else { left / 2 };
        world.round(&mut dice, share, &mut added);
        world.fill(options.claimants);
    }
    let rest = options.jobs - added.len() as u64;
    add(&gob, rest, &mut added);
    let limit = END.mul_f64((options.jobs as f64 / 1000.0).max(1.0));
    let is_done = until(limit, || world.is_done());
    world.end();
    let jobs = all_jobs(&gob);
    let records = Records::read(&dir).expect("the records");
    let mut violations = check::check(&records, &jobs, &added);
    if !is_done {
        violations.push(format!("not all jobs have ended {limit:?} after the last kill"));
    }
    report(&world, &records, &jobs, begun.elapsed());
    violations.iter().take(50).for_each(|violation| eprintln!("VIOLATION {violation}"));
    println!("{} violations", violations.len());
    violations.is_empty()
}

/// Judges records that are there already, with the jobs in `jobs.json`; true when nothing is wrong with them.
pub fn judge(dir: &Path) -> bool {
    let jobs: Vec<QueueJob> =
        serde_json::from_slice(&std::fs::read(dir.join("jobs.json")).expect("jobs.json")).expect("jobs");
    let added = jobs.iter().map(|job| job.id.to_string()).collect();
    let violations = check::check(&Records::read(dir).expect("the records"), &jobs, &added);
    violations.iter().for_each(|violation| eprintln!("VIOLATION {violation}"));
    println!("{} violations", violations.len());
    violations.is_empty()
}

fn report(world: &World<'_>, records: &Records, jobs: &[QueueJob], took: Duration) {
    let of = |status: QueueStatus| jobs.iter().filter(|job| job.status == status).count();
    println!(
        "{} jobs: {} completed, {} failed; {} attempts; {} claimants killed, the supervisor {} times; {took:.1?}",
        jobs.len(),
        of(QueueStatus::Completed),
        of(QueueStatus::Failed),
        records.attempts.len(),
        world.killed,
        world.restarts,
    );
}

/// The claimants, and the supervisor that they ask.
struct World<'a> {
    gob: &'a Gob,
    dir: &'a Path,
    claimants: Vec<(u64, Child)>,
    serial: u64,
    killed: u64,
    restarts: u64,
}

impl World<'_> {
    /// Starts claimants until there are so many.
    fn fill(&mut self, count: usize) {
        while self.claimants.len() < count {
            self.serial += 1;
            let mut command = Command::new(std::env::current_exe().expect("this program"));
            command.env_clear().stdin(Stdio::null()).env(claimant::PART, self.serial.to_string());
            command.env(claimant::SOCKET, self.gob.socket()).env(claimant::RECORDS, self.dir);
            self.claimants.push((self.serial, command.spawn().expect("a process")));
        }
    }

    /// Kills a third of the claimants, one after the other, and somewhere between them the supervisor, while jobs are added.
    fn round(&mut self, dice: &mut Dice, share: u64, added: &mut BTreeSet<String>) {
        let third = self.claimants.len().div_ceil(3);
        let supervisor_at = dice.below(third as u64) as usize;
        for nth in 0..third {
            while_time_passes(Duration::from_millis(dice.between(5, 120)));
            if nth == supervisor_at {
                self.kill_supervisor();
            }
            let at = dice.below(self.claimants.len() as u64) as usize;
            let (serial, child) = self.claimants.swap_remove(at);
            self.kill(serial, child);
            if nth == third / 2 {
                add(self.gob, share, added);
            }
        }
        // Some claims are only made while nothing is killed.
        while_time_passes(Duration::from_millis(dice.between(100, 1500)));
    }

    fn kill(&mut self, serial: u64, mut child: Child) {
        self.killed += 1;
        // Written before: the claimant may have lived for a moment longer, never for a shorter time.
        records::killed(self.dir, serial, now_ns()).expect("a record");
        child.kill().expect("a child");
        child.wait().expect("a child");
    }

    fn kill_supervisor(&mut self) {
        let status = self.gob.status();
        let pid = status["pid"].as_i64().expect("a pid") as i32;
        let Some(gobd) = Handle::open(pid) else { return };
        gobd.signal(Signal::SIGKILL);
        self.restarts += 1;
        assert!(gobd.wait_gone(Duration::from_secs(10)), "gobd was killed");
        reach(self.gob);
    }

    fn is_done(&mut self) -> bool {
        while_time_passes(Duration::from_millis(100));
        let Ok(mut link) = Link::open(&self.gob.socket(), "cli") else { return false };
        let Ok(answer) = link.ask("queue_list", &json!({"lane": LANE, "limit": 1}), Duration::from_secs(10))
        else {
            return false;
        };
        let counts = &answer["data"]["lanes"][0]["counts"];
        counts["pending"] == 0 && counts["running"] == 0
    }

    fn end(&mut self) {
        for (serial, mut child) in std::mem::take(&mut self.claimants) {
            records::killed(self.dir, serial, now_ns()).expect("a record");
            child.kill().expect("a child");
            child.wait().expect("a child");
        }
    }
}

/// Waits for a supervisor. The keeper starts another one, later with each kill, and gives up after ten in a minute; then this
/// starts one.
fn reach(gob: &Gob) {
    let is_there = || gob.ctl(["ping"]).run().code == 0;
    assert!(until(Duration::from_secs(60), is_there), "no supervisor answers");
}

/// Adds jobs until so many were acknowledged. Of those whose answer was lost, it is not known whether they were added.
fn add(gob: &Gob, count: u64, added: &mut BTreeSet<String>) {
    let payload = json!({"lane": LANE, "command": ["true"], "cwd": "/", "max_attempts": 2});
    let until = added.len() + count as usize;
    while added.len() < until {
        let Ok(mut link) = Link::open(&gob.socket(), "cli") else {
            reach(gob);
            continue;
        };
        while added.len() < until {
            let many = TOGETHER.min(until - added.len());
            let answers = link.ask_many("queue_add", &payload, many, Duration::from_secs(30));
            let is_all = answers.len() == many;
            added.extend(
                answers.iter().filter_map(|answer| answer["data"]["job"]["id"].as_str().map(str::to_owned)),
            );
            if !is_all || answers.iter().any(|answer| answer["success"] != true) {
                break;
            }
        }
    }
}

/// Returns all jobs of the lane.
fn all_jobs(gob: &Gob) -> Vec<QueueJob> {
    let mut conn = gob.connect_as("cli");
    let (mut all, mut after) = (Vec::new(), Value::Null);
    loop {
        let mut payload = json!({"lane": LANE, "limit": 1000});
        if !after.is_null() {
            payload["after"] = after;
        }
        let mut page = conn.ok("queue_list", payload);
        let jobs: Vec<QueueJob> = serde_json::from_value(page["jobs"].take()).expect("jobs");
        all.extend(jobs);
        after = page["next"].take();
        if after.is_null() {
            return all;
        }
    }
}
