//! Payloads of the requests that end, signal, keep, hand over or forget workers.

use crate::bounded;
use crate::name::{Name, Owner};
use serde::{Deserialize, Serialize};

/// Payload of `stop`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Stop {
    /// The worker.
    pub name: Name,
    /// Kills without grace. Never overrides an owner.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
    /// Time between TERM and KILL, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ms: Option<u64>,
}

/// Payload of `signal`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Signal {
    /// The worker.
    pub name: Name,
    /// A signal such as `HUP`, `SIGHUP` or `1`.
    #[serde(deserialize_with = "bounded::needed_word")]
    pub signal: String,
}

/// Payload of `hand_over`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HandOver {
    /// The worker.
    pub name: Name,
    /// The new owner.
    pub to: Owner,
}

/// Payload of `get`, `lease`, `release`, `remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ByName {
    /// The worker.
    pub name: Name,
}

/// Payload of `graph_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GraphDelete {
    /// The graph.
    pub graph: Name,
    /// Absolute path of the directory that holds it; the known one when absent.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub root_dir: Option<String>,
}

/// Payload of `upgrade`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Upgrade {
    /// Absolute path of the new program; the one that lies where the present one was when absent.
    #[serde(default, deserialize_with = "bounded::path", skip_serializing_if = "Option::is_none")]
    pub exe: Option<String>,
}

/// Payload of `nuke` and `shutdown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Force {
    /// Also ends live workers of other owners.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}
