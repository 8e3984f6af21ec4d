//! Facts from the kernel: the processes of this world, and the run of each.
//!
//! A worker's process is known by its program, which lies in this world's own directory: also one that left
//! its group, its session, its environment and its parent. Its run stands in gob's tag (the soft limit
//! RLIMIT_LOCKS).

use gob_protocol::tag::home_of;
use gob_tests::Gob;
use gob_tests::process;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Stands for the tag of a process that has neither a tag nor its run in its environment.
pub const UNMARKED: u64 = 0;

/// No tag has the highest bit.
const NO_TAG: u64 = 1 << 63;

/// A process of a worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proc {
    pub pid: i32,
    pub start: u64,
    /// The graph, for the leader of a run.
    pub leads: Option<String>,
    pub tag: u64,
}

/// Processes of this world.
#[derive(Debug, Default)]
pub struct Truth {
    pub workers: Vec<Proc>,
    pub supervisors: Vec<i32>,
    pub keepers: Vec<i32>,
}

impl Truth {
    pub fn leaders(&self) -> impl Iterator<Item = (&str, &Proc)> {
        self.workers.iter().filter_map(|proc| Some((proc.leads.as_deref()?, proc)))
    }
}

/// Reads the process table.
pub fn scan(gob: &Gob) -> Truth {
    let mut truth = Truth::default();
    let bin = gob.dir().join("bin");
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let Some(exe) = process::exe(pid) else { continue };
        if !exe.starts_with(&bin) || !process::is_alive(pid) {
            continue;
        }
        match exe.file_name().and_then(|name| name.to_str()) {
            Some("gobd") if is_supervisor(pid) => truth.supervisors.push(pid),
            Some("gob-keeper") => truth.keepers.push(pid),
            Some("gob-graph-worker" | "real-graph-worker") => truth.workers.extend(worker(pid)),
            _ => {}
        }
    }
    truth
}

/// A fork of the supervisor before its exec does not count: its parent is no process with `--lock-fd`.
fn is_supervisor(pid: i32) -> bool {
    process::parent(pid).and_then(process::exe).is_none_or(|exe| !exe.ends_with("gobd"))
}

fn worker(pid: i32) -> Option<Proc> {
    let args = fs::read(process::memory_of(pid).join("cmdline")).ok()?;
    let args: Vec<&[u8]> = args.split(|byte| *byte == 0).collect();
    let graph = args.iter().position(|arg| *arg == b"--graph").and_then(|at| args.get(at + 1));
    let leads = graph.map(|graph| String::from_utf8_lossy(graph).into_owned());
    Some(Proc { pid, start: process::start_time(pid)?, leads, tag: tag(pid)? })
}

/// Returns the tag of a worker's process; `None` when it is gone, and its pid perhaps another process's.
pub fn tag_of_worker(gob: &Gob, pid: i32) -> Option<u64> {
    let tag = tag(pid);
    tag.filter(|_| process::exe(pid).is_some_and(|exe| exe.starts_with(gob.dir().join("bin"))))
}

/// Returns the tag of a process.
fn tag(pid: i32) -> Option<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: sets nothing, and writes one `rlimit` to valid memory.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_LOCKS, std::ptr::null(), &raw mut limit) };
    if got != 0 {
        return None;
    }
    Some(limit.rlim_cur).filter(|tag| home_of(*tag).is_some()).or_else(|| Some(run_in_environment(pid)))
}

/// Returns a stand-in for the tag of a process that could not be marked: its worker and run from its
/// environment.
fn run_in_environment(pid: i32) -> u64 {
    let environ = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let own: Vec<&[u8]> = environ
        .split(|byte| *byte == 0)
        .filter(|pair| {
            [&b"GOB_NAME="[..], b"GOB_RUN=", b"GOB_INSTANCE="].iter().any(|name| pair.starts_with(name))
        })
        .collect();
    if own.is_empty() {
        return UNMARKED;
    }
    let mut hasher = DefaultHasher::new();
    own.hash(&mut hasher);
    hasher.finish() | NO_TAG
}

/// Returns whether this stands for the tag of a run that could not be marked.
pub fn is_unmarked(tag: u64) -> bool {
    tag & NO_TAG != 0
}

/// Returns the living processes with this tag.
pub fn tagged(tag_of_run: u64) -> Vec<i32> {
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| tag(*pid) == Some(tag_of_run) && process::is_alive(*pid)).collect()
}
