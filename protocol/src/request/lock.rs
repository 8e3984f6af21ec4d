//! Payloads of the requests about locks.

use crate::bounded;
use crate::lock::{LockMode, LockName};
use serde::{Deserialize, Serialize};

/// Payload of `lock_acquire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LockAcquire {
    /// The lock.
    pub lock: LockName,
    /// Exclusive when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<LockMode>,
    /// How long the requester waits; 0: not at all; absent: for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// A higher one comes first; 0 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// How long the lock is held, unless it is renewed; absent: until it is given back.
    #[serde(default, deserialize_with = "bounded::lock_ttl", skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// The program, for people; the name in the hello when absent.
    #[serde(default, deserialize_with = "bounded::process", skip_serializing_if = "Option::is_none")]
    pub process: Option<String>,
    /// The token by which this connection holds the lock, to renew its TTL; or by which an earlier one held it, to claim it.
    #[serde(default, deserialize_with = "bounded::token", skip_serializing_if = "Option::is_none")]
    pub token: Option<u64>,
    /// Tokens that the same party holds over other connections.
    #[serde(default, deserialize_with = "bounded::tokens", skip_serializing_if = "Vec::is_empty")]
    pub within: Vec<u64>,
}

impl LockAcquire {
    /// An exclusive request that waits for ever.
    #[must_use]
    pub const fn new(lock: LockName) -> Self {
        Self {
            lock,
            mode: None,
            timeout_ms: None,
            priority: None,
            ttl_ms: None,
            process: None,
            token: None,
            within: Vec::new(),
        }
    }
}

/// Payload of `lock_release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LockRelease {
    /// The lock.
    pub lock: LockName,
    /// The token by which this connection holds it.
    #[serde(deserialize_with = "bounded::needed_token")]
    pub token: u64,
}

/// Payload of `lock_status`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LockStatus {
    /// The lock; all that are known when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockName>,
}

/// Payload of `lock_break`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct LockBreak {
    /// The lock.
    pub lock: LockName,
}
