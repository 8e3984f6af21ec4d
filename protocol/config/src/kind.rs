//! Kinds: the start, readiness, liveness and stop of a graph's worker (CLI, Configuration).
//!
//! Plain data. The shell reads it from files; the core decides by it.

pub use gob_protocol::request::{OnLastLease, RestartOn};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One kind of graph worker, with its placeholders.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kind {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Default directory that holds the graphs of this kind; gob's data directory when absent.
    pub root_dir: Option<String>,
    /// Working directory; the graph's own directory when absent.
    pub cwd: Option<String>,
    /// Variables that the worker gets on top of the common ones.
    pub env: BTreeMap<String, String>,
    /// Variables of the requester that the worker gets too.
    pub pass_env: Vec<String>,
    /// The readiness check.
    pub readiness: Readiness,
    /// The way to stop it.
    pub stop: StopWay,
    /// The restart policy.
    pub restart: RestartPolicy,
    /// An unasked exit 0 means that a peer took the graph over.
    pub exit_zero_ceded: bool,
    /// An end by itself is a run's result and no failure: the worker is idle afterwards, whatever its exit.
    #[serde(default)]
    pub ends_idle: bool,
    /// A description for people.
    pub description: Option<String>,
    /// The effect of the last lease's end on an owner's worker; when absent `keep`, and `release` for a
    /// worker that was started with a lease.
    pub on_last_lease: Option<OnLastLease>,
    /// A graph of this kind starts with the supervisor.
    pub autostart: bool,
    /// The liveness check; none when absent.
    pub liveness: Option<Liveness>,
    /// Time after which a ready worker without a lease and without a requester is stopped; never when absent.
    pub idle_stop_ms: Option<u64>,
    /// Resource limits, soft and hard, by the names of [`RLIMITS`].
    pub rlimits: BTreeMap<String, u64>,
    /// The one port for its workers; any free port when absent.
    pub port: Option<u16>,
    /// The scheme of the URL of its endpoint; `http` when absent.
    pub scheme: Option<String>,
    /// The rules of programs that hold graphs of this kind without asking gob.
    pub foreign: Foreign,
}

/// The resource limits that a kind may set, by their names in getrlimit(2) without `RLIMIT_`, in lower case.
pub const RLIMITS: [&str; 10] =
    ["as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "rss", "stack"];

/// The largest value of a resource limit.
pub const MAX_RLIMIT: u64 = 1 << 50;

/// A liveness check and its schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liveness {
    /// The check. A handshake, a matching line of output and `WATCHDOG=1` must come at least once per
    /// interval; a delay checks nothing.
    pub check: Check,
    /// Time between two probes.
    pub interval_ms: u64,
    /// Time limit of one probe.
    pub timeout_ms: u64,
    /// This many failures in a row make the worker `unhealthy`.
    pub failures: u32,
    /// This many successes in a row make it `ready` again.
    pub successes: u32,
    /// An unhealthy worker is restarted at once; the restart policy counts that as a failure.
    pub restart: bool,
}

/// Rules of programs that hold graphs of a kind without asking gob (FEATURES A9).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Foreign {
    /// The lock file that a worker makes for itself, with its placeholders.
    pub lock_file: Option<String>,
    /// The encoding of `{graph_dir}`.
    pub graph_dir_encoding: GraphDirEncoding,
    /// The kind's own names of owners, by gob's names; `*` stands for all others.
    pub owners: BTreeMap<String, String>,
    /// The treatment of a live worker without its lock file; when this or the lock file is absent, gob does
    /// not search for such workers.
    pub orphans: Option<Orphans>,
}

/// The encoding of a graph's name as a directory's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphDirEncoding {
    /// gob's own encoding: [`gob_protocol::Name::on_disk`].
    #[default]
    Safe,
    /// Logseq's encoding.
    Logseq,
}

/// The treatment of workers that gob did not start and whose lock file is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orphans {
    /// Names them, and starts nothing beside them.
    #[default]
    Report,
    /// Ends them.
    End,
}

/// A readiness check and its time limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// The check.
    pub check: Check,
    /// Time limit: a worker that is not ready by then is `failed`, and its tree is ended.
    pub timeout_ms: u64,
}

/// A check of a worker's readiness or liveness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Check {
    /// Ready as soon as it was spawned.
    None,
    /// A line on standard output (PROTOCOL 11).
    Handshake,
    /// `READY=1` on the socket named by `NOTIFY_SOCKET` (sd_notify(3)).
    Notify,
    /// An answer with this status to a GET of this path on the loopback interface.
    Http {
        /// Path and query, from its `/`.
        path: String,
        /// The status that means ready.
        status: u16,
        /// The port.
        port: HttpPort,
    },
    /// A connection that is taken, and closed at once: `127.0.0.1:{port}`, `[::1]:{port}` or `unix:{socket}`.
    Connect {
        /// The address, with its placeholders.
        address: String,
    },
    /// A line of output that matches.
    Log {
        /// A regular expression. A capture named `port`, `url` or `json` gives the endpoint.
        pattern: String,
        /// The stream; either one when absent.
        stream: Option<LogStream>,
    },
    /// A time after the spawn.
    Delay {
        /// In milliseconds.
        for_ms: u64,
    },
}

