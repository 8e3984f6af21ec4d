//! System calls of the supervisor fail, each in every way: it never panics, answers again at once, and
//! nothing is stuck.
//!
//! `strace` makes every other call fail, while workers are started, restarted and stopped. It follows new
//! threads and, for a moment, workers too, whose own failures are of no concern here.

use gob_tests::process::Handle;
use gob_tests::require::{Need, skip};
use gob_tests::script::{Step, every_escape};
use gob_tests::wait::{self, DEADLINE};
use gob_tests::{Conn, Gob};
use nix::sys::ptrace;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use serde_json::json;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Time to wait for answers that a failed call may have swallowed.
const WHILE_FAILING: Duration = Duration::from_millis(400);

/// Time to wait for a call that happens only when something else is due.
const WHILE_LATE: Duration = Duration::from_secs(2);

const ERRORS: [&str; 6] = ["ENOSPC", "EMFILE", "EINTR", "EAGAIN", "EIO", "ENOMEM"];

/// A strace that makes calls fail, or wait, until it is dropped.
pub(crate) struct Failing {
    strace: Child,
    /// The process that it traces.
    pid: i32,
}

impl Failing {
    /// Attaches to a process and waits until it has. Where files are given, only calls on these fail. strace
    /// writes the calls that it sees to `trace`.
    pub(crate) fn attach(pid: i32, calls: &str, how: &str, files: &[PathBuf], trace: &Path) -> Self {
        Self::begin(pid, &["-f"], calls, how, files, trace)
    }

    /// As [`attach`](Self::attach), but to one thread alone: neither the others nor their children fail.
    pub(crate) fn attach_to_thread(tid: i32, calls: &str, how: &str) -> Self {
        Self::begin(tid, &[], calls, how, &[], Path::new("/dev/null"))
    }

    fn begin(pid: i32, whom: &[&str], calls: &str, how: &str, files: &[PathBuf], trace: &Path) -> Self {
        let inject = format!("inject={calls}:{how}");
        let mut command = Command::new("timeout");
        // Ended in any case, so that no process stays traced when this test fails or a traced process ends in
        // a bad moment.
        command.args(["-k", "1", "-s", "INT", "30", "strace"]).args(whom);
        command
            .args(["-e", &format!("trace={calls}"), "-e", &inject, "-p", &pid.to_string(), "-o"])
            .arg(trace);
        files.iter().for_each(|file| {
            command.arg("-P").arg(file);
        });
        let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().expect("strace");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let attached = lines.find_map(|line| {
            let line = line.expect("a line of strace");
            assert!(!line.contains("Operation not permitted"), "{line}");
            line.contains("attached").then_some(line)
        });
        assert!(attached.is_some(), "strace did not attach to {pid}");
        // strace reports every new thread, and its output must be read.
        std::thread::spawn(move || lines.for_each(drop));
        Self { strace: child, pid }
    }
}

impl Drop for Failing {
    fn drop(&mut self) {
        let handle = Handle::open(self.strace.id() as i32).expect("a child");
        handle.signal(Signal::SIGINT);
        drop(self.strace.wait());
        let is_free = || !is_traced(self.pid);
        assert!(wait::until(DEADLINE, is_free) || std::thread::panicking(), "{} stays traced", self.pid);
    }
}

/// Whether any thread of a process, or a child of it, is traced.
fn is_traced(pid: i32) -> bool {
    let is_traced = |task: PathBuf| {
        let status = fs::read_to_string(task.join("status")).unwrap_or_default();
        status.lines().any(|line| line.starts_with("TracerPid:") && !line.ends_with("\t0"))
    };
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_children = |task: &Path| fs::read_to_string(task.join("children")).unwrap_or_default();
    tasks.map(|task| task.path()).any(|task| {
        let children = of_children(&task);
        let mut children = children.split_whitespace().map(|pid| Path::new("/proc").join(pid));
        is_traced(task) || children.any(is_traced)
    })
}

pub(crate) fn strace_works() -> bool {
    let traced = Command::new("timeout").args(["5", "strace", "-o", "/dev/null", "true"]).output();
    traced.is_ok_and(|output| output.status.success())
}

