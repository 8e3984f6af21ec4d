//! Workers of an earlier supervisor: they are listed as `idle`, until they are started, removed or nuked (PROTOCOL 6).

use crate::Core;
use crate::worker::{Identity, Shown, Worker};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::kind::Kind;
use gob_protocol::{Actor, Exit, Name, Owner, State, Timestamp, View, WireError};

/// Why a worker is down that ended with its supervisor.
const KILLED: &str = "the supervisor was killed, and this worker with it";

/// What the supervisor before this one has written down.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// Its workers.
    pub workers: Vec<RememberedWorker>,
    /// It ended in order; else its workers ended with it.
    pub ended_in_order: bool,
}

/// A worker of an earlier supervisor.
#[derive(Debug, Clone)]
pub struct RememberedWorker {
    /// The worker as it was when it was written down.
    pub view: View,
    /// The owner that it had before it came to be `unknown`.
    pub last_owner: Option<Owner>,
    /// The port of its last run that was ready, where it was given one.
    pub last_port: Option<u16>,
    /// A run of it was ready.
    pub was_served: bool,
}

impl Core {
    /// Adds the workers of the supervisor before this one. No event says so: there was no subscriber yet.
    pub(crate) fn remember(&mut self, remembered: Remembered) {
        for worker in remembered.workers {
            self.remember_one(worker, remembered.ended_in_order);
        }
    }

    fn remember_one(&mut self, remembered: RememberedWorker, ended_in_order: bool) {
        let RememberedWorker { view, last_owner, last_port, was_served } = remembered;
        // Jobs have no graph; what the file says twice is said once.
        let Some((graph, root_dir)) = graph_of(&view) else { return };
        let root_dir = self.root_dirs.of(root_dir);
        if self.workers.contains_key(&view.name)
            || self.graphs.contains_key(&(graph.clone(), root_dir.clone()))
        {
            return;
        }
        let kind = self.kind_for(&graph, Some(&String::from(&*view.kind)));
        // Without its kind it is listed all the same; it can't be started until the kind is there.
        let kind = kind.map_or_else(|_| no_kind(), |(_, kind)| kind);
        let (kind, kind_name) = (self.kinds.of(kind), self.kind_names.of(&*view.kind));
        let was_up = view.state.is_live() || view.state == State::Backoff;
        let was_killed = was_up && !ended_in_order && view.state != State::External;
        let (name, owner) = (view.name.clone(), view.owner.clone());
        let run = view.run.max(self.config.last_runs.get(&name).copied().unwrap_or(0));
        let identity = Identity {
            name: name.clone(),
            graph: graph.clone(),
            root_dir: root_dir.clone(),
            kind_name,
            kind,
        };
        let shown = shown(view, was_killed, self.now.wall);
        let mut worker = Worker::new(identity, owner, run, Actor::Supervisor, shown);
        worker.is_remembered = true;
        worker.last_port = last_port;
        // Where the data directory is not mounted, nothing but this tells that the graph held data.
        worker.was_served = was_served;
        worker.last_owner = last_owner.filter(|last| worker.owner.is_unknown() && !last.is_unknown());
        self.graphs.insert((graph, root_dir), name);
        self.workers.insert(worker);
    }

    /// Finds the kind of a worker that was remembered when the configuration did not have it, or of which the
    /// configuration says another one by now: whether that fits the graph is told by its record.
    pub(crate) fn find_kind(&mut self, name: &Name) -> Result<(), Box<WireError>> {
        let Some(worker) = self.workers.get(name).filter(|worker| worker.is_remembered) else {
            return Ok(());
        };
        let own = self.config.settings.own_kind(worker.graph.as_str()).map(String::from);
        let differs = own.as_deref().is_some_and(|own| *own != *worker.kind_name) && !worker.is_running();
        if !differs && !worker.kind.command.is_empty() {
            return Ok(());
        }
        let asked = own.filter(|_| differs).unwrap_or_else(|| String::from(&*worker.kind_name));
        let (kind_name, kind) = self.kind_for(&worker.graph, Some(&asked))?;
        let (kind_name, kind) = (self.kind_names.of(kind_name), self.kinds.of(kind));
        if let Some(worker) = self.workers.get_mut(name) {
            (worker.kind_name, worker.kind) = (kind_name, kind);
        }
        Ok(())
    }
}

/// The graph that a worker serves, and the directory that holds it.
fn graph_of(view: &View) -> Option<(Name, &str)> {
    let graph = Name::graph(view.graph.as_deref()?).ok()?;
    let root_dir = view.root_dir.as_deref().filter(|dir| dir.starts_with('/'))?;
    Some((graph, root_dir))
}

/// Stands in for a kind that the configuration does not have; every kind has a command.
fn no_kind() -> Kind {
    Kind { command: Vec::new(), ..Kind::graph() }
}

/// What is shown of its latest run, which has ended.
fn shown(view: View, was_killed: bool, now: Timestamp) -> Shown {
    Shown {
        command: view.command,
        cwd: view.cwd,
        version: view.version,
        meta: view.meta,
        created_at: view.created_at,
        started_at: view.started_at,
        ready_at: view.ready_at,
        // It ended with the supervisor, or when this one found what was left of it.
        stopped_at: if was_killed { Some(now) } else { view.stopped_at },
        exit: view.exit.filter(|exit| !was_killed || matches!(exit, Exit::SpawnFailed { .. })),
        reason: if was_killed { Some(KILLED.into()) } else { view.reason },
        stdout_path: view.stdout_path,
        stderr_path: view.stderr_path,
        ..Shown::default()
    }
}
