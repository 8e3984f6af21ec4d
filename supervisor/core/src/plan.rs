//! Program, arguments, environment and directories of a run (CLI, Environment of workers and Configuration).

use crate::Core;
use crate::parts::{GraphLock, PORT_MARK, SpawnPlan};
use crate::worker::Worker;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use gob_protocol::kind::{Check, Kind};
use gob_protocol::logindex::{Stream, log_path};
use gob_protocol::placeholder::filled;
use gob_protocol::{Env, Name, Owner};

/// Where things are: absolute paths without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paths {
    /// Sockets.
    pub runtime_dir: String,
    /// Logs, journal, store.
    pub state_dir: String,
    /// Graphs that have no root of their own.
    pub data_dir: String,
    /// The supervisor's socket.
    pub socket: String,
}

/// Variables of the requester that every graph gets, whoever starts it; `LC_` and `XDG_` stand for all that begin so.
const COMMON: [&str; 8] = ["PATH", "HOME", "USER", "SHELL", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK"];
const COMMON_PREFIXES: [&str; 2] = ["LC_", "XDG_"];

/// A socket's file name is kept this short, so that its path has a chance to fit into 107 bytes.
pub(crate) const SOCKET_NAME_BYTES: usize = 40;

/// What a socket's file ends with.
pub const SOCKET_SUFFIX: &str = ".sock";

const GRAPH_UMASK: u32 = 0o077;

impl Core {
    /// What placeholders stand for.
    fn values(&self, worker: &Worker, port: String) -> BTreeMap<&'static str, String> {
        let paths = &self.config.paths;
        let graph_dir = worker.kind.foreign.graph_dir_encoding.dir_of(&worker.graph);
        BTreeMap::from([
            ("graph", worker.graph.to_string()),
            ("name", worker.name.to_string()),
            ("root_dir", worker.root_dir.as_ref().into()),
            ("data_dir", data_dir(paths, worker)),
            ("graph_dir", graph_dir),
            ("owner", owner_word(&worker.kind, &worker.owner)),
            ("socket", format!("{}/{}", sockets_dir(&paths.runtime_dir), socket_file(&worker.name))),
            ("port", port),
        ])
    }

    /// A text of the worker's kind with its placeholders replaced, as they are in the latest run.
    pub(crate) fn filled(&self, worker: &Worker, text: &str) -> String {
        let port = worker.port.map_or_else(|| "{port}".into(), |port| port.to_string());
        let values = self.values(worker, port);
        filled(text, |name| values.get(name).cloned())
    }

    /// The plan of the worker's latest run.
    pub(crate) fn plan(&self, worker: &Worker) -> SpawnPlan {
        let paths = &self.config.paths;
        let values = self.values(worker, PORT_MARK.into());
        let (data_dir, socket) = (
            values.get("data_dir").cloned().unwrap_or_default(),
            values.get("socket").cloned().unwrap_or_default(),
        );
        let kind = &worker.kind;
        let fill = |text: &String| filled(text, |name| values.get(name).cloned());
        let cwd = kind.cwd.as_ref().map_or_else(|| data_dir.clone(), fill);
        let mut env = graph_env(worker.env.as_deref().unwrap_or(&self.config.base_env), &kind.pass_env);
        for (name, value) in &kind.env {
            env.set(name, fill(value));
        }
        env.set("GOB_NAME", worker.name.as_str());
        env.set("GOB_RUN", worker.run.to_string());
        env.set("GOB_SOCKET", &*paths.socket);
        env.set("GOB_INSTANCE", &*self.config.server.instance);
        env.remove("GOB_OWNER");
        env.remove("NOTIFY_SOCKET");
        let watchdog = kind.liveness.as_ref().filter(|liveness| liveness.check == Check::Notify);
        if kind.readiness.check == Check::Notify || watchdog.is_some() {
            env.set("NOTIFY_SOCKET", notify_socket(&paths.runtime_dir));
        }
        env.remove("WATCHDOG_USEC");
        if let Some(liveness) = watchdog {
            env.set("WATCHDOG_USEC", liveness.interval_ms.saturating_mul(1_000).to_string());
        }
        SpawnPlan {
            key: worker.key(),
            command: kind.command.iter().map(fill).collect(),
            cwd,
            make_dirs: vec![data_dir.clone(), sockets_dir(&paths.runtime_dir)],
            stale_socket: kind.command.iter().any(|arg| arg.contains("{socket}")).then(|| socket.clone()),
            env,
            umask: GRAPH_UMASK,
            check: kind.readiness.check.clone(),
            liveness: kind.liveness.as_ref().map(|liveness| liveness.check.clone()),
            rlimits: kind.rlimits.iter().map(|(name, value)| (name.clone(), *value)).collect(),
            lock: Some(self.graph_lock(worker)),
            needs_port: needs_port(kind),
            after_ms: 0,
        }
    }

    /// The file whose lock says that somebody serves the graph: under the root, which is part of the graph's identity, so
    /// that a supervisor with other directories meets it too, whichever of them calls the root its own.
    fn graph_lock(&self, worker: &Worker) -> GraphLock {
        let path = format!("{}/.gob/{}.lock", worker.root_dir, worker.graph.on_disk());
        let server = &self.config.server;
        let note = [
            ("name", worker.name.as_str().into()),
            ("run", worker.run.into()),
            ("graph", worker.graph.as_str().into()),
            ("root_dir", worker.root_dir.as_ref().into()),
            ("owner", worker.owner.as_str().into()),
            ("supervisor_pid", server.pid.into()),
            ("instance", server.instance.as_str().into()),
            ("socket", self.config.paths.socket.as_str().into()),
        ];
        GraphLock { path, note: note.into_iter().map(|(key, value)| (key.into(), value)).collect() }
    }

    pub(crate) fn log_path(&self, worker: &Worker, stream: Stream) -> String {
        format!("{}/logs/{}", self.config.paths.state_dir, log_path(&worker.name, worker.run, stream))
    }
}

