//! Actions on a worker, and why one is not allowed.

use gob_protocol::{State, View};

/// An action on a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
}

/// Whether an action makes sense now: `Err` with the reason in words. The supervisor decides when it is asked; this says
/// beforehand what its answer would be, as far as a view tells.
pub type Allowed = Result<(), String>;

/// Returns every action on a worker, in order.
pub fn actions(worker: &View) -> [(Action, Allowed); 6] {
    Action::ALL.map(|action| (action, allowed(action, worker)))
}

fn allowed(action: Action, worker: &View) -> Allowed {
    let state = worker.state;
    match action {
        Action::Start => startable(worker).and_then(|()| match state {
            State::Starting | State::Ready | State::Unhealthy => Err(format!("it is {state} already")),
            State::External => Err(FOREIGN.to_owned()),
            // A start while it is stopping follows the stop.
            State::Idle | State::Stopping | State::Backoff | State::Failed | State::Ceded => Ok(()),
        }),
        Action::Stop => manageable(worker).and_then(|()| match state {
            State::Idle | State::Failed | State::Ceded => Err(format!("it is {state}")),
            State::Stopping => Err("it is stopping already".to_owned()),
            // Some kinds have a way to end an external process; the supervisor knows them.
            State::Starting | State::Ready | State::Unhealthy | State::Backoff | State::External => Ok(()),
        }),
        Action::Restart => manageable(worker).and_then(|()| startable(worker)),
        Action::Signal => manageable(worker).and_then(|()| match (state, worker.pid) {
            (State::External, _) => Err(FOREIGN.to_owned()),
            (_, None) => Err(format!("it is {state}, and has no process")),
            (_, Some(_)) => Ok(()),
        }),
        Action::HandOver => manageable(worker).and_then(|()| match state {
            State::External => Err(FOREIGN.to_owned()),
            State::Idle
            | State::Starting
            | State::Ready
            | State::Unhealthy
            | State::Stopping
            | State::Backoff
            | State::Failed
            | State::Ceded => Ok(()),
        }),
        Action::Remove => manageable(worker).and_then(|()| {
            if state.is_live() { Err(format!("it is {state}; stop it first")) } else { Ok(()) }
        }),
    }
}

const FOREIGN: &str = "a process that gob did not start holds it";

fn manageable(worker: &View) -> Allowed {
    if worker.owned {
        Ok(())
    } else if worker.owner.is_unknown() {
        Err("nobody owns it; cli may take it over".to_owned())
    } else {
        Err(format!("it is owned by {}", worker.owner))
    }
}

fn startable(worker: &View) -> Allowed {
    worker.blocked.clone().map_or(Ok(()), Err)
}

#[cfg(test)]
mod tests {
    use super::super::worker::tests::view;
    use super::*;
    use serde_json::{Value, json};

    fn allowed_of(changes: Value) -> Vec<&'static str> {
        let all = actions(&view(changes));
        all.into_iter().filter(|(_, allowed)| allowed.is_ok()).map(|(action, _)| action.as_str()).collect()
    }

    fn reason(action: Action, changes: Value) -> String {
        allowed(action, &view(changes)).unwrap_err()
    }

    #[test]
    fn each_state_allows_what_the_supervisor_would_do() {
        let down = ["start", "restart", "hand-over", "remove"];
        let up = ["stop", "restart", "signal", "hand-over"];
        for state in ["idle", "failed", "ceded"] {
            assert_eq!(allowed_of(json!({"state": state, "pid": null})), down, "{state}");
        }
        for state in ["starting", "ready", "unhealthy"] {
            assert_eq!(allowed_of(json!({"state": state})), up, "{state}");
        }
        assert_eq!(allowed_of(json!({"state": "stopping"})), ["start", "restart", "signal", "hand-over"]);
        let backoff = ["start", "stop", "restart", "hand-over", "remove"];
        assert_eq!(allowed_of(json!({"state": "backoff", "pid": null})), backoff);
        assert_eq!(allowed_of(json!({"state": "external"})), ["stop", "restart"]);
    }

    #[test]
    fn another_owner_may_start_and_is_told_whose_it_is() {
        let others = json!({"owned": false, "owner": "desktop", "state": "idle", "pid": null});
        assert_eq!(allowed_of(others.clone()), ["start"]);
        assert_eq!(reason(Action::Stop, others), "it is owned by desktop");
        let nobodys = json!({"owned": false, "owner": "unknown"});
        assert_eq!(reason(Action::Restart, nobodys), "nobody owns it; cli may take it over");
    }

    #[test]
    fn reasons_name_the_obstacle() {
        assert_eq!(reason(Action::Remove, json!({})), "it is ready; stop it first");
        assert_eq!(reason(Action::Start, json!({})), "it is ready already");
        assert_eq!(reason(Action::Stop, json!({"state": "idle", "pid": null})), "it is idle");
        let blocked = json!({"state": "failed", "pid": null, "blocked": "its data is gone"});
        assert_eq!(reason(Action::Start, blocked.clone()), "its data is gone");
        assert_eq!(reason(Action::Restart, blocked), "its data is gone");
        assert_eq!(reason(Action::Signal, json!({"state": "external"})), FOREIGN);
    }
}
