//! Payloads of the requests that show workers, their events and their history.

use crate::bounded;
use crate::cursor::Cursor;
use crate::event::EventKind;
use crate::name::{Name, Owner};
use crate::state::State;
use serde::{Deserialize, Serialize};

/// Payload of `list`: a worker must match every given filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Workers of this owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Workers of this kind.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Workers in this state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// Workers with this working directory.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Workers whose names come after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Name>,
    /// Most workers in the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// Payload of `subscribe`: an event must match every given filter.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Subscribe {
    /// Replays the events after this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// The instance that `since` belongs to.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
    /// Events of these workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<Name>>,
    /// Events of these kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<Vec<EventKind>>,
    /// Events of this owner's workers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Events of workers with this working directory.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub cwd: Option<String>,
    /// Sends the workers along with the answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub snapshot: bool,
}
/// Payload of `runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Runs {
    /// The worker.
    pub name: Name,
    /// Most runs in the answer; 100 when absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Runs of lower numbers than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<u64>,
}

/// Payload of `runs_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RunsDelete {
    /// The worker.
    pub name: Name,
    /// The run.
    pub run: u64,
}

/// Payload of `ports`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Ports {
    /// The worker; all workers when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
}

/// Payload of `blame`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Blame {
    /// The worker.
    pub name: Name,
    /// Most changes in the answer; 100 when absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Changes before this one, the `next` of an earlier answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Cursor>,
}

/// Payload of `history`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct History {
    /// The place after which changes are asked for.
    pub after: Cursor,
    /// Most changes in the answer; 100 when absent, 1,000 at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
