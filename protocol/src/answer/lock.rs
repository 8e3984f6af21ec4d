//! Data of successful responses to requests about named locks (PROTOCOL 4, 5).

use crate::lock::{Lock, LockName, LockParty};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Data of `lock_acquire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LockAcquireData {
    /// The lock.
    pub lock: LockName,
    /// The fencing token: higher than those of all earlier holders of any lock.
    pub token: u64,
    /// The end of the holder's time; null where it asked for none.
    pub expires_at: Option<Timestamp>,
}

/// Data of `lock_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LockStatusData {
    /// The locks, ordered by name.
    pub locks: Vec<Lock>,
    /// Time that the holders under an earlier supervisor have left to claim their locks; absent once the claims are decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_ms: Option<u64>,
}

/// Data of `lock_break`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LockBreakData {
    /// The parties that held the lock.
    pub broken: Vec<LockParty>,
}
