//! Program, arguments, environment and directories of a run (CLI, Environment of workers and Configuration).

use crate::Core;
use crate::parts::{GraphLock, PORT_MARK, PortWish, SpawnPlan};
use crate::record::{Keep, Place, RECORD_VERSION, Record, pointer_path, record_path};
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

/// Longest name of a socket's file without its suffix.
const SOCKET_NAME_BYTES: usize = 40;

/// Bytes that a hash takes in the name of a socket's file.
const HASH_BYTES: usize = 16;

/// Longest path that a socket's address takes (unix(7)), without the NUL at its end.
const SOCKET_PATH_BYTES: usize = 107;

/// What a socket's file ends with.
pub const SOCKET_SUFFIX: &str = ".sock";

/// The word by which the shell says that not the program is missing but what its first line names.
pub const INTERPRETER: &str = "interpreter";

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
            ("socket", self.config.paths.socket_of(&worker.name)),
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
            port: port_wish(worker),
            after_ms: 0,
        }
    }

    /// The file whose lock says that somebody serves the graph: under the root, which is part of the graph's identity, so
    /// that a supervisor with other directories meets it too, whichever of them calls the root its own.
    fn graph_lock(&self, worker: &Worker) -> GraphLock {
        let encoding = worker.kind.foreign.graph_dir_encoding;
        let path = format!("{}/.gob/{}.lock", worker.root_dir, encoding.lock_name_of(&worker.graph));
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
        let note = note.into_iter().map(|(key, value)| (key.into(), value)).collect();
        GraphLock { path, note, keep: self.keep(worker) }
    }

    /// What is kept of the worker's graph beside its lock.
    pub(crate) fn keep(&self, worker: &Worker) -> Keep {
        let data_dir = self.config.paths.data_dir.as_str();
        let (graph, root_dir) = (&worker.graph, worker.root_dir.as_ref());
        let record = Record {
            gob_record: RECORD_VERSION,
            graph: graph.clone(),
            kind: worker.kind_name.as_ref().into(),
            root_dir: root_dir.into(),
            data: self.place(worker),
            owner: worker.owner.clone(),
            last_used_at: self.now.wall,
            held_data: false,
        };
        let is_open = worker.kind_is_open && worker.root_is_open;
        let elsewhere = self.config.settings.roots().filter(|root| is_open && *root != root_dir);
        Keep {
            path: record_path(root_dir, graph),
            pointer: (root_dir != data_dir).then(|| pointer_path(data_dir, graph, root_dir)),
            elsewhere: elsewhere.map(|root| pointer_path(data_dir, graph, root)).collect(),
            record,
            was_served: worker.was_served,
        }
    }

    /// Where the data of the worker's graph is, as far as its kind tells: the directory that it calls `{graph_dir}`, else the
    /// graph's own in its root or in the data directory.
    fn place(&self, worker: &Worker) -> Place {
        let kind = &worker.kind;
        let in_root = || format!("{}/{}", worker.root_dir, worker.graph.on_disk());
        if is_own(kind) {
            return Place::File(format!("{}/graph.sqlite", in_root()));
        }
        let texts =
            || kind.foreign.lock_file.iter().chain(&kind.command).chain(kind.env.values()).chain(&kind.cwd);
        if let Some(dir) = texts().find_map(|text| graph_dir_in(text)) {
            return Place::Dir(self.filled(worker, dir));
        }
        let names = |word: &str| texts().any(|text| text.contains(word));
        let is_in_root = names("{root_dir}") && !names("{data_dir}");
        Place::Dir(if is_in_root { in_root() } else { data_dir(&self.config.paths, worker) })
    }

    pub(crate) fn log_path(&self, worker: &Worker, stream: Stream) -> String {
        format!("{}/logs/{}", self.config.paths.state_dir, log_path(&worker.name, worker.run, stream))
    }
}

impl Paths {
    /// Bytes that the name of a worker's socket may have, without its suffix.
    fn socket_room(&self) -> usize {
        let above = sockets_dir(&self.runtime_dir).len() + 1 + SOCKET_SUFFIX.len();
        SOCKET_PATH_BYTES.saturating_sub(above).min(SOCKET_NAME_BYTES)
    }

    /// Whether the path of this worker's socket is one that a socket's address takes.
    pub(crate) fn has_room_for(&self, name: &Name) -> bool {
        self.socket_of(name).len() <= SOCKET_PATH_BYTES
    }

    fn socket_of(&self, name: &Name) -> String {
        format!("{}/{}", sockets_dir(&self.runtime_dir), self.socket_file(name))
    }

    /// The file of the socket that a worker is given, in [`sockets_dir`].
    pub(crate) fn socket_file(&self, name: &Name) -> String {
        format!("{}{SOCKET_SUFFIX}", socket_name(name, self.socket_room()))
    }

    /// Whether a socket's name without its suffix may be one that was cut.
    pub(crate) fn is_cut(&self, stem: &str) -> bool {
        stem.len() == HASH_BYTES || stem.len() == self.socket_room()
    }
}

