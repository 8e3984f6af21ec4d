//! Refusals of requests that mean nothing, or come from the wrong party or at the wrong time.

use crate::owner::Title;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::answer::ServerInfo;
use gob_protocol::limits::PROTOCOL;
use gob_protocol::view::LeaseHolder;
use gob_protocol::{ErrorCode, Name, Owner, State, WireError};
use serde_json::json;

/// How many holders of leases a hint names.
const HOLDERS_IN_HINT: usize = 3;

/// The details of a refusal that is about one worker.
fn about(name: &Name) -> serde_json::Value {
    json!({"worker": name})
}

fn invalid(message: impl Into<String>, field: &str) -> WireError {
    let details = json!({"field": field, "position": 0});
    WireError::new(ErrorCode::InvalidRequest, message.into()).details(details)
}

/// There is no worker of this name.
pub(crate) fn not_found(name: &Name) -> Box<WireError> {
    let error = WireError::new(ErrorCode::ServerNotFound, format!("there is no worker {name}"));
    Box::new(error.hint("see what there is: gobctl list").details(about(name)))
}

/// The worker has no process to send a signal to.
pub(crate) fn not_running(name: &Name, state: State) -> Box<WireError> {
    let message = format!("cannot signal {name}: it is {state}");
    let error = WireError::new(ErrorCode::ServerNotRunning, message).details(about(name));
    let name = name.as_argument();
    let hint = if state == State::Backoff {
        format!("it is started again by itself; at once with gobctl start {name}")
    } else {
        format!("start it: gobctl start {name}")
    };
    Box::new(error.hint(hint))
}

/// The worker is up, and is not removed.
pub(crate) fn cannot_remove(name: &Name, state: State) -> Box<WireError> {
    let message = format!("cannot remove {name}: it is up ({state})");
    let hint = format!("stop it first: gobctl stop {}", name.as_argument());
    Box::new(WireError::new(ErrorCode::ServerRunning, message).hint(hint).details(about(name)))
}

/// A start that names nothing.
pub(crate) fn needs_graph() -> Box<WireError> {
    Box::new(invalid("start needs a graph or a name", "payload.graph"))
}

/// A word that is no signal.
pub(crate) fn not_a_signal(word: &str) -> Box<WireError> {
    let error = invalid(format!("{word:?} is not a signal"), "payload.signal");
    Box::new(error.hint("such as HUP, SIGUSR1 or 15"))
}

/// The kernel refused a signal.
pub(crate) fn signal_refused(name: &Name, pid: i32, signal: &str, errno: &str) -> Box<WireError> {
    let message = format!("{signal} could not be sent to {name} (pid {pid}): {errno}, it is another user's");
    Box::new(
        WireError::new(ErrorCode::PermissionDenied, message)
            .hint(format!("sudo kill -{} {pid}", signal.trim_start_matches("SIG")))
            .details(json!({"pid": pid, "errno": errno})),
    )
}

/// A second hello of a connection.
pub(crate) fn hello_twice() -> Box<WireError> {
    Box::new(invalid("hello was said already; it binds a connection once", "type"))
}

/// A client of another protocol. A request that would mend it speaks another protocol too, and would be refused as this is.
pub(crate) fn version_mismatch(theirs: u32, server: &ServerInfo) -> Box<WireError> {
    let message = format!("you speak protocol {theirs}, this supervisor speaks {PROTOCOL}");
    let hint = format!(
        "use the gobctl of its version, {}, or end it in order, its workers too: kill -TERM {}; the next command starts the gobd that is installed",
        server.version, server.pid
    );
    let details = json!({"client": theirs, "server": PROTOCOL});
    Box::new(WireError::new(ErrorCode::VersionMismatch, message).hint(hint).details(details))
}

/// A second subscription of a connection.
pub(crate) fn subscribed_already() -> Box<WireError> {
    let error = WireError::new(ErrorCode::Busy, "this connection has a subscription already")
        .hint("unsubscribe first, or open another connection")
        .details(json!({"limit": 1}));
    Box::new(error)
}

