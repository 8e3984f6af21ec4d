//! Actions on a worker, and why one is not allowed.
//!
//! The supervisor decides when it is asked; this says beforehand what its answer would be, as far as a view tells.
//! `tests/actions` compares the two in every state.

use super::{Link, state_word};
use gob_protocol::{ErrorCode, Owner, State, View};
use std::fmt;

/// An action on a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// Ensures that it runs.
    Start,
    /// Ends it and its tree.
    Stop,
    /// Ends it and starts it anew.
    Restart,
    /// Sends a signal to its leader.
    Signal,
    /// Makes another owner the owner.
    HandOver,
    /// Forgets it, its logs included.
    Remove,
}

impl Action {
    /// All actions, in the order in which a surface shows them.
    pub const ALL: [Self; 6] =
        [Self::Start, Self::Stop, Self::Restart, Self::Signal, Self::HandOver, Self::Remove];

    /// Returns the action in a word, as gobctl calls it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::Signal => "signal",
            Self::HandOver => "hand-over",
            Self::Remove => "remove",
        }
    }

    /// Returns the action as a button has it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Start => "Start",
            Self::Stop => "Stop",
            Self::Restart => "Restart",
            Self::Signal => "Signal",
            Self::HandOver => "Hand over",
            Self::Remove => "Remove",
        }
    }

    /// Returns whether a surface asks something before it: what it needs beside the worker, or whether it is meant.
    #[must_use]
    pub const fn asks(self) -> bool {
        match self {
            Self::Start | Self::Stop | Self::Restart => false,
            Self::Signal | Self::HandOver | Self::Remove => true,
        }
    }
}

/// The reason why an action makes no sense now, in words for people by [`fmt::Display`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Another owner has it.
    Others(Owner),
    /// No owner has it, and the requester may not take it over.
    Nobodys,
    /// A process that gob did not start holds it, and gob can't ask that process to end.
    Foreign,
    /// A process that gob did not start serves it, and a start changes nothing about that.
    Served,
    /// It is what the action would make of it.
    Already(&'static str),
    /// It has no process in this state.
    NoProcess(&'static str),
    /// It must be stopped first.
    Up(&'static str),
    /// It must not be started, for this reason.
    Blocked(String),
}

impl Reason {
    /// Returns the code with which the supervisor refuses the action; `None` where it accepts and has nothing to do.
    #[must_use]
    pub const fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Others(_) | Self::Nobodys => Some(ErrorCode::ServerOwnedByOther),
            Self::Foreign => Some(ErrorCode::ServerLockedByExternal),
            Self::NoProcess(_) => Some(ErrorCode::ServerNotRunning),
            Self::Up(_) => Some(ErrorCode::ServerRunning),
            Self::Served | Self::Already(_) | Self::Blocked(_) => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Others(owner) => write!(f, "it is owned by {owner}"),
            Self::Nobodys => f.write_str("nobody owns it; cli may take it over"),
            Self::Foreign => f.write_str("a process that gob did not start holds it"),
            Self::Served => f.write_str("a process that gob did not start serves it already"),
            Self::Already(state) => write!(f, "it is {state} already"),
            Self::NoProcess(state) => write!(f, "it is {state}, and has no process"),
            Self::Up(state) => write!(f, "it is {state}; stop it first"),
            Self::Blocked(reason) => f.write_str(reason),
        }
    }
}

/// Whether an action makes sense now.
pub type Allowed = Result<(), Reason>;

/// Returns every action on a worker, in order, as a requester of this owner may take it.
pub fn actions(worker: &View, requester: &Owner) -> [(Action, Allowed); 6] {
    Action::ALL.map(|action| (action, allowed(action, worker, requester)))
}

/// Returns why a worker can't be the object of this action now; `None` where it can.
#[must_use]
pub fn refusal(action: Action, worker: &View, requester: &Owner, link: &Link) -> Option<String> {
    if link.is_up() {
        allowed(action, worker, requester).err().map(|why| why.to_string())
    } else {
        Some(Link::AWAY.to_owned())
    }
}

/// Returns a sentence on a worker that is in other hands; `None` for one that is the requester's.
#[must_use]
pub fn in_other_hands(worker: &View, requester: &Owner) -> Option<String> {
    match allowed(Action::HandOver, worker, requester).err()? {
        Reason::Others(owner) if !worker.state.is_live() && worker.blocked.is_none() => {
            Some(format!("It is owned by {owner}, and at rest: whoever starts it owns it then."))
        }
        Reason::Others(owner) => Some(format!(
            "It is owned by {owner}: you can use it, not stop it. {owner} can stop it, or hand it over to you."
        )),
        reason @ (Reason::Nobodys | Reason::Foreign) => Some(format!("Use it as you like; {reason}.")),
        Reason::Served | Reason::Already(_) | Reason::NoProcess(_) | Reason::Up(_) | Reason::Blocked(_) => {
            None
        }
    }
}

