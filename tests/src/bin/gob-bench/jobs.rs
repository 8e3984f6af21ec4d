//! Jobs: their commands, their output, and the history of very many.

use crate::idle;
use crate::load::{Echo, REQUEST};
use crate::pinned::pinned;
use crate::process::{Floor, command, timed};
use crate::scale::{Server, read_line};
use crate::table::{Table, Target, alternate, median, medians, p99};
use gob_tests::process::{self, Handle};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// The numbers of each.
pub struct Sizes {
    /// Samples of whole processes.
    pub samples: usize,
    /// Bytes of captured output.
    pub bytes: u64,
    /// Requests under a flood.
    pub requests: usize,
    /// Jobs that are known.
    pub jobs: usize,
    /// Jobs with a history, and runs of each.
    pub history: (usize, usize),
}

/// Bytes of a line of a flood.
const LINE: usize = 100;
/// The longest time of a flood.
const CAPTURED: Duration = Duration::from_secs(120);
/// Workers that flood beside requests.
const FLOODS: usize = 5;
/// Pairs of floods.
const FLOOD_SAMPLES: usize = 3;

/// Measures every figure of jobs.
pub fn run(table: &mut Table, sizes: &Sizes) {
    let gob = Gob::new();
    commands(table, sizes, &gob);
    capture(table, sizes, &gob);
    beside_floods(table, sizes, &gob);
    gob.ctl(["shutdown"]).ok();
    let (full, short, small) = (Gob::new(), Gob::new(), Gob::new());
    let (jobs, runs) = sizes.history;
    fill(&full, jobs, runs);
    fill(&short, jobs, 1);
    fill(&small, 1, runs);
    start_with_history(table, sizes, &full, &short);
    create(table, sizes, &full);
    questions(table, sizes, &full, &small);
    save(table, sizes, &full);
}

/// Measures a job on the command line.
fn commands(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    gob.ctl(["ping"]).ok();
    let gobctl = gob.bin("gobctl");
    let worker = ["/bin/echo".to_owned(), "ready".to_owned()];
    let floor = Floor::start(gob, &worker);
    let floor_start = || {
        let elapsed = timed(&mut floor.call(gob, "start"));
        timed(&mut floor.call(gob, "stop"));
        elapsed
    };
    let mut conn = gob.connect_as("cli");
    let add = || {
        let elapsed = timed(command(gob, &gobctl).current_dir(gob.dir()).args(["add", "/bin/echo", "ready"]));
        rests(&mut conn, "j1");
        elapsed
    };
    let measured = medians(sizes.samples, add, floor_start);
    table.against("gobctl add, job spawned", "ms", measured, "floor's start", Target::RatioAtMost(1.8));
    let run = || timed(command(gob, &gobctl).current_dir(gob.dir()).args(["run", "true"]));
    let measured = medians(sizes.samples, run, floor_start);
    table.against("gobctl run true, job ended", "ms", measured, "floor's start", Target::RatioAtMost(2.5));
}

fn rests(conn: &mut Conn, name: &str) {
    let is_idle = || conn.ok("get", json!({"name": name}))["worker"]["state"] == "idle";
    assert!(wait::until(DEADLINE, is_idle), "{name} does not end");
}

/// Writes this many bytes of lines to standard output; 0 stands for no end.
pub fn flood(bytes: &str) -> ExitCode {
    let bytes: u64 = bytes.parse().expect("a number");
    let line = [[b'x'; LINE - 1].as_slice(), b"\n"].concat();
    let block = line.repeat(640);
    let mut left = if bytes == 0 { u64::MAX } else { bytes };
    let mut out = std::io::stdout().lock();
    while left > 0 {
        let len = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        if out.write_all(&block[..len]).is_err() {
            return ExitCode::FAILURE;
        }
        left -= len as u64;
    }
    ExitCode::SUCCESS
}

/// Returns this program as a command that floods. Not by its path: the build may have put another file there.
fn flooder(gob: &Gob) -> PathBuf {
    let path = gob.dir().join("flooder");
    if !path.exists() {
        std::fs::copy("/proc/self/exe", &path).expect("a copy");
    }
    path
}

