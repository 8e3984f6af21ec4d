//! The parts of a run, by the origin of its worker: a graph's command is its kind's, with a lock and directories of the
//! graph's own; a job's is its own, and nothing else is made or held for it.

use crate::parts::{GraphLock, PORT_MARK};
use crate::paths::sockets_dir;
use crate::record::{Keep, Place, RECORD_VERSION, Record, lock_path, pointer_path, record_path};
use crate::setup::Setup;
use crate::spec::{Graph, Origin, Spec};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use gob_config::kind::Kind;
use gob_config::placeholder::filled;
use gob_protocol::{Name, Owner, Timestamp};

/// The umask of graph workers.
const GRAPH_UMASK: u32 = 0o077;

/// The umask of a job whose starter's is not known, as most systems have it.
const JOB_UMASK: u32 = 0o022;

/// A run, or a worker without one, as its plan sees it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) name: &'a Name,
    pub(crate) run: u64,
    /// The port that the run was given.
    pub(crate) port: Option<u16>,
    /// The port to wish for.
    pub(crate) last_port: Option<u16>,
    pub(crate) spec: &'a Spec,
    pub(crate) owner: &'a Owner,
}

/// The parts of a plan that follow from the worker's origin.
#[derive(Debug)]
pub(crate) struct Making {
    pub(crate) command: Vec<String>,
    pub(crate) cwd: String,
    pub(crate) make_dirs: Vec<String>,
    /// A socket that a dead run may have left.
    pub(crate) stale_socket: Option<String>,
    pub(crate) umask: u32,
    pub(crate) lock: Option<GraphLock>,
}

