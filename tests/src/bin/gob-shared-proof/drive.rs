//! The run: machines, their database, and what is killed of them.

use crate::judge;
use gob_tests::dice::Dice;
use gob_tests::postgres::Postgres;
use gob_tests::wait::while_time_passes;
use gob_tests::{Conn, Gob};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const LANE: &str = "proof";
/// The longest time of a run without progress.
const STUCK: Duration = Duration::from_secs(120);

pub(crate) struct Options {
    jobs: usize,
    machines: usize,
    width: usize,
    kills: usize,
    seed: u64,
}

impl Options {
    pub(crate) fn parse(words: &[&str]) -> Option<Self> {
        let mut all = Self { jobs: 10_000, machines: 3, width: 8, kills: 40, seed: 1 };
        for pair in words.chunks(2) {
            let [name, value] = pair else { return None };
            let number: u64 = value.parse().ok()?;
            let size = usize::try_from(number).ok()?;
            match *name {
                "--jobs" => all.jobs = size,
                "--machines" => all.machines = size.max(1),
                "--width" => all.width = size.max(1),
                "--kills" => all.kills = size,
                "--seed" => all.seed = number,
                _other => return None,
            }
        }
        Some(all)
    }
}

/// A directory that goes at the end.
struct Place(PathBuf);

