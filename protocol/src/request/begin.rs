//! Payloads of the requests that begin a run.

use crate::bounded;
use crate::env::Env;
use crate::name::Name;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state that a start or restart waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Wait {
    /// The worker is ready.
    #[default]
    Ready,
    /// The worker was spawned.
    Spawned,
}

/// Payload of `start`: *ensures* that a worker runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The graph to serve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub graph: Option<Name>,
    /// The worker's name; the graph's when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// The kind to start it from.
    #[serde(default, deserialize_with = "bounded::word", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Absolute path of the directory that holds the graph.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub root_dir: Option<String>,
    /// The requester's environment, of which the worker gets a part (CLI, Environment of workers).
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
    /// The state to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Time limit of this requester's wait, in milliseconds; the start itself goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Also takes a lease.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lease: bool,
}

/// The ends after which a worker is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum RestartOn {
    /// None.
    Never,
    /// Every unasked end but exit 0.
    OnFailure,
    /// Every unasked end.
    Always,
}

/// The effect of the last lease's end on its owner's worker, after the grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum OnLastLease {
    /// No effect.
    Keep,
    /// The owner becomes `unknown`.
    Release,
    /// The worker is stopped.
    Stop,
}

/// Payload of `add` and `create`: a job is the same when its command and the real path of its directory are.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Add {
    /// Program and arguments, at most [`MAX_JOB_ARGUMENTS`](crate::limits::MAX_JOB_ARGUMENTS).
    #[serde(deserialize_with = "bounded::command")]
    pub command: Vec<String>,
    /// Absolute path of its working directory.
    #[serde(deserialize_with = "bounded::needed_path")]
    pub cwd: String,
    /// The requester's environment, which the job gets whole.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
    /// The job's name; when absent a new job gets the next number.
    #[serde(default, deserialize_with = "bounded::job_name", skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// A description for people, at most [`MAX_DESCRIPTION_BYTES`](crate::limits::MAX_DESCRIPTION_BYTES) bytes; when absent
    /// the present one stays.
    #[serde(default, deserialize_with = "bounded::description", skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The restart policy; when absent the present one stays, which is `never` at first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart: Option<RestartOn>,
    /// The readiness check, a word or a table as in the configuration; when absent the present one stays, which is `none` at
    /// first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub readiness: Option<serde_json::Value>,
    /// The resource limits, by the names that the configuration has; when absent the present ones stay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rlimits: Option<BTreeMap<String, u64>>,
    /// The effect of the last lease's end on the run that this request begins; the default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_last_lease: Option<OnLastLease>,
    /// The state to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Also takes a lease.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lease: bool,
    /// The client stays until the job is at rest; where it leaves a run that this request began earlier, an event says so.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub attached: bool,
}

/// Payload of `restart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Restart {
    /// The worker.
    pub name: Name,
    /// The requester's environment for the new run; when absent the last one stays.
    #[serde(default, skip_serializing_if = "Option::is_none", serialize_with = "Env::serialize_in_request")]
    pub env: Option<Env>,
    /// Time between TERM and KILL, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
    /// The state to wait for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
    /// Time limit of this requester's wait, in milliseconds; the restart itself goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
}
