//! A run gets no process, for what is known of its graph on disk does not fit (`record`): it takes over what was known where
//! nobody chose, and says else why it gives up.

use crate::Core;
use crate::io::RunKey;
use crate::record::{Record, Unfit};
use crate::worker::Phase;
use alloc::format;
use alloc::string::String;
use gob_protocol::{Actor, ErrorCode, EventKind, Name, Receipt, Timestamp, WireError};
use serde_json::json;

impl Core {
    pub(crate) fn unfit(&mut self, key: &RunKey, why: Unfit) {
        let Some(worker) = self.current(key).filter(|worker| worker.awaits_spawn()) else { return };
        worker.shown.fill_port(None);
        let is_open = worker.kind_is_open && matches!(worker.phase, Phase::Starting { .. });
        let error = match why {
            Unfit::Kind(known) if is_open => match self.take_kind(&key.name, &known) {
                Ok(()) => return self.begin_run(&key.name),
                Err(error) => error,
            },
            Unfit::Kind(known) => was_last(&key.name, &known),
            Unfit::Gone { path, last_used_at } => gone(&worker.graph, &path, last_used_at),
            Unfit::Served { worker: other, path } => served(&key.name, &other, &path),
        };
        self.gives_up(key, &Receipt::default(), error);
    }

    /// Makes the worker one of the kind that served its graph last, in the root that it lies in.
    fn take_kind(&mut self, name: &Name, known: &Record) -> Result<(), WireError> {
        let Some(worker) = self.workers.get(name) else { return Ok(()) };
        let (graph, old_root) = (worker.graph.clone(), worker.root_dir.clone());
        let (kind_name, kind) = self.kind_for(&graph, Some(&known.kind)).map_err(|error| {
            let message = format!("{name} was last of the kind {}: {}", known.kind, error.message);
            WireError { message, ..*error }
        })?;
        let root_dir = self.root_dirs.of(known.root_dir.clone());
        if root_dir != old_root {
            if let Some(other) = self.graphs.get(&(graph.clone(), root_dir.clone())) {
                return Err(served(name, other, &root_dir));
            }
            self.graphs.remove(&(graph.clone(), old_root));
            self.graphs.insert((graph, root_dir.clone()), name.clone());
        }
        let (kind_name, kind) = (self.kind_names.of(kind_name), self.kinds.of(kind));
        if let Some(worker) = self.workers.get_mut(name) {
            (worker.kind_name, worker.kind, worker.root_dir) = (kind_name, kind, root_dir);
            (worker.kind_is_open, worker.root_is_open) = (false, false);
        }
        self.publish(EventKind::WorkerUpdated, Actor::Supervisor, Some(name));
        Ok(())
    }
}

/// The way out for whoever wants a graph of another kind, or none of what was there.
pub(crate) fn to_begin_anew(graph: &Name) -> String {
    format!(
        "to begin anew, which deletes what is left of its data: gobctl graphs delete {}",
        graph.as_argument()
    )
}

fn was_last(name: &Name, known: &Record) -> WireError {
    let message = format!("{name} was last of the kind {}", known.kind);
    let hint = format!("start it as that; {}", to_begin_anew(&known.graph));
    let details = json!({
        "worker": name.as_str(), "graph": known.graph.as_str(), "root_dir": known.root_dir, "kind": known.kind,
    });
    WireError::new(ErrorCode::GraphConflict, message).hint(hint).details(details)
}

fn gone(graph: &Name, path: &str, last_used_at: Option<Timestamp>) -> WireError {
    let when = last_used_at.map_or_else(String::new, |at| format!(" when it was last used, {at}"));
    let message = format!("the data of {graph} is gone: there is nothing at {path}, where it was{when}");
    let hint = format!("put it back; or, {}", to_begin_anew(graph));
    let details = json!({"graph": graph.as_str(), "path": path, "last_used_at": last_used_at});
    WireError::new(ErrorCode::GraphGone, message).hint(hint).details(details)
}

fn served(name: &Name, other: &Name, path: &str) -> WireError {
    let message = format!("{name} would be another name of {path}, which the worker {other} serves already");
    let hint = format!("use that one: gobctl start {}", other.as_argument());
    WireError::new(ErrorCode::GraphConflict, message)
        .hint(hint)
        .details(json!({"worker": other.as_str(), "path": path}))
}
