//! The content of the store as types. Their text forms on disk are in `rows`.

use gob_protocol::{Name, Owner, RunRecord, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A job as it was added: all that is needed to start it again, but for the environment of a requester.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The job's name.
    pub name: Name,
    /// The number in a name such as `j12`.
    pub number: Option<u64>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The directory, which is part of the job's identity.
    pub cwd: String,
    /// A description for people.
    pub description: Option<String>,
    /// The owner.
    pub owner: Owner,
    /// The time when it was added first.
    pub created_at: Timestamp,
    /// Its further settings.
    pub setup: Setup,
}

/// Settings of a job in the words of the request that made it, which outlive a version of gob.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setup {
    /// The command is one line for `$SHELL -c`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shell: bool,
    /// The restart policy: `never`, `on-failure`, `always`; null for the default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<String>,
    /// The readiness check, a word or a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<Value>,
    /// The effect of the last lease's end: `keep`, `release`, `stop`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_last_lease: Option<String>,
    /// Limits of resources by name.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub rlimits: Map<String, Value>,
}

/// A definition with its worker's history in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The definition.
    pub definition: Definition,
    /// The highest number of a run; 0 when it never ran.
    pub last_run: u64,
    /// The run of that number, unless it was deleted.
    pub last: Option<RunRecord>,
    /// As in [`gob_protocol::Stats`].
    pub expected_ms: Option<u64>,
}

/// Definitions in the order of their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Definitions {
    /// The definitions.
    pub known: Vec<Known>,
    /// Names of definitions that can't be understood; they stay in the file.
    pub unreadable: Vec<String>,
    /// More follow after this name.
    pub next: Option<Name>,
}

/// A part of a longer list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The part.
    pub items: Vec<T>,
    /// There are older ones.
    pub more: bool,
}
