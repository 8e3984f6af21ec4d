//! The contents of inputs and effects: plans for the shell, and its findings. Plain data.

use crate::failure::Unclear;
use crate::ids::RunKey;
use crate::record::Keep;
use crate::target::Miss;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;
use gob_config::kind::Check;
use gob_protocol::{Env, ProcessId};
use serde::{Deserialize, Serialize};

/// A process that is not ours and holds a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// When it was started, as the kernel counts (proc(5), field 22 of `stat`); 0 where that is unknown.
    pub start_time: u64,
    /// The owner that the process itself names, in gob's words.
    pub owner: gob_protocol::Owner,
    /// The lock file or socket that it holds.
    pub path: String,
    /// The address at which its clients reach it.
    pub endpoint: Option<String>,
}

/// The processes that hold a graph without gob, as an examination finds them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    /// None. A lock file of a dead process has been removed.
    Nobody,
    /// A living process, by its lock file.
    Held(Holder),
    /// Workers of the graph that are alive without a lock file.
    Orphans(Vec<Orphan>),
    /// The examination failed.
    Unclear(Unclear),
}

/// The mark of an earlier supervisor that locks may be held, as it was found at the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LocksMark {
    /// None was left: no lock is held.
    #[default]
    Missing,
    /// A mark without a number that can be used.
    Unreadable,
    /// A mark with the highest token that may have been given, at most [`LocksMark::MAX`].
    UpTo(u64),
}

impl LocksMark {
    /// The highest number that is believed. A damaged one below it leaves 2^52 tokens that JSON carries exactly.
    pub const MAX: u64 = 1 << 52;
}

/// A worker that gob did not start, found by its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// The process.
    pub id: ProcessId,
    /// Its arguments, for people.
    pub command: String,
}

/// A notification of a process (sd_notify(3)), without its `STATUS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Note {
    /// `READY=1`.
    pub ready: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `WATCHDOG=1`.
    pub alive: bool,
    /// `WATCHDOG=trigger`.
    pub failed: bool,
    /// `WATCHDOG_USEC`, in milliseconds.
    pub watchdog_ms: Option<u64>,
    /// `EXTEND_TIMEOUT_USEC`, in milliseconds.
    pub extend_ms: Option<u64>,
}

/// The workers' sockets that are gone from [`sockets_dir`](crate::sockets_dir).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// These files. A worker that ends in order removes its own, so it may be among them.
    Files(BTreeSet<String>),
    /// Any of them may be: the directory was replaced, or its changes could not be followed.
    Any,
}

/// The places to examine for holders of a graph without gob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExaminePlan {
    /// The lock file that a worker makes for itself.
    pub lock_file: Option<String>,
    /// Program and arguments of the worker's own runs. They may hold [`PORT_MARK`].
    pub command: Vec<String>,
    /// The graph.
    pub graph: String,
    /// The real path of its root.
    pub root_dir: String,
    /// Asked at the ports on which a holder listens, to make sure that it serves the graph; a path.
    pub health: Option<String>,
}

/// A socket on which a run's tree listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// Its protocol.
    pub protocol: Transport,
    /// Its local address.
    pub address: IpAddr,
    /// The process that has it: the run's leader where that is one of several, else the one of the lowest number.
    pub pid: i32,
}

/// The protocol of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// Returns its name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A look at the sockets of runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortsSeen {
    /// The latest [`Effect::FindPorts`](crate::Effect::FindPorts) that came before the look; 0 for none.
    pub ticket: u64,
    /// The runs for which a look was due.
    pub due: Vec<RunKey>,
    /// All runs that were looked at, and where each listens.
    pub found: Result<BTreeMap<RunKey, Vec<Listener>>, Miss>,
}

/// The port that a run is to get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortWish {
    /// Any free port.
    Any,
    /// The port of the last run, or any free one where that is taken.
    Rather(u16),
    /// The port that the kind names, and no other.
    Only(u16),
}

/// Stands in a [`SpawnPlan`] for the free port that only the shell can find. It has control characters, which no name
/// has, so that no name of a graph is taken for it.
pub const PORT_MARK: &str = "\u{1}port\u{1}";

/// Everything that the shell needs to start a run. Its strings may hold [`PORT_MARK`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnPlan {
    /// The run.
    pub key: RunKey,
    /// Program and arguments, placeholders replaced.
    pub command: Vec<String>,
    /// Its working directory.
    pub cwd: String,
    /// Directories to make first, 0700.
    pub make_dirs: Vec<String>,
    /// A socket that a dead run may have left.
    pub stale_socket: Option<String>,
    /// Its whole environment.
    pub env: Env,
    /// Its umask.
    pub umask: u32,
    /// Its niceness, where that is not the supervisor's.
    pub nice: Option<u32>,
    /// The check that finds the run ready.
    pub check: Check,
    /// The check that reads in the output that the run still is well.
    pub liveness: Option<Check>,
    /// Resource limits by their names in [`gob_config::kind::RLIMITS`].
    pub rlimits: Vec<(String, u64)>,
    /// The lock of the run's graph; its processes inherit it.
    pub lock: Option<GraphLock>,
    /// The port that the run is to get, if it needs one.
    pub port: Option<PortWish>,
    /// The delay before the first step of the start, because the graph's lock was busy.
    pub after_ms: u64,
}

/// A file whose flock the processes of a run inherit, so that no two workers serve one graph, even under
/// two supervisors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphLock {
    /// The file.
    pub path: String,
    /// Written into the file for people and other supervisors; the shell adds the process id.
    pub note: serde_json::Map<String, serde_json::Value>,
    /// The graph's record beside the lock.
    pub keep: Keep,
}
