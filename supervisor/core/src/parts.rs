//! What inputs and effects are about: plans of what the shell is to do, and what it has found. Plain data.

use crate::ids::RunKey;
use crate::record::Keep;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use gob_config::kind::Check;
use gob_protocol::{Env, ProcessId};
use serde::{Deserialize, Serialize};

/// A process that is not ours and holds a graph.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process id.
    pub pid: i32,
    /// When it was started, as the kernel counts (proc(5), field 22 of `stat`); 0 where nobody can tell.
    pub start_time: u64,
    /// Its owner as it tells it, in gob's words.
    pub owner: gob_protocol::Owner,
    /// What it holds: a lock file, a socket.
    pub path: String,
    /// Where its clients reach it.
    pub endpoint: Option<String>,
}

/// Who holds a graph without gob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Examined {
    /// Nobody. A lock file of a dead process is gone.
    Nobody,
    /// A living process, by its lock file.
    Held(Holder),
    /// Workers of the graph that are alive without a lock file.
    Orphans(Vec<Orphan>),
    /// It can't be told, in words: a lock file that can't be read, say.
    Unclear(String),
}

/// A worker that gob did not start, found by its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orphan {
    /// Which process.
    pub id: ProcessId,
    /// Its arguments, for people.
    pub command: String,
}

/// What a process says on the socket for notifications (sd_notify(3)), `STATUS` aside.
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

/// Which of the sockets that workers were given are gone from [`sockets_dir`](crate::sockets_dir).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// These files. Whoever ends in order takes its own away too.
    Files(BTreeSet<String>),
    /// Any of them may be: the directory is another one, or nobody knows what happened in it.
    Any,
}

/// Where to look for whoever holds a graph without gob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExaminePlan {
    /// The lock file that a worker makes for itself.
    pub lock_file: Option<String>,
    /// Program and arguments as a run of the worker has them. It may hold [`PORT_MARK`].
    pub command: Vec<String>,
    /// The graph.
    pub graph: String,
    /// The real path of its root.
    pub root_dir: String,
    /// Asked at the ports on which a holder listens, to make sure that it serves the graph; a path.
    pub health: Option<String>,
}

/// What a probe looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The status of the answer to a GET.
    Http {
        /// On this port of the loopback interface; `None`: on any on which the run's tree listens.
        port: Option<u16>,
        /// Path and query.
        path: String,
        /// The status that means ready.
        status: u16,
    },
    /// A connection that is taken: `host:port` or `unix:path`.
    Connect {
        /// Where.
        address: String,
    },
    /// A line of output that the run's check knows, since the last look.
    Output,
}

/// Which port a run is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortWish {
    /// Any that is free.
    Any,
    /// The port of the last run, or any other where it is taken.
    Rather(u16),
    /// The port that the kind says, and no other.
    Only(u16),
}

/// Stands in a [`SpawnPlan`] for the free port that only the shell can find. It has control characters, which no name
/// has, so that nobody's graph is taken for it.
pub const PORT_MARK: &str = "\u{1}port\u{1}";

/// Everything that the shell needs to start a run. Its strings may hold [`PORT_MARK`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpawnPlan {
    /// Which run.
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
    /// How readiness is seen.
    pub check: Check,
    /// How it is seen in the output that the run goes on being well.
    pub liveness: Option<Check>,
    /// Resource limits by their names in [`gob_config::kind::RLIMITS`].
    pub rlimits: Vec<(String, u64)>,
    /// The lock of the run's graph; its processes inherit it.
    pub lock: Option<GraphLock>,
    /// The port that the run is given, if it needs one.
    pub port: Option<PortWish>,
    /// So long nothing is done for it: its graph's lock was busy.
    pub after_ms: u64,
}

/// A file whose flock the processes of a run inherit, so that no two workers serve one graph, whoever started them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphLock {
    /// The file.
    pub path: String,
    /// What is written into it for people and other supervisors; the shell adds the process id.
    pub note: serde_json::Map<String, serde_json::Value>,
    /// What is kept of the graph beside it.
    pub keep: Keep,
}