/// The supervisor is on its way out and changes nothing any more.
pub(crate) fn shutting_down() -> Box<WireError> {
    let error = WireError::new(ErrorCode::ShuttingDown, "the supervisor is on its way out")
        .hint("try again in a moment: the next request starts a new one");
    Box::new(error)
}

/// A worker as its refusal to a stranger tells of it.
#[derive(Debug)]
pub(crate) struct Claimed<'a> {
    pub(crate) name: &'a Name,
    pub(crate) title: Title<'a>,
    /// Its process is not gob's.
    pub(crate) is_external: bool,
    /// Name and process of the client that made its owner the owner, as far as they are known.
    pub(crate) client: Option<(Option<&'a str>, Option<i32>)>,
    pub(crate) holders: Vec<&'a LeaseHolder>,
    pub(crate) pid: Option<i32>,
}

/// The refusal for a requester that may not manage this worker. It never tells how to speak as another owner.
pub(crate) fn owned_by_other(claimed: &Claimed<'_>, requester: &Owner) -> Box<WireError> {
    let Claimed { name, title: Title { owner, last }, holders, .. } = claimed;
    let mut hint = if claimed.is_external {
        // It can't be handed over: gob did not start it.
        format!("ask its owner to stop it; see who it is: gobctl who {}", name.as_argument())
    } else if let (true, Some(last)) = (owner.is_unknown(), last) {
        format!("nobody owns it now; {last}, which had it last, may take it back, or cli may take it over")
    } else if owner.is_unknown() {
        "nobody owns it; cli may take it over".into()
    } else {
        let client = match claimed.client {
            Some((Some(client), Some(pid))) => format!(" ({client}, pid {pid})"),
            Some((Some(client), None)) => format!(" ({client})"),
            Some((None, Some(pid))) => format!(" (pid {pid})"),
            Some((None, None)) | None => String::new(),
        };
        format!("ask its owner{client} to stop it or to hand it over")
    };
    if !holders.is_empty() {
        let named: Vec<String> = holders.iter().take(HOLDERS_IN_HINT).map(ToString::to_string).collect();
        let more = holders.len() - named.len();
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        hint.push_str(&format!("; it is used by {}{more}", named.join(", ")));
    }
    let mut details = serde_json::Map::new();
    details.insert("worker".into(), name.as_str().into());
    details.insert("owner".into(), owner.as_str().into());
    details.insert("requester".into(), requester.as_str().into());
    if let Some(pid) = claimed.pid {
        details.insert("pid".into(), pid.into());
    }
    let message = format!("{name} is owned by {owner}, you are {requester}");
    Box::new(WireError::new(ErrorCode::ServerOwnedByOther, message).hint(hint).details(details.into()))
}

/// Workers of other owners are up, and the requester may not end them: `first` is the refusal about the first one.
pub(crate) fn others_live(
    first: WireError,
    others: &[(&Name, &Owner)],
    verb: &str,
    requester: &Owner,
    force_owners: &[Owner],
) -> Box<WireError> {
    let mut error = first;
    let all: Vec<_> = others
        .iter()
        .map(|(name, owner)| json!({"worker": name.as_str(), "owner": owner.as_str()}))
        .collect();
    if let Some((name, owner)) = others.first() {
        error.message = format!(
            "{} live worker(s) belong to others, such as {name} of {owner}; you are {requester}",
            all.len()
        );
    }
    error.hint = Some(way_to_end_all(verb, requester, force_owners));
    if let Some(details) = error.details.as_mut().and_then(serde_json::Value::as_object_mut) {
        details.insert("workers".into(), all.into());
    }
    Box::new(error)
}

/// The way out for a requester that may not end every worker.
fn way_to_end_all(verb: &str, requester: &Owner, force_owners: &[Owner]) -> String {
    if crate::owner::may_force(force_owners, requester) {
        return format!("end them too: gobctl {verb} --force");
    }
    let owners: Vec<&str> = force_owners.iter().map(Owner::as_str).collect();
    let who = if owners.is_empty() { "nobody".into() } else { owners.join(", ") };
    format!("ask their owners to stop them; --force is for {who} (force_owners in the configuration)")
}