/// Whether it is gob's own graph worker, which can listen on a path of any length.
pub(crate) fn listens_anywhere(kind: &Kind) -> bool {
    is_own(kind)
}

/// Whether it is gob's own graph worker.
fn is_own(kind: &Kind) -> bool {
    kind.command.first().is_some_and(|program| program.rsplit('/').next() == Some("gob-graph-worker"))
}

/// The part of a text that is the path of a graph's directory: from a root up to `{graph_dir}`, which is a whole component.
fn graph_dir_in(text: &str) -> Option<&str> {
    let (before, after) = text.split_once("{graph_dir}")?;
    let is_component = before.ends_with('/') && (after.is_empty() || after.starts_with('/'));
    let start = ["{root_dir}/", "{data_dir}/"].iter().find_map(|root| before.rfind(root))?;
    let end = before.len() + "{graph_dir}".len();
    text.get(start..end).filter(|_| is_component)
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

/// Which port the next run of a worker is given; `None` where its kind has no use for one. A port that a run was ready on
/// is wished for again, so that the worker's clients find it where it was.
fn port_wish(worker: &Worker) -> Option<PortWish> {
    let kind = &worker.kind;
    needs_port(kind).then(|| match (kind.port, worker.last_port) {
        (Some(port), _) => PortWish::Only(port),
        (None, Some(port)) => PortWish::Rather(port),
        (None, None) => PortWish::Any,
    })
}

/// Whether a kind's runs are given a port: something of it names one, or it is ready when it answers there.
fn needs_port(kind: &Kind) -> bool {
    let mut texts = kind.command.iter().chain(kind.env.values()).chain(&kind.cwd).chain(&kind.stop.http);
    kind.port.is_some()
        || kind.readiness.check.wants_given_port()
        || texts.any(|text| text.contains("{port}"))
}

/// Whether a kind's runs take the socket that they are given.
pub(crate) fn takes_socket(kind: &Kind) -> bool {
    kind.command.iter().chain(kind.env.values()).any(|text| text.contains("{socket}"))
}

/// The name's file name, or its beginning and a hash (FNV-1a, 64 bits) where that does not fit into `room` bytes; the hash alone
/// where there is no room for more.
fn socket_name(name: &Name, room: usize) -> String {
    let full = name.on_disk();
    if full.len() <= room {
        return full;
    }
    let hash = hash(name.as_str());
    let start: String = full.chars().take(room.saturating_sub(HASH_BYTES + 1)).collect();
    if start.is_empty() { format!("{hash:016x}") } else { format!("{start}-{hash:016x}") }
}

/// FNV-1a of 64 bits.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
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
    fn a_sockets_path_is_cut_to_the_room_there_is() {
        let paths = |len: usize| Paths {
            runtime_dir: format!("/{}", "r".repeat(len - 1)),
            state_dir: String::new(),
            data_dir: String::new(),
            socket: String::new(),
        };
        let cjk = Name::graph("一二三四五六七八九").unwrap();
        let other = Name::graph("一二三四五六七八十").unwrap();
        assert_eq!(paths(20).socket_file(&Name::graph("demo").unwrap()), "demo.sock");
        for len in 1..=78 {
            let (one, two) = (paths(len).socket_of(&cjk), paths(len).socket_of(&other));
            assert!(one.len() <= 107 && paths(len).has_room_for(&cjk), "{len}: {}", one.len());
            assert!(one != two && one == paths(len).socket_of(&cjk), "{one}");
            let file = paths(len).socket_file(&cjk);
            let stem = file.strip_suffix(SOCKET_SUFFIX).unwrap();
            assert!(stem == cjk.on_disk() || paths(len).is_cut(stem), "{stem}");
        }
        assert!(!paths(79).has_room_for(&cjk), "there is no room for a hash");
        assert!(paths(90).has_room_for(&Name::graph("demo").unwrap()));
        assert!(!paths(91).has_room_for(&Name::graph("demo").unwrap()));
    }

    #[test]
    fn the_directory_of_a_graph_in_a_text_of_its_kind() {
        let cases = [
            ("{root_dir}/graphs/{graph_dir}/db-worker.lock", Some("{root_dir}/graphs/{graph_dir}")),
            ("--location={data_dir}/{graph_dir}", Some("{data_dir}/{graph_dir}")),
            ("{root_dir}/{graph_dir}.db", None),
            ("{root_dir}/x-{graph_dir}", None),
            ("/elsewhere/{graph_dir}", None),
            ("{graph_dir}", None),
            ("{root_dir}", None),
        ];
        for (text, dir) in cases {
            assert_eq!(graph_dir_in(text), dir, "{text}");
        }
    }

    #[test]
    fn socket_names_are_short_and_distinct() {
        let long = |last: char| Name::graph(&format!("{}{last}", "x".repeat(150))).unwrap();
        let (a, b) = (socket_name(&long('a'), SOCKET_NAME_BYTES), socket_name(&long('b'), SOCKET_NAME_BYTES));
        assert!(a.len() <= SOCKET_NAME_BYTES && a != b);
        assert_eq!(socket_name(&Name::graph("demo").unwrap(), SOCKET_NAME_BYTES), "demo");
    }
}
