//! Refusals about runs that do not come up, or do not end.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::handshake::HandshakeError;
use gob_protocol::{Actor, ErrorCode, Exit, Name, Receipt, Survivor, WireError};
use serde_json::json;

/// How many survivors a message names.
const SHOWN: usize = 10;

/// Points to the worker's own words.
fn see_logs(name: &Name) -> String {
    format!("see gobctl logs {}", name.as_argument())
}

/// Tells whether there was a process, so that its log may say more.
const fn has_run(exit: &Exit) -> bool {
    match exit {
        Exit::Code { .. } | Exit::Signal { .. } => true,
        Exit::SpawnFailed { .. } => false,
    }
}

/// The end of the reason of a worker that is down for good: where more is to be found, if there is more.
pub(super) fn pointer(name: &Name, exit: &Exit) -> String {
    if has_run(exit) { format!(": {}", see_logs(name)) } else { String::new() }
}

/// The run ended before it was ready; `reason` is the one that is shown, `last_lines` are the run's own.
pub(crate) fn run_failed(
    name: &Name,
    exit: &Exit,
    code: ErrorCode,
    reason: Option<&str>,
    last_lines: &[String],
) -> WireError {
    let message = match (code, reason) {
        (ErrorCode::ServerStartTimeout, Some(why)) => format!("{name} {why}; its processes were ended"),
        (_, Some(why)) => format!("{name} {exit} before it was ready: {why}"),
        (_, None) => format!("{name} {exit} before it was ready"),
    };
    let hint = if has_run(exit) {
        see_logs(name)
    } else {
        format!("see who holds it: gobctl who {}", name.as_argument())
    };
    WireError::new(code, message)
        .hint(hint)
        .details(json!({"exit": exit, "errno": null, "last_lines": last_lines}))
}

/// The run says, or shows, that it will not be ready.
pub(crate) fn never_ready(name: &Name, error: &HandshakeError, last_lines: &[String]) -> WireError {
    let (code, reason) = match error {
        HandshakeError::Refused(reason) => (ErrorCode::ServerStartFailed, reason),
        HandshakeError::Invalid(reason) => (ErrorCode::HandshakeInvalid, reason),
    };
    let details = json!({"exit": null, "errno": null, "last_lines": last_lines});
    WireError::new(code, format!("{name} did not become ready: {reason}"))
        .hint(see_logs(name))
        .details(details)
}

/// The worker was stopped while a requester waited for it to come up.
pub(crate) fn stopped_by(name: &Name, actor: &Actor) -> WireError {
    WireError::new(ErrorCode::ServerStartFailed, format!("{name} was stopped by {actor}"))
}

/// A requester waits no longer.
pub(crate) fn not_ready_yet(name: &Name) -> WireError {
    let message = format!("{name} is not ready yet; it goes on starting");
    let hint = format!("watch it: gobctl events {0}, gobctl logs -f {0}", name.as_argument());
    WireError::new(ErrorCode::ServerStartTimeout, message).hint(hint)
}

/// The descriptors that are left are kept for requests.
pub(crate) fn no_descriptors(name: &Name) -> Box<WireError> {
    let message = format!("the supervisor has no descriptors left for a run of {name}");
    Box::new(
        WireError::new(ErrorCode::Busy, message)
            .hint("stop some workers, or raise the hard limit of open files, then gobctl daemon stop")
            .details(json!({"limit": "open files"})),
    )
}

/// A socket's address is too short for the path of this worker's.
pub(crate) fn socket_too_long(name: &Name, runtime_dir: &str) -> Box<WireError> {
    let message = format!(
        "{name} cannot have a socket: the runtime directory {runtime_dir} has {} bytes, and no name fits behind it into the \
         107 that a socket's path may have",
        runtime_dir.len()
    );
    let hint = "choose a shorter GOB_RUNTIME_DIR, or a kind that listens on a {port}";
    let details = json!({"exit": null, "errno": "ENAMETOOLONG", "last_lines": []});
    Box::new(WireError::new(ErrorCode::ServerStartFailed, message).hint(hint).details(details))
}

/// Processes could not be ended yet, with the way to end them.
pub(crate) fn survived(whose: &str, survivors: &[Survivor]) -> WireError {
    let describe = |survivor: &Survivor| {
        let uid = survivor.uid.map(|uid| format!(" of uid {uid}")).unwrap_or_default();
        let error = survivor.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        format!("pid {}{uid}{error}", survivor.pid)
    };
    let shown = survivors.iter().take(SHOWN).map(describe).collect::<Vec<_>>().join(", ");
    let more = if survivors.len() > SHOWN { ", …" } else { "" };
    let message =
        format!("{} process(es) of {whose} could not be ended yet ({shown}{more})", survivors.len());
    let denied: Vec<String> = survivors
        .iter()
        .filter(|survivor| survivor.error.is_some())
        .take(SHOWN)
        .map(|survivor| survivor.pid.to_string())
        .collect();
    let hint = if denied.is_empty() {
        "they may hang in the kernel, such as on a dead network mount; gob goes on trying".into()
    } else {
        format!("gob may not signal processes of another user: sudo kill -KILL {}", denied.join(" "))
    };
    WireError::new(ErrorCode::ServerStopTimeout, message).hint(hint)
}

/// The supervisor has ended without these.
pub(crate) fn ended_without(survivors: Vec<Survivor>, stopped: &[Name]) -> Box<WireError> {
    let mut error = survived("workers", &survivors);
    error.message.push_str("; the supervisor has ended without them");
    let receipt = Receipt { signalled: Vec::new(), survivors };
    Box::new(error.details(json!({"receipt": receipt, "stopped": stopped})))
}

/// Processes of a worker could not be ended for too long: the answer to a stop.
pub(crate) fn still_there(name: &Name, receipt: &Receipt) -> WireError {
    survived(name.as_str(), &receipt.survivors).details(json!({"receipt": receipt}))
}

/// Old processes of a worker are still there, and gob starts none beside them: the answer to a start.
pub(crate) fn left_over(name: &Name, survivors: &[Survivor]) -> WireError {
    let pids: Vec<i32> = survivors.iter().map(|survivor| survivor.pid).collect();
    let error = survived(name.as_str(), survivors).details(json!({"pids": pids}));
    WireError { code: ErrorCode::ServerStartTimeoutOrphan, ..error }
}
