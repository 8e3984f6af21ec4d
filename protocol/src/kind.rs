//! Kinds: how a graph's worker is started, watched and stopped (CLI, Configuration).
//!
//! Plain data. Reading it from a file is the shell's work, deciding by it the core's.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One kind of graph worker. Placeholders are not replaced yet.
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
    /// How gob sees that it is ready.
    pub readiness: Readiness,
    /// How it is asked to stop.
    pub stop: StopWay,
    /// When it is started again.
    pub restart: RestartPolicy,
    /// Whether an exit 0 that nobody asked for means that a peer took the graph over.
    pub exit_zero_ceded: bool,
    /// A person's words about it.
    pub description: Option<String>,
    /// What follows when the last lease of a worker's owner is gone; without it `keep`, and `release` for what was
    /// started with a lease.
    pub on_last_lease: Option<OnLastLease>,
    /// Whether a graph of this kind starts again with the supervisor.
    pub autostart: bool,
    /// How gob sees that it goes on being well; not at all when absent.
    pub liveness: Option<Liveness>,
    /// Stopped when it was ready for so long without a lease and without anybody who asked for it; never when absent.
    pub idle_stop_ms: Option<u64>,
    /// Resource limits, soft and hard, by the names of [`RLIMITS`].
    pub rlimits: BTreeMap<String, u64>,
    /// The one port that its workers get; any free one when absent.
    pub port: Option<u16>,
    /// What its port speaks, as the URL of an endpoint begins; `http` when absent.
    pub scheme: Option<String>,
    /// How programs that don't ask gob hold graphs of this kind.
    pub foreign: Foreign,
}

/// The resource limits that a kind may set, by their names in getrlimit(2) without `RLIMIT_`, in lower case.
pub const RLIMITS: [&str; 10] =
    ["as", "core", "cpu", "data", "fsize", "memlock", "nofile", "nproc", "rss", "stack"];

/// How gob sees that a worker goes on being well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Liveness {
    /// What is looked at. A handshake, a matching line of output and `WATCHDOG=1` are to come at least once in every
    /// interval; nothing is looked at for a delay.
    pub check: Check,
    /// Time from one look to the next.
    pub interval_ms: u64,
    /// How long one look may take.
    pub timeout_ms: u64,
    /// So many failures in a row make it `unhealthy`.
    pub failures: u32,
    /// So many successes in a row make it `ready` again.
    pub successes: u32,
    /// Whether it is restarted as soon as it is unhealthy; the restart policy counts that as a failure.
    pub restart: bool,
}

/// How programs that don't ask gob hold graphs of a kind (FEATURES A9).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Foreign {
    /// The lock file that a worker makes for itself; placeholders are not replaced yet.
    pub lock_file: Option<String>,
    /// What `{graph_dir}` stands for.
    pub graph_dir_encoding: GraphDirEncoding,
    /// Owners as this kind knows them, by gob's own; `*` stands for all others.
    pub owners: BTreeMap<String, String>,
    /// What becomes of a worker that is alive without its lock file; without it, and without a lock file, nobody looks.
    pub orphans: Option<Orphans>,
}

/// How a graph's name is written as a directory's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GraphDirEncoding {
    /// As gob does: [`crate::Name::on_disk`].
    #[default]
    Safe,
    /// As Logseq does.
    Logseq,
}

/// What becomes of workers that gob did not start and whose lock file is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Orphans {
    /// They are named, and gob starts nothing beside them.
    #[default]
    Report,
    /// They are ended.
    End,
}

/// What follows when the last lease of a worker's owner is gone, after the grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLastLease {
    /// Nothing.
    Keep,
    /// Its owner becomes `unknown`.
    Release,
    /// It is stopped.
    Stop,
}

/// How gob sees that a worker is ready.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// What is looked at.
    pub check: Check,
    /// Not ready by then: its tree is ended and it is `failed`.
    pub timeout_ms: u64,
}

