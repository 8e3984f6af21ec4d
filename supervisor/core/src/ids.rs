//! When something happened, on which connection, and in which run: small values that everything else names.

use gob_protocol::{Name, Timestamp};
use serde::{Deserialize, Serialize};

/// The time at which an input happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Milliseconds since boot on a clock that never goes back, CLOCK_MONOTONIC: one supervisor may hand it to the next.
    pub mono_ms: u64,
    /// The same moment for people.
    pub wall: Timestamp,
}

/// One connection; never given twice in a supervisor's life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ConnId(pub u64);

/// One run of one worker. Every message about a run carries it, so that a late one can be recognised.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    /// The worker.
    pub name: Name,
    /// Its run, from 1.
    pub run: u64,
}