fn allowed(action: Action, worker: &View, requester: &Owner) -> Allowed {
    if action != Action::Start {
        manageable(worker, requester)?;
    }
    match action {
        Action::Start => start(worker),
        Action::Stop => stop(worker),
        Action::Restart => restart(worker),
        Action::Signal => signal(worker),
        Action::HandOver if worker.state == State::External => Err(Reason::Foreign),
        Action::HandOver => Ok(()),
        Action::Remove if worker.state.is_live() => Err(Reason::Up(state_word(worker))),
        Action::Remove => Ok(()),
    }
}

/// A process that is not gob's is in no requester's hands, but its owner may ask it to end.
fn manageable(worker: &View, requester: &Owner) -> Allowed {
    let is_holders = if worker.owner.is_unknown() { requester.is_cli() } else { worker.owner == *requester };
    if worker.owned || (worker.state == State::External && is_holders) {
        Ok(())
    } else if worker.owner.is_unknown() {
        Err(Reason::Nobodys)
    } else {
        Err(Reason::Others(worker.owner.clone()))
    }
}

fn start(worker: &View) -> Allowed {
    let state = worker.state;
    startable(worker)?;
    match state {
        // It would be taken over.
        State::Starting | State::Ready | State::Unhealthy if takes_over(worker) => Ok(()),
        State::Starting | State::Ready | State::Unhealthy => Err(Reason::Already(state_word(worker))),
        State::External => Err(Reason::Served),
        // A start while it is stopping follows the stop.
        State::Idle | State::Stopping | State::Backoff | State::Failed | State::Ceded => Ok(()),
    }
}

fn stop(worker: &View) -> Allowed {
    let state = worker.state;
    match state {
        State::Idle | State::Failed | State::Ceded => Err(Reason::Already(state_word(worker))),
        State::External => ends_when_asked(worker),
        // While it is stopping, a stop takes back the start that would follow.
        State::Starting | State::Ready | State::Unhealthy | State::Stopping | State::Backoff => Ok(()),
    }
}

fn restart(worker: &View) -> Allowed {
    startable(worker)?;
    let state = worker.state;
    match state {
        State::Starting if !takes_over(worker) => Err(Reason::Already(state_word(worker))),
        State::External => ends_when_asked(worker),
        State::Idle
        | State::Starting
        | State::Ready
        | State::Unhealthy
        | State::Stopping
        | State::Backoff
        | State::Failed
        | State::Ceded => Ok(()),
    }
}

fn signal(worker: &View) -> Allowed {
    match (worker.state, worker.pid) {
        (State::External, _) => Err(Reason::Foreign),
        (_, None) => Err(Reason::NoProcess(state_word(worker))),
        (_, Some(_)) => Ok(()),
    }
}

/// Whether a start by this requester makes it the owner: no owner has it, and the requester may.
fn takes_over(worker: &View) -> bool {
    worker.owner.is_unknown() && worker.owned
}

/// A process that gob did not start may be asked over HTTP; whether its kind has a request for that, the supervisor knows.
fn ends_when_asked(worker: &View) -> Allowed {
    let is_reachable = worker.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    if is_reachable { Ok(()) } else { Err(Reason::Foreign) }
}

fn startable(worker: &View) -> Allowed {
    worker.blocked.clone().map_or(Ok(()), |reason| Err(Reason::Blocked(reason)))
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::view;
    use super::*;
    use serde_json::{Value, json};

    fn reason(action: Action, changes: Value) -> String {
        allowed(action, &view(changes), &Owner::cli()).unwrap_err().to_string()
    }

    #[test]
    fn actions_come_in_the_order_of_surfaces() {
        let all = actions(&view(json!({})), &Owner::cli());
        let allowed: Vec<&str> =
            all.iter().filter(|(_, allowed)| allowed.is_ok()).map(|(action, _)| action.as_str()).collect();
        assert_eq!(allowed, ["stop", "restart", "signal", "hand-over"]);
    }

    #[test]
    fn reasons_name_the_obstacle() {
        assert_eq!(reason(Action::Remove, json!({})), "it is ready; stop it first");
        assert_eq!(reason(Action::Start, json!({})), "it is ready already");
        assert_eq!(reason(Action::Stop, json!({"state": "idle", "pid": null})), "it is idle already");
        assert_eq!(
            reason(Action::Signal, json!({"state": "backoff", "pid": null})),
            "it is backoff, and has no process"
        );
        let others = json!({"owned": false, "owner": "desktop", "state": "idle", "pid": null});
        assert_eq!(reason(Action::Stop, others), "it is owned by desktop");
        let nobodys = json!({"owned": false, "owner": "unknown"});
        assert_eq!(reason(Action::Restart, nobodys), "nobody owns it; cli may take it over");
        let foreign = json!({"state": "external", "owned": false});
        assert_eq!(reason(Action::Signal, foreign), "a process that gob did not start holds it");
    }

    #[test]
    fn a_worker_that_is_blocked_is_not_started() {
        let blocked = json!({"state": "failed", "pid": null, "blocked": "its data is gone"});
        assert_eq!(reason(Action::Start, blocked.clone()), "its data is gone");
        assert_eq!(reason(Action::Restart, blocked), "its data is gone");
    }
}