/// What is looked at.
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
        /// Which port.
        port: HttpPort,
    },
    /// A connection that is taken, and closed at once: `127.0.0.1:{port}`, `[::1]:{port}` or `unix:{socket}`.
    Connect {
        /// Where; placeholders are not replaced yet.
        address: String,
    },
    /// A line of output that matches.
    Log {
        /// A regular expression. A capture named `port`, `url` or `json` gives the endpoint.
        pattern: String,
        /// On which stream; on either when absent.
        stream: Option<LogStream>,
    },
    /// So much time after it was spawned.
    Delay {
        /// In milliseconds.
        for_ms: u64,
    },
}

impl Check {
    /// Whether it looks at the port that the worker is given by `{port}`.
    #[must_use]
    pub fn wants_given_port(&self) -> bool {
        match self {
            Self::Http { port, .. } => *port == HttpPort::Given,
            Self::Connect { address } => address.contains("{port}"),
            Self::None | Self::Handshake | Self::Notify | Self::Log { .. } | Self::Delay { .. } => false,
        }
    }

    /// Whether what it looks at comes while the worker starts, and then no more.
    #[must_use]
    pub const fn comes_once(&self) -> bool {
        match self {
            Self::Handshake | Self::Log { .. } | Self::Delay { .. } => true,
            Self::None | Self::Notify | Self::Http { .. } | Self::Connect { .. } => false,
        }
    }
}

/// Which port a worker's HTTP server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HttpPort {
    /// The one that it was given by `{port}`.
    Given,
    /// The one on which its process tree listens.
    Discover,
    /// Always this one.
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

/// How a worker is asked to stop, before it is killed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopWay {
    /// An HTTP request to its endpoint that asks it to end, such as `POST /v1/shutdown`; it comes first.
    pub http: Option<String>,
    /// The signal's name; sent at once, or when the HTTP request failed.
    pub signal: String,
    /// A second signal, sent when half of the grace has passed.
    pub then: Option<String>,
    /// Time from the first of these until it is killed.
    pub grace_ms: u64,
}

/// When an ended worker is started again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestartPolicy {
    /// On which ends.
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

/// On which ends a worker is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartOn {
    /// Never.
    Never,
    /// On every end that is not exit 0.
    OnFailure,
    /// On every end that nobody asked for.
    Always,
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
        Self { http: None, signal: "SIGTERM".to_owned(), then: None, grace_ms: crate::limits::STOP_GRACE_MS }
    }
}

impl GraphDirEncoding {
    /// A graph's name as a directory's.
    #[must_use]
    pub fn dir_of(self, graph: &crate::Name) -> String {
        match self {
            Self::Safe => graph.on_disk(),
            Self::Logseq => crate::foreign::logseq_dir(graph.as_str()),
        }
    }

    /// The name of a graph's lock, the same for all names that mean its directory.
    #[must_use]
    pub fn lock_name_of(self, graph: &crate::Name) -> String {
        match self {
            Self::Safe => graph.on_disk(),
            Self::Logseq => crate::Name::any(crate::foreign::bare(graph.as_str()))
                .map_or_else(|_| graph.on_disk(), |bare| bare.on_disk()),
        }
    }
}

impl Foreign {
    /// Whether gob looks for such programs.
    #[must_use]
    pub fn is_looked_for(&self) -> bool {
        self.lock_file.is_some() || self.orphans.is_some()
    }
}

impl Kind {
    /// An endpoint that was made of a port alone, `http://…`, in the words of this kind.
    #[must_use]
    pub fn port_endpoint(&self, http: &str) -> String {
        match (&self.scheme, http.strip_prefix("http://")) {
            (Some(scheme), Some(address)) => format!("{scheme}://{address}"),
            (None, _) | (_, None) => http.to_owned(),
        }
    }

    /// The kind that is always there: gob's own graph worker.
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
            readiness: Readiness { check: Check::Handshake, timeout_ms: crate::limits::START_MS },
            stop: StopWay::default(),
            restart: RestartPolicy::default(),
            exit_zero_ceded: false,
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