/// A directory of the graph's own.
fn data_dir(paths: &Paths, worker: &Worker) -> String {
    format!("{}/{}", paths.data_dir, worker.graph.on_disk())
}

/// An owner as the kind knows it. Words that it has for others stand for themselves.
fn owner_word(kind: &Kind, owner: &Owner) -> String {
    let words = &kind.foreign.owners;
    let own = owner.as_str();
    let stays = words.values().any(|word| word == own);
    let word = words.get(own).or_else(|| words.get("*").filter(|_| !stays));
    word.map_or_else(|| own.to_string(), Clone::clone)
}

/// The part of an environment that a graph gets.
pub(crate) fn graph_env(from: &Env, pass: &[String]) -> Env {
    let passes = |name: &str| {
        COMMON.contains(&name)
            || COMMON_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
            || pass.iter().any(|wanted| wanted == name)
    };
    from.iter().filter(|(name, _)| passes(name)).collect()
}

/// The socket on which workers say that they are ready, one for all of them.
#[must_use]
pub fn notify_socket(runtime_dir: &str) -> String {
    format!("{runtime_dir}/notify.sock")
}

/// The directory of the sockets that workers are given.
#[must_use]
pub fn sockets_dir(runtime_dir: &str) -> String {
    format!("{runtime_dir}/graphs")
}

/// Whether a kind's runs are given a port: something of it names one, or it is ready when it answers there.
fn needs_port(kind: &Kind) -> bool {
    let mut texts = kind.command.iter().chain(kind.env.values()).chain(&kind.cwd).chain(&kind.stop.http);
    kind.readiness.check.wants_given_port() || texts.any(|text| text.contains("{port}"))
}

/// Whether a kind's runs take the socket that they are given.
pub(crate) fn takes_socket(kind: &Kind) -> bool {
    kind.command.iter().chain(kind.env.values()).any(|text| text.contains("{socket}"))
}

/// The file of the socket that a worker is given, in [`sockets_dir`].
pub(crate) fn socket_file(name: &Name) -> String {
    format!("{}{SOCKET_SUFFIX}", socket_name(name))
}

/// The name's file name, or its beginning and a hash (FNV-1a, 64 bits) where that is too long for a socket's path; the
/// latter has as many bytes as it may have.
fn socket_name(name: &Name) -> String {
    let full = name.on_disk();
    if full.len() <= SOCKET_NAME_BYTES {
        return full;
    }
    let hash = name.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let start: String = full.chars().take(SOCKET_NAME_BYTES - 17).collect();
    format!("{start}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn a_graph_gets_the_common_part_of_the_environment() {
        let env: Env = [
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("XDG_RUNTIME_DIR", "/run"),
            ("SECRET", "x"),
            ("WANTED", "y"),
            ("GOB_OWNER", "desktop"),
        ]
        .into_iter()
        .collect();
        let got = graph_env(&env, &["WANTED".to_string()]);
        let names: Vec<&str> = got.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["LC_ALL", "PATH", "WANTED", "XDG_RUNTIME_DIR"]);
    }

    #[test]
    fn socket_names_are_short_and_distinct() {
        let long = |last: char| Name::graph(&format!("{}{last}", "x".repeat(150))).unwrap();
        let (a, b) = (socket_name(&long('a')), socket_name(&long('b')));
        assert!(a.len() <= SOCKET_NAME_BYTES && a != b);
        assert_eq!(socket_name(&Name::graph("demo").unwrap()), "demo");
    }
}
