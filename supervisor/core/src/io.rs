//! What goes into the core and what comes out of it, as plain data.
//!
//! The shell turns the world into [`Input`]s and carries out [`Effect`]s in their order; it decides nothing.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::config::{Config, Rejected};
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::kind::Check;
use gob_protocol::view::Port;
use gob_protocol::{
    Data, Env, Event, Exit, Id, Lagged, Name, ProcessId, Receipt, Request, Status, Timestamp, WireError,
};

/// The time at which an input happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds on a clock that never goes back; its zero is the supervisor's start.
    pub mono_ms: u64,
    /// The same moment for people.
    pub wall: Timestamp,
}

/// One connection; never given twice in a supervisor's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// One run of one worker. Every message about a run carries it, so that a late one can be told from a true one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunKey {
    /// The worker.
    pub name: Name,
    /// Its run, from 1.
    pub run: u64,
}

/// What came of reading the configuration: what it says, or everything that is wrong with it.
pub type Read = Result<Box<Config>, Box<Rejected>>;

/// What happened.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client connected; the kernel vouched for its user.
    Connected {
        /// The new connection.
        conn: ConnId,
        /// The client's process, where the kernel tells it.
        pid: Option<i32>,
    },
    /// A client asked for something.
    Request {
        /// Which client.
        conn: ConnId,
        /// What it calls the request.
        id: Option<Id>,
        /// What it wants. A `root_dir` in it is a real path already.
        request: Request,
    },
    /// Event frames left the queue of a subscriber.
    Written {
        /// Which client.
        conn: ConnId,
        /// How many since the last such input.
        frames: u32,
    },
    /// A connection ended.
    Disconnected {
        /// Which.
        conn: ConnId,
    },
    /// A run has a process.
    Spawned {
        /// Which run.
        key: RunKey,
        /// Its leader, which leads its own process group too.
        pid: i32,
        /// The port that stands for [`PORT_MARK`] in its plan, where the plan needs one.
        port: Option<u16>,
    },
    /// A run gets no process: somebody else holds the lock of its graph.
    Held {
        /// Which run.
        key: RunKey,
        /// Who.
        holder: Holder,
    },
    /// The answer to [`Effect::Examine`] and to [`Effect::EndOrphans`]: who holds the run's graph without gob.
    Examined {
        /// Which run.
        key: RunKey,
        /// Who.
        found: Examined,
    },
    /// What is left of processes that an earlier supervisor started for this worker; nothing when they are gone.
    Leftover {
        /// The worker's name.
        name: Name,
        /// Its processes.
        pids: Vec<i32>,
    },
    /// A run could not get a process.
    SpawnFailed {
        /// Which run.
        key: RunKey,
        /// The errno's name.
        errno: String,
        /// Operation, path and cause, for people.
        message: String,
    },
    /// The readiness check is satisfied.
    Ready {
        /// Which run.
        key: RunKey,
        /// What is known of the worker now.
        handshake: Handshake,
        /// Ports on which its tree listens, where that was looked up.
        ports: Vec<Port>,
    },
    /// The readiness check never will be satisfied.
    NeverReady {
        /// Which run.
        key: RunKey,
        /// Why.
        error: HandshakeError,
        /// The last lines that the run wrote.
        last_lines: Vec<String>,
    },
    /// What a run that is not ready yet says of itself, or what its probe saw last.
    Told {
        /// Which run.
        key: RunKey,
        /// In words.
        status: String,
    },
    /// A process of the run said something that its state depends on (sd_notify(3)).
    Notified {
        /// Which run.
        key: RunKey,
        /// What.
        note: Note,
    },
    /// The answer to [`Effect::StopHttp`].
    StopAnswered {
        /// Which run.
        key: RunKey,
        /// Whether the worker took the request.
        taken: bool,
    },
    /// A liveness probe has an answer.
    Probed {
        /// Which run.
        key: RunKey,
        /// Why the probe failed; `None` when it is well.
        failure: Option<String>,
    },
    /// The leader of a run ended and was reaped, its group having been killed before.
    Exited {
        /// Which run.
        key: RunKey,
        /// How.
        exit: Exit,
    },
    /// The answer to [`Effect::Sweep`], after [`Input::Exited`]: nothing of the run's tree is left.
    Swept {
        /// Which run.
        key: RunKey,
        /// What was signalled on the way.
        receipt: Receipt,
        /// The last lines that the run wrote.
        last_lines: Vec<String>,
        /// The port that the run was given is somebody else's by now.
        port_taken: bool,
    },
    /// The answer to [`Effect::Census`]: what a run's tree still holds.
    Surviving {
        /// Which run.
        key: RunKey,
        /// What was signalled, and who is left.
        receipt: Receipt,
    },
    /// A process that is not ours was found to hold a graph, or to hold it no longer.
    External {
        /// The worker at rest that serves the graph.
        name: Name,
        /// Who holds it now.
        holder: Option<Holder>,
    },
    /// The time of [`Effect::WakeAt`] has come.
    Due,
    /// The supervisor serves; fed once.
    Begin,
    /// The configuration is to be read again, as a SIGHUP says.
    Reread,
    /// The answer to [`Effect::ReadConfig`].
    Configured(Read),
    /// Files of the supervisor's own that somebody had taken away are there again.
    Healed,
    /// The supervisor is to end in order: a signal, or its keeper died.
    Terminate,
}

