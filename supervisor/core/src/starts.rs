//! The worker that a `start` means (PROTOCOL 5, *ensure*): one that there is, or a new one.

use crate::cx::Cx;
use crate::expects::Expects;
use crate::owner::Ownership;
use crate::refusals;
use crate::run::Shown;
use crate::spec::{Graph, Origin, Spec, lacks_socket};
use crate::worker::{Origins, Worker};
use crate::workers::Workers;
use alloc::boxed::Box;
use alloc::sync::Arc;
use gob_config::foreign::is_safe_dir;
use gob_protocol::request::Start;
use gob_protocol::{Actor, EventKind, Name, Owner, WireError};

/// Finds the worker that a start means, or adds it.
pub(crate) fn resolve(
    start: &Start,
    requester: &Owner,
    actor: &Actor,
    workers: &mut Workers,
    cx: &mut Cx,
) -> Result<Name, Box<WireError>> {
    let name = start.name.as_ref().or(start.graph.as_ref()).ok_or_else(refusals::needs_graph)?;
    if let Some(job) = workers.get(name).filter(|known| known.spec.job().is_some()) {
        let is_meant = start.graph.is_none() && start.root_dir.is_none() && is_of_kind(job, start);
        return if is_meant { Ok(name.clone()) } else { Err(refusals::named_as_job(name)) };
    }
    let graph = start.graph.as_ref().unwrap_or(name);
    let root_dir = cx.pools.root_dirs.of(cx.setup.root_for(graph, start));
    let serving = workers.serving(graph, &root_dir);
    // A start that names no worker means the one that serves the graph, if it is of the kind that was asked for.
    let meant = serving.filter(|other| start.name.is_none() && is_of_kind(other, start));
    // An unknown kind is refused before any other conflict: it would be refused under another name, too.
    if start.kind.is_some() && workers.get(name).is_none_or(|known| !is_of_kind(known, start)) {
        cx.setup.kind_for(graph, start.kind.as_ref())?;
    }
    if let Some(known) = workers.get(name) {
        // A start that names neither graph nor root means this very worker, wherever its graph is.
        let fits = known.spec.graph().is_some_and(|of| {
            start.graph.as_ref().is_none_or(|graph| *graph == of.name)
                && start.root_dir.as_ref().is_none_or(|root| **root == *of.root_dir)
                && is_of_kind(known, start)
        });
        if fits {
            return Ok(name.clone());
        }
        let conflict = || refusals::conflict(name, &known.spec, known.state().is_live(), start);
        return meant.map(|meant| meant.name.clone()).ok_or_else(conflict);
    }
    if let Some(meant) = meant {
        return Ok(meant.name.clone());
    }
    if let Some(other) = serving {
        return Err(refusals::graph_served(graph, &root_dir, &other.name));
    }
    if Name::graph(name.as_str()).is_err() {
        return Err(refusals::not_found(name));
    }
    let origins = Origins {
        ownership: Ownership::new(requester.clone(), None),
        run: cx.past.last_run(name),
        actor: actor.clone(),
        created_at: cx.now.wall,
        last_port: None,
        shown: Shown::default(),
        expects: Expects::default(),
    };
    let worker = Worker::new(name.clone(), spec_of(name, start, root_dir, cx)?, origins);
    worker.publish(EventKind::WorkerAdded, actor.clone(), cx);
    workers.insert(worker);
    Ok(name.clone())
}

fn is_of_kind(worker: &Worker, start: &Start) -> bool {
    start.kind.as_ref().is_none_or(|kind| **kind == *worker.spec.kind_name)
}

/// The spec of a new worker.
fn spec_of(name: &Name, start: &Start, root_dir: Arc<str>, cx: &mut Cx) -> Result<Spec, Box<WireError>> {
    let graph = start.graph.as_ref().unwrap_or(name).clone();
    let setup = &cx.setup;
    let (kind_name, kind) = setup.kind_for(&graph, start.kind.as_ref())?;
    let dir = kind.foreign.graph_dir_encoding.dir_of(&graph);
    if !is_safe_dir(&dir) {
        return Err(refusals::no_dir(&graph, &kind_name, &dir));
    }
    if lacks_socket(&kind, name, &setup.paths) {
        return Err(refusals::socket_too_long(name, &setup.paths.runtime_dir));
    }
    let origin = Origin::Graph(Graph {
        kind_is_open: start.kind.is_none() && setup.settings.own_kind(graph.as_str()).is_none(),
        root_is_open: start.root_dir.is_none() && setup.settings.own_root(graph.as_str()).is_none(),
        name: graph,
        root_dir,
        was_served: false,
        is_remembered: false,
    });
    Ok(Spec {
        origin,
        kind_name: cx.pools.kind_names.of(kind_name),
        policy: cx.pools.kinds.of(kind),
        env: None,
        umask: None,
    })
}