impl Check {
    /// Returns whether the check uses the port that the worker is given by `{port}`.
    #[must_use]
    pub fn wants_given_port(&self) -> bool {
        match self {
            Self::Http { port, .. } => *port == HttpPort::Given,
            Self::Connect { address } => address.contains("{port}"),
            Self::None | Self::Handshake | Self::Notify | Self::Log { .. } | Self::Delay { .. } => false,
        }
    }

    /// Returns whether the check can pass only once, while the worker starts.
    #[must_use]
    pub const fn comes_once(&self) -> bool {
        match self {
            Self::Handshake | Self::Log { .. } | Self::Delay { .. } => true,
            Self::None | Self::Notify | Self::Http { .. } | Self::Connect { .. } => false,
        }
    }
}

/// The port of a worker's HTTP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpPort {
    /// The port given by `{port}`.
    Given,
    /// The port on which the process tree listens.
    Discover,
    /// A fixed port.
    Fixed(u16),
}

/// One of the two output streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// The steps by which a worker is asked to stop before it is killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopWay {
    /// An HTTP request to its endpoint that asks it to end, such as `POST /v1/shutdown`; it comes first.
    pub http: Option<String>,
    /// The signal's name; sent at once, or after a failed HTTP request.
    pub signal: String,
    /// A second signal, sent when half of the grace has passed.
    pub then: Option<String>,
    /// Time from the first of these until it is killed.
    pub grace_ms: u64,
}

/// The policy for starting an ended worker again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// The ends that it applies to.
    pub on: RestartOn,
    /// First and longest delay.
    pub backoff_ms: (u64, u64),
    /// This many failures …
    pub give_up_failures: u32,
    /// … within this time make it `failed`.
    pub give_up_within_ms: u64,
    /// Delay and count start over after this long in health.
    pub healthy_after_ms: u64,
}

impl Default for RestartPolicy {
    fn default() -> Self {
        Self {
            on: RestartOn::OnFailure,
            backoff_ms: (100, 30_000),
            give_up_failures: 5,
            give_up_within_ms: 60_000,
            healthy_after_ms: 60_000,
        }
    }
}

impl Default for StopWay {
    fn default() -> Self {
        Self {
            http: None,
            signal: "SIGTERM".to_owned(),
            then: None,
            grace_ms: gob_protocol::limits::STOP_GRACE_MS,
        }
    }
}

impl GraphDirEncoding {
    /// Returns a graph's name as a directory's.
    #[must_use]
    pub fn dir_of(self, graph: &gob_protocol::Name) -> String {
        match self {
            Self::Safe => graph.on_disk(),
            Self::Logseq => crate::foreign::logseq_dir(graph.as_str()),
        }
    }

    /// Returns the name of a graph's lock, equal for all names that mean its directory.
    #[must_use]
    pub fn lock_name_of(self, graph: &gob_protocol::Name) -> String {
        match self {
            Self::Safe => graph.on_disk(),
            Self::Logseq => gob_protocol::Name::any(crate::foreign::bare(graph.as_str()))
                .map_or_else(|_| graph.on_disk(), |bare| bare.on_disk()),
        }
    }
}

impl Foreign {
    /// Returns whether gob searches for such programs.
    #[must_use]
    pub fn is_looked_for(&self) -> bool {
        self.lock_file.is_some() || self.orphans.is_some()
    }
}

/// The name of the kind of jobs, which no file may give to another one.
pub const JOB: &str = "job";

impl Kind {
    /// Returns an endpoint that was made from a port alone, `http://…`, with the scheme of this kind.
    #[must_use]
    pub fn port_endpoint(&self, http: &str) -> String {
        match (&self.scheme, http.strip_prefix("http://")) {
            (Some(scheme), Some(address)) => format!("{scheme}://{address}"),
            (None, _) | (_, None) => http.to_owned(),
        }
    }

    /// Returns the kind of jobs: their command is their own, and each end is a result.
    #[must_use]
    pub fn job() -> Self {
        Self {
            command: Vec::new(),
            readiness: Readiness { check: Check::None, timeout_ms: gob_protocol::limits::START_MS },
            restart: RestartPolicy { on: RestartOn::Never, ..RestartPolicy::default() },
            ends_idle: true,
            ..Self::graph()
        }
    }

    /// Returns the built-in kind: gob's own graph worker.
    #[must_use]
    pub fn graph() -> Self {
        let command =
            ["gob-graph-worker", "--root-dir", "{root_dir}", "--graph", "{graph}", "--socket", "{socket}"];
        Self {
            command: command.map(str::to_owned).to_vec(),
            root_dir: None,
            cwd: None,
            env: BTreeMap::new(),
            pass_env: Vec::new(),
            readiness: Readiness { check: Check::Handshake, timeout_ms: gob_protocol::limits::START_MS },
            stop: StopWay::default(),
            restart: RestartPolicy::default(),
            exit_zero_ceded: false,
            ends_idle: false,
            description: None,
            port: None,
            on_last_lease: None,
            autostart: false,
            liveness: None,
            idle_stop_ms: None,
            rlimits: BTreeMap::new(),
            scheme: None,
            foreign: Foreign::default(),
        }
    }
}
