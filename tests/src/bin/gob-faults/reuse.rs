//! The proof that a pid is no reason: every pid that gob has written down or holds is given to a process of
//! another program, with a worker's very arguments, and that process lives.
//!
//! All of it happens in a process namespace of its own, where the next pid can be chosen (`ns_last_pid`,
//! proc(5)) and no other program takes it. Needs root, and reports its absence.

use crate::fleet;
use crate::options::Options;
use gob_tests::Gob;
use gob_tests::process::{self, Handle};
use gob_tests::script::{Child, Step};
use gob_tests::wait::{self, DEADLINE};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::Path;
use std::process::{self as own, Command, Stdio};

/// Variable of the first process of the namespace, and of the one that does the work.
const PART: &str = "GOB_FAULTS_REUSE";
/// Tries to get a pid before another program does.
const TRIES: usize = 200;

/// Runs as the first process of the namespace, where this process was started as such.
pub fn part() -> Option<own::ExitCode> {
    std::env::var(PART).is_ok_and(|part| part == "init").then(init)
}

/// Makes the namespace and runs the proof in it; true when no other process was touched.
pub fn run(options: &Options) -> bool {
    if std::env::var(PART).is_ok_and(|part| part == "inside") {
        return rounds(options.times);
    }
    // SAFETY: takes no pointer; it changes where the next child lives.
    let apart = unsafe { libc::unshare(libc::CLONE_NEWPID | libc::CLONE_NEWNS) };
    if apart != 0 {
        eprintln!(
            "error: nothing was tried: no process namespace: {}; run it as root",
            io::Error::last_os_error()
        );
        return false;
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(["reuse", "--times", &options.times.to_string()]).env(PART, "init");
    command.status().expect("a process").success()
}

/// Runs as the first process of the namespace: mounts a table of its own, reaps all orphans, and ends with
/// the process that does the work. A pid that is not reaped can't be given again.
#[expect(clippy::zombie_processes, reason = "it is reaped with everybody else")]
fn init() -> own::ExitCode {
    let flags = libc::MS_REC | libc::MS_PRIVATE;
    let (none, proc) = (c"none".as_ptr(), c"proc".as_ptr());
    // SAFETY: all texts are constant.
    let mounted = unsafe {
        libc::mount(none, c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()) == 0
            && libc::mount(proc, c"/proc".as_ptr(), proc, 0, std::ptr::null()) == 0
    };
    if !mounted || give_next(i32::from(u8::MAX)).is_err() {
        eprintln!("error: nothing was tried: numbers can't be chosen: {}", io::Error::last_os_error());
        return own::ExitCode::FAILURE;
    }
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    let child = command.args(std::env::args().skip(1)).env(PART, "inside").spawn().expect("a process");
    loop {
        match waitpid(None, None) {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == child.id() as i32 => {
                return own::ExitCode::from(code as u8);
            }
            Ok(WaitStatus::Signaled(pid, ..)) if pid.as_raw() == child.id() as i32 => {
                return own::ExitCode::FAILURE;
            }
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(_) => return own::ExitCode::FAILURE,
        }
    }
}

fn rounds(times: u64) -> bool {
    let mut given = 0;
    let mut ended = Vec::new();
    for round in 1..=times {
        for scene in [dead_supervisor, dead_processes_of_a_living_one] {
            let mut bystanders = scene();
            given += bystanders.len();
            for (what, bystander) in &mut bystanders {
                if let Some(status) = bystander.try_wait().expect("a child") {
                    ended.push(format!("round {round}: {what}, {}: {status}", bystander.id()));
                }
                drop(bystander.kill());
                drop(bystander.wait());
            }
        }
    }
    ended.iter().for_each(|ended| eprintln!("VIOLATION in {ended}"));
    println!("{given} numbers given to others, {} of them signalled", ended.len());
    ended.is_empty()
}

/// Processes that got the pid of another one, with the name of that one.
type Bystanders = Vec<(&'static str, own::Child)>;

/// Starts a worker that has left two processes behind.
fn start(gob: &Gob) -> (Value, Vec<i32>) {
    let away = Child { detach: true, ignore_term: true, close_fds: true, ..Default::default() };
    gob.script("g", &[Step::Child(away.clone()), Step::Child(away), Step::Listen, Step::Handshake]);
    let worker = gob.connect_as("cli").ok("start", json!({"graph": "g"}))["worker"].take();
    let children = gob.children("g", worker["run"].as_u64().expect("a run"));
    (worker, children)
}

/// gobd and its keeper are dead, and their pids, that of a worker and that of one of its children, all of
/// which are in the journal and the lock file, belong to other processes when the next supervisor searches
/// for leftovers.
fn dead_supervisor() -> Bystanders {
    let gob = Gob::new();
    let (worker, children) = start(&gob);
    let status = gob.status();
    let pid = |value: &Value| value.as_i64().expect("a pid") as i32;
    let dead = [
        ("gobd", pid(&status["pid"])),
        ("gob-keeper", pid(&status["keeper_pid"])),
        ("a worker", pid(&worker["pid"])),
        ("a worker's child", children[0]),
    ];
    let handles: Vec<Handle> = dead.iter().filter_map(|(_, pid)| Handle::open(*pid)).collect();
    // Both are stopped before either can react.
    handles[0].signal(Signal::SIGSTOP);
    for handle in [&handles[1], &handles[0], &handles[3]] {
        handle.signal(Signal::SIGKILL);
    }
    assert!(handles.iter().all(|handle| handle.wait_gone(DEADLINE)), "they were killed");
    let bystanders = dead.map(|(what, pid)| (what, give(&gob, pid))).into();
    gob.ctl(["ping"]).ok();
    assert_eq!(process::survivors(&children[1..], DEADLINE), Vec::<i32>::new());
    assert_eq!(gob.status()["orphans_recovered"], 1, "the one that was left");
    // A pid that was given to another process is no reason later on, either.
    gob.connect_as("cli").ok("start", json!({"graph": "g"}));
    gob.connect_as("cli").ok("stop", json!({"name": "g", "force": true}));
    bystanders
}

/// A worker's child has ended, and then the worker itself, and their pids belong to other processes when it
/// is stopped, signalled, and its supervisor killed.
fn dead_processes_of_a_living_one() -> Bystanders {
    let gob = Gob::new();
    let (worker, children) = start(&gob);
    let end = |pid: i32| {
        let handle = Handle::open(pid).expect("a live process");
        handle.signal(Signal::SIGKILL);
        assert!(handle.wait_gone(DEADLINE));
    };
    end(children[0]);
    let mut bystanders = vec![("a worker's child", give(&gob, children[0]))];
    let mut conn = gob.connect_as("cli");
    let receipt = conn.ok("stop", json!({"name": "g", "force": true}))["receipt"].take();
    let told = receipt["signalled"].as_array().expect("a receipt");
    assert!(told.iter().all(|one| one["pid"] != children[0]), "{receipt}");
    bystanders.push(("a worker", give(&gob, worker["pid"].as_i64().expect("a pid") as i32)));
    conn.err("signal", json!({"name": "g", "signal": "KILL"}), "server-not-running");
    conn.ok("stop", json!({"name": "g", "force": true}));
    conn.ok("start", json!({"graph": "g"}));
    let instance = gob.status()["instance"].as_str().expect("an instance").to_owned();
    end(gob.gobd_pid());
    gob.wait_other_instance(&instance);
    bystanders
}

/// Gives a pid that is free, or about to be, to a process with a worker's arguments.
fn give(gob: &Gob, number: i32) -> own::Child {
    let path = format!("/proc/{number}");
    assert!(
        wait::until(DEADLINE, || !Path::new(&path).exists()),
        "{} is not reaped",
        process::describe(number)
    );
    let mut command = fleet::double_of(gob, "g");
    command.stdin(Stdio::null());
    for _ in 0..TRIES {
        give_next(number).expect("ns_last_pid");
        let mut child = command.spawn().expect("a process");
        if child.id() as i32 == number {
            return child;
        }
        child.kill().expect("a child");
        child.wait().expect("a child");
    }
    panic!("{number} always goes to somebody else");
}

/// Gives this pid to the next process, if it is free.
fn give_next(number: i32) -> io::Result<()> {
    fs::write("/proc/sys/kernel/ns_last_pid", (number - 1).to_string())
}