/// Returns the processor seconds that all threads of a process have used.
fn cpu_s(pid: i32) -> f64 {
    // SAFETY: takes a number only.
    let ticks = unsafe { libc::sysconf(libc::_SC_CLK_TCK) } as f64;
    let field =
        |at| process::stat_field(pid, at).and_then(|text| text.parse::<f64>().ok()).expect("a process");
    (field(14) + field(15)) / ticks
}

/// Returns the processor seconds of this thread.
fn own_cpu_s() -> f64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is that of a local value.
    let done = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) };
    assert_eq!(done, 0);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn bare_flood(program: &Path, bytes: u64) -> Child {
    let mut command = Command::new(program);
    command.args(["flood", &bytes.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
    command.spawn().expect("a flooder")
}

/// Reads a pipe to its end and drops all.
fn drain(child: &mut Child) {
    let mut pipe = child.stdout.take().expect("a pipe");
    let mut chunk = vec![0; 64 * 1024];
    while matches!(pipe.read(&mut chunk), Ok(1..)) {}
    drop(pipe);
    child.wait().expect("a child");
}

/// Measures the capture of much output.
fn capture(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    let program = flooder(gob);
    let mut conn = gob.connect_as("cli");
    let gobd = gob.gobd_pid();
    let megabytes = sizes.bytes as f64 / 1e6;
    let payload = json!({
        "name": "capture", "command": [program, "flood", sizes.bytes.to_string()], "cwd": gob.dir(), "env": {},
    });
    let ours = || {
        let (begun, before) = (Instant::now(), cpu_s(gobd));
        conn.ok("add", payload.clone());
        let is_over = || conn.ok("get", json!({"name": "capture"}))["worker"]["state"] == "idle";
        assert!(wait::until(CAPTURED, is_over), "the flood has no end");
        (megabytes / begun.elapsed().as_secs_f64(), (cpu_s(gobd) - before) / megabytes * 1e3)
    };
    let theirs = || {
        let (begun, before) = (Instant::now(), own_cpu_s());
        drain(&mut bare_flood(&program, sizes.bytes));
        (megabytes / begun.elapsed().as_secs_f64(), (own_cpu_s() - before) / megabytes * 1e3)
    };
    let (ours, theirs) = alternate(FLOOD_SAMPLES, ours, theirs);
    let middle = |of: fn(&(f64, f64)) -> f64| {
        let all = |values: &[(f64, f64)]| median(&values.iter().map(of).collect::<Vec<_>>());
        (all(&ours), all(&theirs))
    };
    let what = format!("capture of {megabytes} MB of lines");
    table.against(&what, "MB/s", middle(|of| of.0), "bare pipe reader", Target::RatioAtLeast(0.9));
    let what = format!("{what}, processor time of gobd");
    table.against(&what, "s/GB", middle(|of| of.1), "bare pipe reader", Target::RatioAtMost(3.0));
}

/// Returns the 99th percentile in microseconds of requests with a short pause between them.
fn p99_of(socket: &Path, requests: usize) -> f64 {
    let mut stream = UnixStream::connect(socket).expect("a connection");
    let took = |_| {
        wait::while_time_passes(Duration::from_millis(1));
        let begun = Instant::now();
        stream.write_all(REQUEST).expect("a request");
        read_line(&stream);
        begun.elapsed().as_secs_f64() * 1e6
    };
    p99(&(0..requests).map(took).collect::<Vec<_>>())
}

/// Measures a request while workers flood, beside the echo while bare readers take as many floods.
fn beside_floods(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    let echo = Echo::start(gob);
    let program = flooder(gob);
    let mut conn = gob.connect_as("cli");
    let names: Vec<String> = (0..FLOODS).map(|n| format!("flood-{n}")).collect();
    let ours = || {
        for name in &names {
            let command = json!([program, "flood", "0", name]);
            let payload = json!({"name": name, "command": command, "cwd": gob.dir(), "env": {}});
            conn.ok("add", payload);
        }
        let p99 = p99_of(&gob.socket(), sizes.requests);
        names.iter().for_each(|name| drop(conn.ok("stop", json!({"name": name, "force": true}))));
        p99
    };
    let theirs = || {
        let mut floods: Vec<Child> = (0..FLOODS).map(|_| bare_flood(&program, 0)).collect();
        let ends: Vec<Handle> =
            floods.iter().map(|child| Handle::open(child.id() as i32).expect("a child")).collect();
        std::thread::scope(|scope| {
            floods.iter_mut().for_each(|child| drop(scope.spawn(|| drain(child))));
            let p99 = p99_of(&echo.socket, sizes.requests);
            ends.iter().for_each(|end| end.signal(Signal::SIGKILL));
            p99
        })
    };
    let measured = medians(FLOOD_SAMPLES, ours, theirs);
    let what = format!("a request while {FLOODS} workers flood, p99");
    table.against(&what, "µs", measured, "echo, bare readers", Target::RatioAtMost(2.0));
}

/// Makes a store with runs of `j1` and of as many more as are asked for, without running any of them but once.
fn fill(gob: &Gob, jobs: usize, runs: usize) {
    let mut conn = gob.connect_as("cli");
    let payload = json!({"command": ["true"], "cwd": gob.dir(), "env": {"PATH": "/usr/bin:/bin"}});
    conn.ok("add", payload);
    rests(&mut conn, "j1");
    conn.ok("runs", json!({"name": "j1"}));
    for n in 1..jobs {
        conn.ok("create", json!({"command": ["true", n.to_string()], "cwd": gob.dir(), "env": {}}));
    }
    drop(conn);
    gob.ctl(["shutdown"]).ok();
    let store = rusqlite::Connection::open(gob.state_dir().join("store.sqlite3")).expect("the store");
    // Copies of the one run, so that every row is as the supervisor writes it.
    let rows = "
        CREATE TEMP TABLE one AS SELECT * FROM run WHERE name = 'j1' AND run = 1;
        WITH RECURSIVE job(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM job WHERE n < ?1),
            number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < ?2)
        INSERT OR REPLACE INTO run
            SELECT 'j' || job.n, number.n, life, pid, started_at, ready_at, stopped_at, duration_ms, exit, outcome, cut,
                owner, actor
            FROM job, number, one;";
    let (one, copies) = rows.split_once(';').expect("two statements");
    store.execute_batch(one).expect("the first run");
    store.execute(copies, [jobs as i64, runs as i64]).expect("copies");
    let last_runs = "INSERT OR REPLACE INTO worker SELECT name, max(run) FROM run GROUP BY name";
    store.execute(last_runs, []).expect("their workers");
    let count: i64 = store.query_row("SELECT count(*) FROM run", [], |row| row.get(0)).expect("a count");
    assert_eq!(count as usize, jobs * runs);
}

/// Measures the cold start and the memory of an idle supervisor with much history, beside one that knows the same jobs
/// and a run of each.
fn start_with_history(table: &mut Table, sizes: &Sizes, full: &Gob, short: &Gob) {
    let cold = |gob: &Gob| {
        let elapsed = timed(command(gob, &gob.bin("gobctl")).arg("ping"));
        gob.ctl(["shutdown"]).ok();
        elapsed
    };
    let runs = sizes.history.0 * sizes.history.1;
    let measured = medians(sizes.samples.div_ceil(5), || cold(full), || cold(short));
    let what = format!("cold start, {runs} runs of {} jobs", sizes.history.0);
    table.against(&what, "ms", measured, "a run each", Target::RatioAtMost(1.2));
    let memory = |gob: &Gob| {
        gob.ctl(["ping"]).ok();
        let pid = gob.gobd_pid();
        idle::come_to_rest(pid);
        let bytes = process::smaps_bytes(pid, "Pss").unwrap_or_default() as f64 / 1024.0 / 1024.0;
        gob.ctl(["shutdown"]).ok();
        bytes
    };
    let measured = (memory(full), memory(short));
    let what = format!("PSS of gobd at rest, {runs} runs of {} jobs", sizes.history.0);
    table.against(&what, "MB", measured, "a run each", Target::RatioAtMost(1.2));
}

/// Makes the jobs.
fn create(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    let mut conn = gob.connect_as("cli");
    let gobd = gob.gobd_pid();
    let (begun, before) = (Instant::now(), cpu_s(gobd));
    for n in sizes.history.0..sizes.jobs {
        conn.ok("create", json!({"command": ["true", n.to_string()], "cwd": gob.dir(), "env": {}}));
    }
    let made = (sizes.jobs - sizes.history.0).max(1) as f64;
    let what = format!("create, mean up to {} jobs", sizes.jobs);
    table.alone(&what, "µs", begun.elapsed().as_secs_f64() * 1e6 / made, 1_000.0);
    let what = format!("{what}, processor time of gobd");
    table.alone(&what, "µs", (cpu_s(gobd) - before) * 1e6 / made, 500.0);
}

/// Returns the microseconds of a request.
fn asked(stream: &mut UnixStream, request: &Value) -> f64 {
    let line = format!("{request}\n");
    let begun = Instant::now();
    stream.write_all(line.as_bytes()).expect("a request");
    read_line(stream);
    begun.elapsed().as_secs_f64() * 1e6
}

/// Measures what is asked about jobs, with many of them and a long history.
fn questions(table: &mut Table, sizes: &Sizes, full: &Gob, small: &Gob) {
    small.ctl(["ping"]).ok();
    let (mut big, mut little) = (
        UnixStream::connect(full.socket()).expect("a connection"),
        UnixStream::connect(small.socket()).expect("a connection"),
    );
    let list = json!({"id": 1, "type": "list"});
    big.write_all(format!("{list}\n").as_bytes()).expect("a request");
    let answer = read_line(&big);
    let (socket, file) = (full.dir().join("canned.sock"), full.dir().join("canned.json"));
    std::fs::write(&file, &answer).expect("a file");
    let _server = Server::start(&socket, &["canned", file.to_str().expect("a path in UTF-8")]);
    let ours = || asked(&mut big, &list) / 1e3;
    let theirs = || asked(&mut UnixStream::connect(&socket).expect("a connection"), &list) / 1e3;
    let measured = medians(sizes.samples, ours, theirs);
    let mb = answer.len() as f64 / 1e6;
    let what = format!("list, {} jobs, its first page of {mb:.1} MB", sizes.jobs);
    table.against(&what, "ms", measured, "bytes ready", Target::RatioAtMost(5.0));

    let gobds = [full.gobd_pid(), small.gobd_pid()];
    for kind in ["runs", "stats"] {
        let request = json!({"id": 1, "type": kind, "payload": {"name": "j1"}});
        let measured = pinned(&gobds, || {
            medians(sizes.samples * 3, || asked(&mut big, &request), || asked(&mut little, &request))
        });
        let runs = sizes.history.0 * sizes.history.1;
        let what = format!("{kind} of a job, {} jobs and {runs} runs", sizes.jobs);
        table.against(&what, "µs", measured, "a job", Target::RatioAtMost(1.3));
    }
}

/// Measures what one change of one job costs at last: the state of all is written.
fn save(table: &mut Table, sizes: &Sizes, gob: &Gob) {
    const TIMES: u32 = 5;
    let mut conn = gob.connect_as("cli");
    let gobd = gob.gobd_pid();
    idle::come_to_rest(gobd);
    let alive = Handle::open(gobd).expect("gobd");
    let file = gob.state_dir().join("last.json");
    let written = || std::fs::metadata(&file).and_then(|of| of.modified()).expect("last.json");
    let begun = cpu_s(gobd);
    let mut pings = Vec::new();
    for round in 0..TIMES {
        let before = written();
        conn.ok(if round % 2 == 0 { "lease" } else { "release" }, json!({"name": "j1"}));
        let at = Instant::now();
        while written() == before && at.elapsed() < DEADLINE {
            let begun = Instant::now();
            conn.ok("ping", json!({}));
            pings.push(begun.elapsed().as_secs_f64() * 1e3);
            assert!(!alive.wait_gone(Duration::from_millis(1)), "gobd has ended");
        }
    }
    let each = (cpu_s(gobd) - begun) * 1e3 / f64::from(TIMES);
    let jobs = sizes.jobs;
    table.alone(&format!("processor time of a change and its save, {jobs} jobs"), "ms", each, 100.0);
    let worst = pings.iter().copied().fold(0.0, f64::max);
    table.alone(&format!("the longest ping meanwhile, {jobs} jobs"), "ms", worst, 30.0);
}