/// Requests everything that a supervisor does, as far as it can be done now.
fn ask_for_everything(gob: &Gob) {
    let Ok(stream) = std::os::unix::net::UnixStream::connect(gob.socket()) else { return };
    let mut conn = Conn::over(stream);
    let requests = [
        // A client that names no owner may stop nothing.
        json!({"id": 0, "type": "hello", "payload": {"protocol": 1, "owner": "cli"}}),
        json!({"id": 1, "type": "subscribe", "payload": {}}),
        json!({"id": 2, "type": "start", "payload": {"graph": "a", "timeout_ms": 300}}),
        json!({"id": 3, "type": "stop", "payload": {"name": "tree", "grace_ms": 50}}),
        json!({"id": 4, "type": "start", "payload": {"graph": "tree", "wait": "spawned", "timeout_ms": 300}}),
        json!({"id": 5, "type": "reload"}),
        json!({"id": 6, "type": "list"}),
        json!({"id": 7, "type": "restart", "payload": {"name": "b", "timeout_ms": 300}}),
        json!({"id": 8, "type": "ping"}),
    ];
    for request in &requests {
        if conn.try_send(format!("{request}\n").as_bytes()).is_err() {
            return;
        }
    }
    let deadline = Instant::now() + WHILE_FAILING;
    let mut left = requests.len();
    while left > 0 {
        match conn.frame_within(deadline.saturating_duration_since(Instant::now())) {
            Some(frame) => left -= usize::from(frame["event"].is_null()),
            None => return,
        }
    }
}

/// Lets one sort of call fail in every way, and checks the supervisor after each.
fn fail(calls: &str) {
    fail_on(calls, &[]);
}

/// As [`fail`], but only on these files of the state directory.
fn fail_on(calls: &str, files: &[&str]) {
    if !strace_works() {
        return skip(Need::Strace, &format!("strace is not here or may not trace; nobody let {calls} fail"));
    }
    let gob = Gob::new();
    let files: Vec<PathBuf> = files.iter().map(|file| gob.state_dir().join(file)).collect();
    gob.script("tree", &[every_escape(), vec![Step::Listen, Step::Handshake]].concat());
    fs::write(gob.dir().join("config.toml"), "[kind.graph]\nstop = { grace = \"500ms\" }\n").unwrap();
    let status = gob.status();
    let pid = status["pid"].as_i64().unwrap() as i32;
    let trace = gob.dir().join("trace");
    let mut failed = 0;
    for error in ERRORS {
        for graph in ["b", "tree"] {
            gob.connect_as("cli").ok("start", json!({"graph": graph}));
        }
        let failing = Failing::attach(pid, calls, &format!("error={error}:when=1+2"), &files, &trace);
        ask_for_everything(&gob);
        // Some effects of the requests come a second later.
        if !wait::until(WHILE_LATE, || injected(&trace, pid, &files) > 0) {
            eprintln!("{calls} {error}: the supervisor made no such call");
        }
        drop(failing);
        failed += injected(&trace, pid, &files);
        let now = gob.status();
        assert_eq!(now["instance"], status["instance"], "{calls} {error}: the supervisor is another one");
        let log = fs::read_to_string(gob.state_dir().join("gobd.log")).unwrap();
        assert!(!log.contains("panicked"), "{calls} {error}: {log}");
        // Nothing is stuck: every worker can be stopped, with nothing left of it, and started.
        let mut conn = gob.connect();
        for name in ["a", "b", "tree"] {
            let deadline = Instant::now() + DEADLINE;
            loop {
                let mut cli = gob.connect_as("cli");
                let answer = cli.ask("stop", json!({"name": name, "force": true}));
                let code = &answer["error"]["code"];
                if answer["success"] == true || code == "server-not-found" {
                    break;
                }
                // An owner that is `unknown` is taken over, and a failed examination is repeated.
                assert!(Instant::now() < deadline, "{calls} {error}: {answer}");
                assert!(code == "server-stop-timeout", "{calls} {error}: {answer}");
            }
        }
        assert_eq!(conn.ok("status", json!({}))["workers"].get("ready"), None, "{calls} {error}");
        let bin = gob.bin("gob-graph-worker");
        let mut left = gob.processes();
        left.retain(|pid| gob_tests::process::exe(*pid).is_some_and(|exe| exe == bin));
        let told: Vec<String> = left.iter().map(|pid| gob_tests::process::describe(*pid)).collect();
        assert_eq!(told, Vec::<String>::new(), "{calls} {error}");
    }
    assert!(failed > 0, "nothing failed: {calls} on {files:?}");
}

