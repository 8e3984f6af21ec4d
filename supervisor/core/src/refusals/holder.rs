//! Refusals about processes that gob did not start.

use super::reason::Reason;
use crate::parts::{Holder, Orphan};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::{ErrorCode, Name, Receipt, WireError};
use serde_json::json;

fn see_who(name: &Name) -> String {
    format!("see who it is: gobctl who {}", name.as_argument())
}

/// The worker's graph is held by a process that gob did not start.
pub(crate) fn not_ours(name: &Name, holder: &Holder) -> Box<WireError> {
    let message = format!("{name} is held by pid {} ({}), which gob did not start", holder.pid, holder.path);
    let hint = format!("ask the program that started it to stop it; see gobctl who {}", name.as_argument());
    Box::new(locked(message, hint, holder))
}

fn locked(message: String, hint: String, holder: &Holder) -> WireError {
    WireError::new(ErrorCode::ServerLockedByExternal, message)
        .hint(hint)
        .details(json!({"pid": holder.pid, "owner": holder.owner.as_str(), "path": holder.path}))
}

/// The supervisor ends, and asks no process of others to end with it.
pub(crate) fn on_its_way_out() -> WireError {
    WireError::new(
        ErrorCode::ShuttingDown,
        "the supervisor is on its way out, and signals nobody else's process",
    )
}

/// Workers of the graph are alive without a lock file.
pub(crate) fn beside_orphans(name: &Name, orphans: &[Orphan]) -> WireError {
    let first = orphans.first();
    let pid = first.map_or(0, |orphan| orphan.id.pid);
    let command = first.map(|orphan| orphan.command.clone()).unwrap_or_default();
    let message = format!(
        "{name} is served by pid {pid} ({command}), which gob did not start and which holds no lock file"
    );
    let pids: Vec<i32> = orphans.iter().map(|orphan| orphan.id.pid).collect();
    WireError::new(ErrorCode::ServerLockedByExternal, message)
        .hint("end it, or set orphans = \"end\" in its kind if gob may end such processes")
        .details(json!({"pid": pid, "owner": "unknown", "path": null, "pids": pids}))
}

/// The graph's lock is taken.
pub(crate) fn held_by(name: &Name, holder: &Holder) -> WireError {
    let path = &holder.path;
    let (message, hint) = match holder.pid {
        0 => (
            format!("the graph of {name} is held ({path}), by no process that can be seen from here"),
            "another user, a container or another machine may have it; gob tries again".into(),
        ),
        pid => (
            format!("the graph of {name} is held by pid {pid} ({path}), which is not this supervisor's"),
            see_who(name),
        ),
    };
    locked(message, hint, holder)
}

/// The holder was asked to end, and is still there.
pub(crate) fn still_held(name: &Name, pid: i32, why: Reason<'_>, receipt: &Receipt) -> WireError {
    let message = format!("pid {pid} holds {name} without gob and {why}; it was not signalled");
    WireError::new(ErrorCode::ServerStopTimeout, message)
        .hint(see_who(name))
        .details(json!({"receipt": receipt}))
}
