//! Program, arguments, environment and directories of a run (docs/CONFIGURATION.md).

use crate::ids::RunKey;
use crate::parts::{ExaminePlan, GraphLock, PORT_MARK, PortWish, SpawnPlan};
use crate::paths::{notify_socket, sockets_dir};
use crate::record::{Keep, Place, RECORD_VERSION, Record, lock_path, pointer_path, record_path};
use crate::setup::Setup;
use crate::spec::{Spec, needs_port};
use crate::target::Target;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use gob_config::kind::{Check, HttpPort, Kind};
use gob_config::placeholder::filled;
use gob_protocol::logindex::{Stream, log_path};
use gob_protocol::{Name, Owner, Timestamp};

const GRAPH_UMASK: u32 = 0o077;

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

impl Subject<'_> {
    /// The values of placeholders.
    fn values(&self, setup: &Setup, port: String) -> BTreeMap<&'static str, String> {
        let (kind, graph) = (&self.spec.policy, self.spec.graph());
        BTreeMap::from([
            ("graph", graph.name.to_string()),
            ("name", self.name.to_string()),
            ("root_dir", graph.root_dir.as_ref().into()),
            ("data_dir", self.data_dir(setup)),
            ("graph_dir", kind.foreign.graph_dir_encoding.dir_of(&graph.name)),
            ("owner", owner_word(kind, self.owner)),
            ("socket", setup.paths.socket_of(self.name)),
            ("port", port),
        ])
    }

    /// A directory of the graph's own.
    fn data_dir(&self, setup: &Setup) -> String {
        format!("{}/{}", setup.paths.data_dir, self.spec.graph().name.on_disk())
    }

    /// Replaces the placeholders in a text of the policy, as they are in the run.
    pub(crate) fn filled(&self, setup: &Setup, text: &str) -> String {
        let port = self.port.map_or_else(|| "{port}".into(), |port| port.to_string());
        let values = self.values(setup, port);
        filled(text, |name| values.get(name).cloned())
    }

    /// Makes the plan of the run.
    pub(crate) fn plan(&self, setup: &Setup, wall: Timestamp) -> SpawnPlan {
        let paths = &setup.paths;
        let values = self.values(setup, PORT_MARK.into());
        let (data_dir, socket) = (
            values.get("data_dir").cloned().unwrap_or_default(),
            values.get("socket").cloned().unwrap_or_default(),
        );
        let kind = &self.spec.policy;
        let fill = |text: &String| filled(text, |name| values.get(name).cloned());
        let cwd = kind.cwd.as_ref().map_or_else(|| data_dir.clone(), fill);
        let mut env = self.spec.passes(self.spec.env.as_deref().unwrap_or(&setup.base_env));
        for (name, value) in &kind.env {
            env.set(name, fill(value));
        }
        env.set("GOB_NAME", self.name.as_str());
        env.set("GOB_RUN", self.run.to_string());
        env.set("GOB_SOCKET", &*paths.socket);
        env.set("GOB_INSTANCE", &*setup.server.instance);
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
            key: RunKey { name: self.name.clone(), run: self.run },
            command: kind.command.iter().map(fill).collect(),
            cwd,
            make_dirs: vec![data_dir.clone(), sockets_dir(&paths.runtime_dir)],
            stale_socket: kind.command.iter().any(|arg| arg.contains("{socket}")).then(|| socket.clone()),
            env,
            umask: GRAPH_UMASK,
            check: kind.readiness.check.clone(),
            liveness: kind.liveness.as_ref().map(|liveness| liveness.check.clone()),
            rlimits: kind.rlimits.iter().map(|(name, value)| (name.clone(), *value)).collect(),
            lock: Some(self.graph_lock(setup, wall)),
            port: self.port_wish(),
            after_ms: 0,
        }
    }

    /// The port to give to the run; `None` where its policy has no use for one. A port that a run was ready on is wished for
    /// again, so that the worker's clients find it where it was.
    fn port_wish(&self) -> Option<PortWish> {
        let kind = &self.spec.policy;
        needs_port(kind).then(|| match (kind.port, self.last_port) {
            (Some(port), _) => PortWish::Only(port),
            (None, Some(port)) => PortWish::Rather(port),
            (None, None) => PortWish::Any,
        })
    }

    /// The file whose lock says that the graph is served: under the root, which is part of the graph's identity, so that a
    /// supervisor with other directories meets it too, whichever of them calls the root its own.
    fn graph_lock(&self, setup: &Setup, wall: Timestamp) -> GraphLock {
        let graph = self.spec.graph();
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
        GraphLock { path, note, keep: self.keep(setup, wall) }
    }

    /// The part of the graph's record that is known before the run serves.
    pub(crate) fn keep(&self, setup: &Setup, wall: Timestamp) -> Keep {
        let data_dir = setup.paths.data_dir.as_str();
        let graph = self.spec.graph();
        let root_dir = graph.root_dir.as_ref();
        let record = Record {
            gob_record: RECORD_VERSION,
            graph: graph.name.clone(),
            kind: self.spec.kind_name.as_ref().into(),
            root_dir: root_dir.into(),
            data: self.place(setup),
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
    fn place(&self, setup: &Setup) -> Place {
        let (kind, graph) = (&self.spec.policy, self.spec.graph());
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
        Place::Dir(if is_in_root { in_root() } else { self.data_dir(setup) })
    }

    /// The file that a stream of the run is written to.
    pub(crate) fn log_path(&self, setup: &Setup, stream: Stream) -> String {
        format!("{}/logs/{}", setup.paths.state_dir, log_path(self.name, self.run, stream))
    }

    /// How the shell finds the processes that hold the graph without gob.
    pub(crate) fn examine_plan(&self, setup: &Setup, wall: Timestamp) -> ExaminePlan {
        let (kind, graph) = (&self.spec.policy, self.spec.graph());
        let health = match &kind.readiness.check {
            Check::Http { path, .. } => Some(self.filled(setup, path)),
            Check::None | Check::Handshake | Check::Notify | Check::Connect { .. } => None,
            Check::Log { .. } | Check::Delay { .. } => None,
        };
        ExaminePlan {
            lock_file: kind.foreign.lock_file.as_ref().map(|path| self.filled(setup, path)),
            command: self.plan(setup, wall).command,
            graph: graph.name.to_string(),
            root_dir: graph.root_dir.as_ref().into(),
            health,
        }
    }

    /// The target of a check that looks from outside; `None` for the others.
    pub(crate) fn target(&self, setup: &Setup, check: &Check) -> Option<Target> {
        match check {
            Check::Http { path, status, port } => {
                let port = match port {
                    HttpPort::Given => self.port,
                    HttpPort::Discover => None,
                    HttpPort::Fixed(port) => Some(*port),
                };
                Some(Target::Http { port, path: self.filled(setup, path), status: *status })
            }
            Check::Connect { address } => Some(Target::Connect { address: self.filled(setup, address) }),
            Check::None | Check::Handshake | Check::Notify | Check::Log { .. } | Check::Delay { .. } => None,
        }
    }
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