/// Returns how many calls of the supervisor were made to fail. On its own files all calls are the
/// supervisor's; others are told by the thread, as the calls of a worker are traced too.
fn injected(trace: &Path, pid: i32, files: &[PathBuf]) -> usize {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let threads: Vec<String> = threads.filter_map(|task| task.file_name().into_string().ok()).collect();
    let trace = fs::read_to_string(trace).unwrap();
    let own = |line: &&str| line.split_whitespace().next().is_some_and(|id| threads.iter().any(|t| t == id));
    let failed = trace.lines().filter(|line| line.contains("(INJECTED)"));
    failed.filter(|line| !files.is_empty() || own(line)).count()
}

#[test]
fn opening_fails() {
    fail("openat");
}

#[test]
fn writing_of_output_and_answers_fails() {
    fail("writev,pwrite64,sendto");
}

#[test]
fn writing_of_files_fails() {
    // Not all of `write`: it also wakes the runtime by an eventfd, which no kernel refuses.
    let files = ["gobd.log", "gobd.lock", "last.json.new", "logs/a/1.stdout.log", "logs/a/2.stdout.log"];
    fail_on("write", &files);
}

#[test]
fn renaming_fails() {
    // Workers of the tests rename files too.
    fail_on("rename,renameat,renameat2", &["last.json.new"]);
}

#[test]
fn making_pipes_fails() {
    fail("pipe2");
}

#[test]
fn making_processes_and_threads_fails() {
    fail("clone,clone3,vfork");
}

#[test]
fn accepting_fails() {
    fail("accept4");
}

#[test]
fn connecting_fails() {
    fail("connect");
}

#[test]
fn holding_processes_fails() {
    fail("pidfd_open,pidfd_send_signal");
}

#[test]
fn making_directories_fails() {
    fail("mkdir,mkdirat");
}

/// A tracer that lets go of a process while a signal is delivered to it can swallow the signal, as strace does when it
/// is ended in the wrong moment. An exit stayed unseen for ever then.
#[test]
fn an_exit_whose_signal_was_swallowed_is_seen_soon_all_the_same() {
    if !strace_works() {
        return skip(Need::Strace, "this process may not trace; no signal was swallowed");
    }
    let gob = Gob::new();
    let mut conn = gob.connect_as("cli");
    let worker = conn.ok("start", json!({"graph": "a"}))["worker"]["pid"].clone();
    // The only thread that takes signals.
    let gobd = Pid::from_raw(gob_tests::process::thread(gob.gobd_pid(), "loop").unwrap());
    ptrace::seize(gobd, ptrace::Options::empty()).unwrap();
    Handle::open(worker.as_i64().unwrap() as i32).unwrap().signal(Signal::SIGKILL);
    let flags = Some(WaitPidFlag::WNOHANG | WaitPidFlag::__WALL);
    let is_delivered = || waitpid(gobd, flags) == Ok(WaitStatus::Stopped(gobd, Signal::SIGCHLD));
    assert!(wait::until(DEADLINE, is_delivered));
    ptrace::detach(gobd, None).unwrap();

    let is_seen = || conn.ok("list", json!({}))["workers"][0]["pid"] != worker;
    assert!(wait::until(DEADLINE, is_seen), "{}", gob.logs());
}

#[test]
fn a_supervisor_that_panics_is_followed_by_another_one() {
    if !strace_works() {
        return skip(Need::Strace, "strace is not here or may not trace; no supervisor panicked");
    }
    let gob = Gob::new();
    let worker =
        gob.connect_as("cli").ok("start", json!({"graph": "g"}))["worker"]["pid"].as_i64().unwrap() as i32;
    let worker = Handle::open(worker).unwrap();
    let status = gob.status();
    // The runtime can't go on without this call.
    let pid = status["pid"].as_i64().unwrap() as i32;
    let trace = gob.dir().join("trace");
    let failing = Failing::attach(pid, "epoll_wait,epoll_pwait", "error=ENOMEM:when=1", &[], &trace);
    assert!(worker.wait_gone(DEADLINE), "what it owned went with it");
    drop(failing);
    // No request is sent meanwhile.
    gob.wait_other_instance(status["instance"].as_str().unwrap());
    assert_eq!(gob.status()["keeper_pid"], status["keeper_pid"]);
}
