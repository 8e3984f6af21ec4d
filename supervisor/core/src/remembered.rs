//! Workers of an earlier supervisor: they are listed as `idle`, until they are started, removed or nuked (PROTOCOL 6).

use crate::adds;
use crate::cx::Cx;
use crate::expects::Expects;
use crate::owner::Ownership;
use crate::refusals::Reason;
use crate::run::Shown;
use crate::spec::{Graph, Job, Origin, Spec};
use crate::worker::{Origins, Worker};
use crate::workers::Workers;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_config::kind::{JOB, Kind, RestartOn};
use gob_protocol::{Actor, Exit, Leftover, Name, Owner, State, Survivor, Timestamp, View};
use serde::Serialize;

/// The workers of the supervisor before this one, from `last.json`.
#[derive(Debug, Clone, Default)]
pub struct Remembered {
    /// Its workers.
    pub workers: Vec<RememberedWorker>,
    /// It ended in order; else its workers ended with it.
    pub ended_in_order: bool,
    /// The highest number that it, or one before it, gave to a job.
    pub highest_job: u64,
    /// There may be jobs in the queue of the store.
    pub has_queue: bool,
}

/// Facts that a supervisor hands to the one after it, beside the workers' views.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ToRemember {
    /// The last owners of workers that are `unknown`.
    pub last_owners: BTreeMap<Name, Owner>,
    /// The ports of the workers' last runs that were ready, where they were given one.
    pub last_ports: BTreeMap<Name, u16>,
    /// The workers of which a run was ready, so that their graphs are known to have had data.
    pub served: Vec<Name>,
    /// The restart policies of jobs.
    pub restarts: BTreeMap<Name, RestartOn>,
    /// The highest number that a job was ever given.
    pub highest_job: u64,
    /// The workers that are jobs of the queue: the store has these.
    pub queued: Vec<Name>,
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
    /// The restart policy of a job.
    pub restart: Option<RestartOn>,
}

/// Adds the workers of the supervisor before this one. No event says so: there was no subscriber yet.
pub(crate) fn remember(remembered: Remembered, workers: &mut Workers, cx: &mut Cx) {
    for worker in remembered.workers {
        cx.past.knows(&worker.view.name);
        let Some(spec) = spec_of(&worker, cx) else { continue };
        // A worker that the file has twice is there once.
        if workers.get(&worker.view.name).is_none() && workers.same_as(&spec.identity()).is_none() {
            workers.insert(revive(worker, spec, remembered.ended_in_order, cx));
        }
    }
}

/// Notes which processes of earlier supervisors are still there now, and has their workers tell of it.
pub(crate) fn left_over(leftovers: Vec<Leftover>, workers: &mut Workers, cx: &mut Cx) {
    let mut names: BTreeSet<Name> = leftovers.iter().filter_map(|left| left.worker.clone()).collect();
    names.extend(cx.past.leftovers().iter().filter_map(|left| left.worker.clone()));
    let before: Vec<(Name, Vec<Survivor>)> =
        names.into_iter().map(|name| (name.clone(), cx.past.left_of(&name))).collect();
    cx.past.left_over(leftovers);
    for (name, before) in before {
        let left = cx.past.left_of(&name);
        if let Some(worker) = workers.get_mut(&name).filter(|_| left != before) {
            worker.shows_left(cx);
        }
    }
}

/// The spec of a remembered worker, as far as it is known: a job without its environment.
fn spec_of(worker: &RememberedWorker, cx: &mut Cx) -> Option<Spec> {
    let view = &worker.view;
    let (origin, kind) = match graph_of(view) {
        Some((graph, root_dir)) => {
            let kind = cx.setup.kind_for(&graph, Some(&String::from(&*view.kind)));
            // Without its kind it is listed all the same; it can't be started until the kind is there.
            let kind = kind.map_or_else(|_| no_kind(), |(_, kind)| kind);
            let root_dir = cx.pools.root_dirs.of(root_dir);
            (Origin::Graph(remembered_graph(graph, root_dir, worker.was_served)), kind)
        }
        None => (
            Origin::Job(job_of(view)?),
            adds::kind(worker.restart.unwrap_or(RestartOn::Never), &cx.setup.settings.restart),
        ),
    };
    Some(Spec {
        origin,
        kind_name: cx.pools.kind_names.of(&*view.kind),
        policy: cx.pools.kinds.of(kind),
        env: None,
        umask: None,
    })
}

fn remembered_graph(name: Name, root_dir: Arc<str>, was_served: bool) -> Graph {
    Graph {
        name,
        root_dir,
        kind_is_open: false,
        root_is_open: false,
        // Where the data directory is not mounted, nothing but this tells that the graph held data.
        was_served,
        is_remembered: true,
    }
}

fn revive(worker: RememberedWorker, spec: Spec, ended_in_order: bool, cx: &Cx) -> Worker {
    let RememberedWorker { view, last_owner, last_port, .. } = worker;
    let was_up = view.state.is_live() || view.state == State::Backoff;
    let was_killed = was_up && !ended_in_order && view.state != State::External;
    let name = view.name.clone();
    let origins = Origins {
        ownership: Ownership::new(view.owner.clone(), last_owner),
        run: view.run.max(cx.past.last_run(&name)),
        actor: Actor::Supervisor,
        created_at: view.created_at,
        last_port,
        expects: Expects::of_remembered(view.expected_ms.filter(|_| spec.job().is_some())),
        shown: shown(view, was_killed, cx.now.wall),
    };
    Worker::new(name, spec, origins)
}

/// The graph that a worker serves, and the directory that holds it.
fn graph_of(view: &View) -> Option<(Name, &str)> {
    let graph = Name::graph(view.graph.as_deref()?).ok()?;
    let root_dir = view.root_dir.as_deref().filter(|dir| dir.starts_with('/'))?;
    Some((graph, root_dir))
}

/// The job that a view tells of.
fn job_of(view: &View) -> Option<Job> {
    let cwd = view.cwd.as_ref().filter(|dir| *view.kind == *JOB && dir.starts_with('/'))?;
    view.command.first()?;
    let (command, cwd) = (Arc::clone(&view.command), Arc::clone(cwd));
    Some(Job { command, cwd, description: view.description.clone(), blocked: None, queued: None })
}

/// Stands in for a kind that the configuration does not have; every kind has a command.
fn no_kind() -> Kind {
    Kind { command: Vec::new(), ..Kind::graph() }
}

/// Returns the shown part of its latest run, which has ended.
fn shown(view: View, was_killed: bool, now: Timestamp) -> Shown {
    Shown {
        command: view.command,
        cwd: view.cwd,
        version: view.version,
        meta: view.meta,
        started_at: view.started_at,
        ready_at: view.ready_at,
        // It ended with the supervisor, or when this one found what was left of it.
        stopped_at: if was_killed { Some(now) } else { view.stopped_at },
        exit: view.exit.filter(|exit| !was_killed || matches!(exit, Exit::SpawnFailed { .. })),
        reason: if was_killed { Some(Reason::Killed.into()) } else { view.reason },
        stdout_path: view.stdout_path,
        stderr_path: view.stderr_path,
        ..Shown::default()
    }
}