impl Drop for Place {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

pub(crate) fn run(options: &Options) -> ExitCode {
    // The path of the database's socket has to be short, and another user has to reach it.
    let place = Place(PathBuf::from(format!("/tmp/gob-shared-{}", std::process::id())));
    let (records, own) = (place.0.join("records"), place.0.join("s"));
    for dir in [&place.0, &records, &own] {
        fs::create_dir(dir).expect("a directory");
    }
    fs::set_permissions(&place.0, fs::Permissions::from_mode(0o711)).expect("a mode");
    let mut database = match Postgres::start(&own).expect("a database that starts") {
        Ok(database) => database,
        Err(why) => {
            eprintln!("{why}");
            return ExitCode::from(2);
        }
    };
    let machines: Vec<Gob> = (0..options.machines).map(|_| machine(&database.url(), options.width)).collect();
    let begun = Instant::now();
    let goes_on = AtomicBool::new(true);
    let (kills, statuses) = std::thread::scope(|scope| {
        let (records, goes_on) = (&records, &goes_on);
        for machine in &machines {
            scope.spawn(move || holds(machine, records, goes_on));
        }
        let adder = scope.spawn(|| add(&machines, records, options.jobs));
        let kills = kill(&machines, &mut database, options, records);
        let added = adder.join();
        let statuses = if added.is_ok() { settled(&machines, records) } else { BTreeMap::new() };
        goes_on.store(false, Ordering::Relaxed);
        added.expect("all jobs are added");
        (kills, statuses)
    });
    let verdict = judge::judge(&records, options.jobs, &statuses);
    println!(
        "{} of {} jobs done by {} machines in {:.1} s: {} attempts, {} of them killed; {} supervisors and {} databases killed; the lock was granted {} times",
        verdict.done,
        options.jobs,
        options.machines,
        begun.elapsed().as_secs_f64(),
        verdict.attempts,
        verdict.killed,
        kills.0,
        kills.1,
        verdict.grants
    );
    verdict.violations.iter().for_each(|what| eprintln!("{what}"));
    println!("{} violations", verdict.violations.len());
    ExitCode::from(u8::from(!verdict.violations.is_empty()))
}

fn machine(url: &str, width: usize) -> Gob {
    let gob = Gob::new();
    let text = format!(
        "[shared]\nurl = \"{url}\"\n[queue]\nheartbeat = \"1s\"\nstale_after = \"20s\"\nbackoff = [\"100ms\", \"1s\"]\n[lanes.{LANE}]\nshared = true\nwidth = {width}\n"
    );
    fs::write(gob.dir().join("config.toml"), text).expect("a configuration");
    fs::set_permissions(gob.dir().join("config.toml"), fs::Permissions::from_mode(0o600)).expect("a mode");
    gob.ctl(["ping"]).ok();
    gob
}

/// Asks a supervisor, which may be gone at any time; `None` without an answer that is a success.
fn ask(conn: &mut Option<Conn>, machine: &Gob, request: &str, payload: &Value) -> Option<Value> {
    if conn.is_none() {
        let mut fresh = Conn::over(UnixStream::connect(machine.socket()).ok()?);
        let hello = json!({"id": 0, "type": "hello", "payload": {"protocol": 1, "owner": "cli"}});
        fresh.try_send(format!("{hello}\n").as_bytes()).ok()?;
        fresh.frame_within(Duration::from_secs(10)).filter(|frame| frame["success"] == true)?;
        *conn = Some(fresh);
    }
    let line = json!({"id": 1, "type": request, "payload": payload});
    let open = conn.as_mut()?;
    let sent = open.try_send(format!("{line}\n").as_bytes()).is_ok();
    match open.frame_within(Duration::from_secs(15)).filter(|_| sent) {
        Some(mut frame) if frame["success"] == true => Some(frame["data"].take()),
        Some(_) => None,
        None => {
            *conn = None;
            None
        }
    }
}

/// Adds all jobs, by one machine after the other, each until it is acknowledged.
fn add(machines: &[Gob], records: &Path, jobs: usize) {
    let program = std::env::current_exe().expect("this program");
    let mut conns: Vec<Option<Conn>> = machines.iter().map(|_| None).collect();
    for key in 0..jobs {
        let command = json!([program, "job", records, key.to_string()]);
        let env = json!({"PATH": "/usr/bin:/bin"});
        let job = json!({
            "lane": LANE, "command": command, "cwd": "/", "env": env, "max_attempts": 1_000, "dedupe": format!("proof-{key}"),
        });
        let until = Instant::now() + STUCK;
        let mut at = key;
        loop {
            let nth = at % machines.len();
            if let (Some(conn), Some(machine)) = (conns.get_mut(nth), machines.get(nth))
                && ask(conn, machine, "queue_add", &job).is_some()
            {
                break;
            }
            at += 1;
            assert!(Instant::now() < until, "the job {key} can't be added");
            while_time_passes(Duration::from_millis(50));
        }
    }
}

/// Takes the lock again and again.
fn holds(machine: &Gob, records: &Path, goes_on: &AtomicBool) {
    let program = std::env::current_exe().expect("this program");
    while goes_on.load(Ordering::Relaxed) {
        let mut run = Command::new(machine.bin("gobctl"));
        run.env_clear().envs(machine.env()).args(["lock", "run", "shared/proof", "--timeout", "20s", "--"]);
        run.arg(&program).arg("hold").arg(records);
        run.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // It may be refused while the database is away, and lose the lock with its supervisor.
        let ended = run.status().expect("gobctl");
        while_time_passes(Duration::from_millis(if ended.success() { 5 } else { 100 }));
    }
}

/// Kills supervisors, and the database now and then, each once some jobs were done since the kill before. Returns how many.
fn kill(machines: &[Gob], database: &mut Postgres, options: &Options, records: &Path) -> (usize, usize) {
    let mut dice = Dice::new(options.seed);
    let (mut supervisors, mut databases) = (0, 0);
    for nth in 1..=options.kills {
        let target = options.jobs * nth / (options.kills + 1);
        let until = Instant::now() + STUCK;
        while done(records) < target && Instant::now() < until {
            while_time_passes(Duration::from_millis(50));
        }
        while_time_passes(Duration::from_millis(dice.below(300)));
        if nth % 3 == 2 {
            database.kill().expect("a database that can be killed");
            while_time_passes(Duration::from_millis(dice.below(1_000)));
            database.run().expect("a database that comes again");
            databases += 1;
        } else {
            let which = usize::try_from(dice.below(machines.len() as u64)).unwrap_or_default();
            let line = machines.get(which).and_then(Gob::lock_line);
            let status =
                machines.get(which).and_then(|machine| ask(&mut None, machine, "status", &json!({})));
            if let (Some(_), Some(pid)) = (line, status.and_then(|status| status["pid"].as_i64())) {
                let killed = Command::new("kill").arg("-KILL").arg(pid.to_string()).status();
                supervisors += usize::from(killed.is_ok_and(|killed| killed.success()));
            }
        }
    }
    (supervisors, databases)
}

fn done(records: &Path) -> usize {
    let names = fs::read_dir(records).into_iter().flatten().flatten();
    names.filter(|entry| entry.file_name().to_string_lossy().ends_with(".good")).count()
}

/// Waits until no job waits or runs; returns the status of each.
fn settled(machines: &[Gob], records: &Path) -> BTreeMap<String, String> {
    let (mut conn, mut at) = (None, 0);
    let (mut last, mut since) = (0, Instant::now());
    loop {
        let Some(machine) = machines.get(at % machines.len()) else { return BTreeMap::new() };
        let lanes = ask(&mut conn, machine, "queue_list", &json!({"lane": LANE, "limit": 1}));
        let counts = lanes.map(|lanes| lanes["lanes"][0]["counts"].clone());
        if counts.as_ref().is_some_and(|counts| counts["pending"] == 0 && counts["running"] == 0)
            && let Some(all) = listed(&mut conn, machine)
        {
            return all;
        }
        let now = done(records);
        if now != last {
            (last, since) = (now, Instant::now());
        }
        if since.elapsed() > STUCK {
            eprintln!("no progress: {counts:?}");
            return listed(&mut conn, machine).unwrap_or_default();
        }
        (conn, at) = if counts.is_some() { (conn, at) } else { (None, at + 1) };
        while_time_passes(Duration::from_millis(200));
    }
}

/// Returns the status of each job.
fn listed(conn: &mut Option<Conn>, machine: &Gob) -> Option<BTreeMap<String, String>> {
    let (mut all, mut after) = (BTreeMap::new(), Value::Null);
    loop {
        let mut page = json!({"lane": LANE, "limit": 1_000});
        if !after.is_null() {
            page["after"] = after;
        }
        let data = ask(conn, machine, "queue_list", &page)?;
        for job in data["jobs"].as_array()? {
            all.insert(job["id"].as_str()?.to_owned(), job["status"].as_str()?.to_owned());
        }
        after = data["next"].clone();
        if after.is_null() {
            return Some(all);
        }
    }
}
