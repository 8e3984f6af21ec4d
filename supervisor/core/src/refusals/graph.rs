//! Refusals about graphs on disk, and about the workers that serve them.

use super::job::named_as_job;
use super::request::not_found;
use crate::on_disk::OnDisk;
use crate::record::Record;
use crate::spec::Spec;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use gob_protocol::request::Start;
use gob_protocol::{ErrorCode, Name, Owner, State, Timestamp, WireError};
use serde_json::json;

/// The way out for a requester that wants a graph of another kind, or none of what was there.
fn to_begin_anew(graph: &Name) -> String {
    format!(
        "to begin anew, which deletes what is left of its data: gobctl graphs delete {}",
        graph.as_argument()
    )
}

fn use_that_one(other: &Name) -> String {
    format!("use that one: gobctl start {}", other.as_argument())
}

/// The graph has a worker already, under another name.
pub(crate) fn graph_served(graph: &Name, root_dir: &str, other: &Name) -> Box<WireError> {
    let message = format!("the graph {graph} in {root_dir} is served by the worker {other} already");
    let details = json!({"worker": other.as_str(), "graph": graph.as_str(), "root_dir": root_dir});
    let error = WireError::new(ErrorCode::GraphConflict, message);
    Box::new(error.hint(use_that_one(other)).details(details))
}

/// The graph's name makes no directory of its own.
pub(crate) fn no_dir(graph: &Name, kind: &str, dir: &str) -> Box<WireError> {
    let message =
        format!("the graph {graph} has no directory of its own in the kind {kind}: it would be {dir:?}");
    let details = json!({"field": "payload.graph", "position": 0});
    Box::new(WireError::new(ErrorCode::InvalidName, message).hint("choose another name").details(details))
}

/// The name is taken by a worker that is something else.
pub(crate) fn conflict(name: &Name, known: &Spec, is_up: bool, start: &Start) -> Box<WireError> {
    let Some(graph) = known.graph() else { return named_as_job(name) };
    let kind_name = &known.kind_name;
    let root_dir = &graph.root_dir;
    let message = format!("{name} is the graph {} in {root_dir} of kind {kind_name} already", graph.name);
    let asked = start.graph.as_ref().unwrap_or(&graph.name);
    let same_place = start.root_dir.as_ref().is_none_or(|root| **root == **root_dir);
    // An earlier supervisor's worker was served in its life.
    let was_served = graph.was_served || graph.is_remembered;
    let hint = if *asked == graph.name && same_place && was_served {
        to_begin_anew(&graph.name)
    } else {
        let mut hint =
            format!("give the other one a name of its own: gobctl start --name NAME {}", asked.as_argument());
        if !is_up {
            let forget = format!("; or forget this one, which is down: gobctl remove {}", name.as_argument());
            hint.push_str(&forget);
        }
        hint
    };
    let details = json!({
        "worker": name.as_str(), "graph": graph.name.as_str(), "root_dir": root_dir, "kind": kind_name,
    });
    Box::new(WireError::new(ErrorCode::GraphConflict, message).hint(hint).details(details))
}

/// The graph was last of another kind.
pub(crate) fn was_last(name: &Name, known: &Record) -> WireError {
    let message = format!("{name} was last of the kind {}", known.kind);
    let hint = format!("start it as that; {}", to_begin_anew(&known.graph));
    let details = json!({
        "worker": name.as_str(), "graph": known.graph.as_str(), "root_dir": known.root_dir, "kind": known.kind,
    });
    WireError::new(ErrorCode::GraphConflict, message).hint(hint).details(details)
}

/// The graph was last of a kind that is refused for the reason of `error`.
pub(crate) fn was_last_without_kind(name: &Name, known: &Record, error: WireError) -> WireError {
    let message = format!("{name} was last of the kind {}: {}", known.kind, error.message);
    WireError { message, ..error }
}

/// The graph held data, and that is not where it was.
pub(crate) fn data_gone(graph: &Name, path: &str, last_used_at: Option<Timestamp>) -> WireError {
    let when = last_used_at.map_or_else(String::new, |at| format!(" when it was last used, {at}"));
    let message = format!("the data of {graph} is gone: {path}, where it was{when}, is missing or empty");
    let hint = format!("put it back, such as from a backup; or, {}", to_begin_anew(graph));
    let details = json!({"graph": graph.as_str(), "path": path, "last_used_at": last_used_at});
    WireError::new(ErrorCode::GraphGone, message).hint(hint).details(details)
}

/// The directory is one that another worker serves.
pub(crate) fn served(name: &Name, other: &Name, path: &str) -> WireError {
    let message = format!("{name} would be another name of {path}, which the worker {other} serves already");
    WireError::new(ErrorCode::GraphConflict, message)
        .hint(use_that_one(other))
        .details(json!({"worker": other.as_str(), "path": path}))
}

/// There is no such graph on disk.
pub(crate) fn no_graph(graph: &Name) -> Box<WireError> {
    let mut error = not_found(graph);
    error.message = format!("there is no graph {graph} on disk");
    error.hint = Some("see what there is: gobctl graphs".into());
    error
}

/// The graph is in more than one root.
pub(crate) fn ambiguous(graph: &Name, meant: &[OnDisk]) -> Box<WireError> {
    let roots: Vec<&str> = meant.iter().map(|known| known.root_dir.as_str()).collect();
    let message = format!("there is a graph {graph} in each of {}", roots.join(", "));
    let error = WireError::new(ErrorCode::GraphConflict, message).hint("say which: --root-dir DIR");
    Box::new(error.details(json!({"roots": roots})))
}

/// The graph was last another owner's.
pub(crate) fn owned_before(known: &OnDisk, requester: &Owner) -> Box<WireError> {
    let OnDisk { graph, owner, .. } = known;
    let message = format!("{graph} was last owned by {owner}, you are {requester}");
    let details = json!({"worker": graph.as_str(), "owner": owner.as_str(), "requester": requester.as_str()});
    let error = WireError::new(ErrorCode::ServerOwnedByOther, message);
    Box::new(error.hint(format!("ask {owner} to delete it")).details(details))
}

/// The graph's worker is up.
pub(crate) fn graph_is_up(graph: &Name, worker: &Name, state: State) -> Box<WireError> {
    let message = format!("cannot delete {graph}: its worker {worker} is up ({state})");
    let hint = format!("stop it first: gobctl stop {}", worker.as_argument());
    Box::new(WireError::new(ErrorCode::ServerRunning, message).hint(hint))
}

/// The graph could not be deleted.
pub(crate) fn not_deleted(graph: &Name, why: &impl fmt::Display) -> Box<WireError> {
    Box::new(WireError::new(ErrorCode::Internal, format!("{graph} could not be deleted: {why}")))
}