/// A process that is not ours and holds a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// These were to be ended, and were not in time.
    Survived(Vec<Orphan>),
    /// It can't be told, in words: a lock file that can't be read, say.
    Unclear(String),
}

/// A worker that gob did not start, found by its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
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

/// What the shell is to do.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Answer a request.
    Reply {
        /// To whom.
        conn: ConnId,
        /// What the client calls its request.
        id: Option<Id>,
        /// The answer.
        result: Result<Data, Box<WireError>>,
    },
    /// Answer `status`, adding what only the shell can measure.
    ReplyStatus {
        /// To whom.
        conn: ConnId,
        /// What the client calls its request.
        id: Option<Id>,
        /// What the core knows.
        status: Box<Status>,
    },
    /// Queue an event for subscribers.
    Publish {
        /// The event; `owned` in its view is to be set for each of the two groups.
        event: Rc<Event>,
        /// Subscribers who may stop the worker.
        owned: Vec<ConnId>,
        /// Subscribers who may not.
        others: Vec<ConnId>,
    },
    /// Queue the frame that stands for missed events.
    Lagged {
        /// For whom.
        conn: ConnId,
        /// The frame.
        frame: Box<Lagged>,
    },
    /// Start a process; answered by `Spawned` or `SpawnFailed`.
    Spawn(Box<SpawnPlan>),
    /// Ask a run's tree to end: this signal and then SIGCONT to its group.
    Terminate {
        /// Which run.
        key: RunKey,
        /// The signal's name.
        signal: String,
    },
    /// Ask a run to end by an HTTP request, which has one second; answered by `StopAnswered`.
    StopHttp {
        /// Which run.
        key: RunKey,
        /// Where: `http://host:port`.
        endpoint: String,
        /// What: a method and a path, as in `POST /v1/shutdown`.
        request: String,
    },
    /// Look whether a run is ready, again and again until it is or `EndProbe` comes; answered by `Ready`.
    Probe {
        /// Which run.
        key: RunKey,
        /// At what.
        target: Target,
    },
    /// Look once whether a run is well; answered by `Probed`.
    ProbeOnce {
        /// Which run.
        key: RunKey,
        /// At what.
        target: Target,
        /// How long that may take.
        timeout_ms: u64,
    },
    /// Look who holds a run's graph without gob, and take a dead process's lock file away; answered by `Examined`.
    Examine {
        /// Which run.
        key: RunKey,
        /// Where to look.
        plan: Box<ExaminePlan>,
    },
    /// End these processes, each of them if it still is the one that was found; answered by `Examined`.
    EndOrphans {
        /// Which run.
        key: RunKey,
        /// Whom.
        orphans: Vec<Orphan>,
        /// Where to look again afterwards.
        plan: Box<ExaminePlan>,
    },
    /// Tell when this process is gone; answered by `External` without a holder.
    Follow {
        /// The worker whose graph it holds.
        name: Name,
        /// Its process id.
        pid: i32,
    },
    /// Look no longer.
    EndProbe {
        /// Which run.
        key: RunKey,
    },
    /// Kill whatever of a run's tree is alive, leader included, until nothing is left; answered by `Swept`.
    Sweep {
        /// Which run.
        key: RunKey,
    },
    /// Say what is left of a run's tree; answered by `Surviving`.
    Census {
        /// Which run.
        key: RunKey,
    },
    /// Send a signal to a run's leader.
    Signal {
        /// Which run.
        key: RunKey,
        /// The signal's name.
        signal: String,
    },
    /// Read the configuration; answered by `Configured`.
    ReadConfig,
    /// Delete the logs of a worker.
    Forget {
        /// Which worker.
        name: Name,
    },
    /// Feed [`Input::Due`] at this time, and at no earlier one that was asked for before; `None`: not at all.
    WakeAt(Option<u64>),
    /// Everything is down and answered: end the process with code 0.
    Exit {
        /// Remove gob's own files too.
        nuke: bool,
    },
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
    /// Resource limits by their names in [`gob_protocol::kind::RLIMITS`].
    pub rlimits: Vec<(String, u64)>,
    /// The lock of the run's graph; its processes inherit it.
    pub lock: Option<GraphLock>,
    /// Whether the run is given a port.
    pub needs_port: bool,
}

/// A file whose flock the processes of a run inherit, so that no two workers serve one graph, whoever started them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphLock {
    /// The file.
    pub path: String,
    /// What is written into it for people and other supervisors; the shell adds the process id.
    pub note: serde_json::Map<String, serde_json::Value>,
}