impl Subject<'_> {
    /// Gathers what the run is made of.
    pub(crate) fn making(&self, setup: &Setup, wall: Timestamp) -> Making {
        match &self.spec.origin {
            Origin::Graph(graph) => self.making_of_graph(graph, setup, wall),
            Origin::Job(job) => Making {
                command: job.command.to_vec(),
                cwd: job.cwd.to_string(),
                make_dirs: Vec::new(),
                stale_socket: None,
                umask: self.spec.umask.unwrap_or(JOB_UMASK),
                lock: None,
            },
        }
    }

    fn making_of_graph(&self, graph: &Graph, setup: &Setup, wall: Timestamp) -> Making {
        let values = self.values(setup, PORT_MARK.into());
        let kind = &self.spec.policy;
        let fill = |text: &String| filled(text, |name| values.get(name).cloned());
        let data_dir = data_dir(graph, setup);
        let makes_socket = kind.command.iter().any(|arg| arg.contains("{socket}"));
        Making {
            command: kind.command.iter().map(fill).collect(),
            cwd: kind.cwd.as_ref().map_or_else(|| data_dir.clone(), fill),
            make_dirs: vec![data_dir, sockets_dir(&setup.paths.runtime_dir)],
            stale_socket: values.get("socket").filter(|_| makes_socket).cloned(),
            umask: GRAPH_UMASK,
            lock: Some(self.graph_lock(graph, setup, wall)),
        }
    }

    /// The values of placeholders in the texts of the policy.
    pub(crate) fn values(&self, setup: &Setup, port: String) -> BTreeMap<&'static str, String> {
        let Origin::Graph(graph) = &self.spec.origin else { return BTreeMap::from([("port", port)]) };
        let kind = &self.spec.policy;
        BTreeMap::from([
            ("graph", graph.name.to_string()),
            ("name", self.name.to_string()),
            ("root_dir", graph.root_dir.as_ref().into()),
            ("data_dir", data_dir(graph, setup)),
            ("graph_dir", kind.foreign.graph_dir_encoding.dir_of(&graph.name)),
            ("owner", owner_word(kind, self.owner)),
            ("socket", setup.paths.socket_of(self.name)),
            ("port", port),
        ])
    }

    /// The file whose lock says that the graph is served: under the root, which is part of the graph's identity, so that a
    /// supervisor with other directories meets it too, whichever of them calls the root its own.
    fn graph_lock(&self, graph: &Graph, setup: &Setup, wall: Timestamp) -> GraphLock {
        let encoding = self.spec.policy.foreign.graph_dir_encoding;
        let path = lock_path(&graph.root_dir, &encoding.lock_name_of(&graph.name));
        let server = &setup.server;
        let note = [
            ("name", self.name.as_str().into()),
            ("run", self.run.into()),
            ("graph", graph.name.as_str().into()),
            ("root_dir", graph.root_dir.as_ref().into()),
            ("owner", self.owner.as_str().into()),
            ("supervisor_pid", server.pid.into()),
            ("instance", server.instance.as_str().into()),
            ("socket", setup.paths.socket.as_str().into()),
        ];
        let note = note.into_iter().map(|(key, value)| (key.into(), value)).collect();
        GraphLock { path, note, keep: self.keep(graph, setup, wall) }
    }

    /// The part of the graph's record that is known before the run serves.
    pub(crate) fn keep(&self, graph: &Graph, setup: &Setup, wall: Timestamp) -> Keep {
        let data_dir = setup.paths.data_dir.as_str();
        let root_dir = graph.root_dir.as_ref();
        let record = Record {
            gob_record: RECORD_VERSION,
            graph: graph.name.clone(),
            kind: self.spec.kind_name.as_ref().into(),
            root_dir: root_dir.into(),
            data: self.place(graph, setup),
            owner: self.owner.clone(),
            last_used_at: wall,
            held_data: false,
        };
        let is_open = graph.kind_is_open && graph.root_is_open;
        let elsewhere = setup.settings.roots().filter(|root| is_open && *root != root_dir);
        Keep {
            path: record_path(root_dir, &graph.name),
            pointer: (root_dir != data_dir).then(|| pointer_path(data_dir, &graph.name, root_dir)),
            elsewhere: elsewhere.map(|root| pointer_path(data_dir, &graph.name, root)).collect(),
            record,
            was_served: graph.was_served,
        }
    }

    /// The place of the graph's data, as far as its policy tells: the directory that it calls `{graph_dir}`, else the graph's
    /// own in its root or in the data directory.
    fn place(&self, graph: &Graph, setup: &Setup) -> Place {
        let kind = &self.spec.policy;
        let in_root = || format!("{}/{}", graph.root_dir, graph.name.on_disk());
        if kind.is_own() {
            return Place::File(format!("{}/graph.sqlite", in_root()));
        }
        let texts =
            || kind.foreign.lock_file.iter().chain(&kind.command).chain(kind.env.values()).chain(&kind.cwd);
        if let Some(dir) = texts().find_map(|text| graph_dir_in(text)) {
            return Place::Dir(self.filled(setup, dir));
        }
        let names = |word: &str| texts().any(|text| text.contains(word));
        let is_in_root = names("{root_dir}") && !names("{data_dir}");
        Place::Dir(if is_in_root { in_root() } else { data_dir(graph, setup) })
    }

    /// Replaces the placeholders in a text of the policy, as they are in the run.
    pub(crate) fn filled(&self, setup: &Setup, text: &str) -> String {
        let port = self.port.map_or_else(|| "{port}".into(), |port| port.to_string());
        let values = self.values(setup, port);
        filled(text, |name| values.get(name).cloned())
    }
}

/// A directory of the graph's own.
fn data_dir(graph: &Graph, setup: &Setup) -> String {
    format!("{}/{}", setup.paths.data_dir, graph.name.on_disk())
}

/// The part of a text that is the path of a graph's directory: from a root up to `{graph_dir}`, which is a whole component.
fn graph_dir_in(text: &str) -> Option<&str> {
    let (before, after) = text.split_once("{graph_dir}")?;
    let is_component = before.ends_with('/') && (after.is_empty() || after.starts_with('/'));
    let start = ["{root_dir}/", "{data_dir}/"].iter().find_map(|root| before.rfind(root))?;
    let end = before.len() + "{graph_dir}".len();
    text.get(start..end).filter(|_| is_component)
}

/// An owner as the kind knows it. Words that it has for others stand for themselves.
fn owner_word(kind: &Kind, owner: &Owner) -> String {
    let words = &kind.foreign.owners;
    let own = owner.as_str();
    let stays = words.values().any(|word| word == own);
    let word = words.get(own).or_else(|| words.get("*").filter(|_| !stays));
    word.map_or_else(|| own.to_string(), Clone::clone)
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
