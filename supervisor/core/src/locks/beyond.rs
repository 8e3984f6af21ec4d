//! Knowledge of the locks that several machines share, beside the table.

use super::claims::Claim;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::lock::ask::LockAsk;
use gob_protocol::{LockName, LockParty};
use serde::{Deserialize, Serialize};

/// The locks that several machines share, as far as the table does not have them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct SharedLocks {
    /// The reason why the database is away.
    pub(super) away: Option<String>,
    /// Holders under an earlier supervisor, by the number of the request by which they claim.
    pub(super) adopting: BTreeMap<u64, Claim>,
    /// The holders of locks that are waited for here, as they were told last.
    pub(super) holders: BTreeMap<LockName, Vec<LockParty>>,
    /// Questions for the database, once it is there.
    pub(super) owed: Vec<LockAsk>,
}
