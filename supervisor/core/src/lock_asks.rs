//! Questions to the database about locks that several machines share, and those who asked.

use crate::ids::ConnId;
use alloc::boxed::Box;
use alloc::vec::Vec;
use gob_protocol::answer::LockStatusData;
use gob_protocol::{Actor, Id, LockName, LockParty};
use serde::{Deserialize, Serialize};

/// The party for which a question is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockAsking {
    /// The request to answer.
    pub(crate) client: Option<(ConnId, Option<Id>)>,
    pub(crate) actor: Actor,
    pub(crate) then: LockThen,
}

/// The step that follows the answer, beside the news of the locks in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum LockThen {
    /// Nothing.
    Learn,
    /// A request stands in line by now, or has its lock.
    Enter(u64),
    /// A claim is decided.
    Adopt { number: u64, token: u64, lock: LockName },
    /// The locks of this machine are shown with those of the database.
    Show(Box<LockStatusData>),
    /// The holders of the lock may be the requester's to break.
    Judge(LockName),
    /// These holders have lost it.
    Broken(Vec<LockParty>),
    /// These tokens are held, and these requests wait, or else are lost.
    Sync { holds: Vec<u64>, waits: Vec<u64> },
}

impl LockAsking {
    /// A question of the supervisor's own.
    pub(crate) const fn own(then: LockThen) -> Self {
        Self { client: None, actor: Actor::Supervisor, then }
    }
}
