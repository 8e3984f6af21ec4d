//! Leases on one worker: the connections that use it right now (PROTOCOL 5). They belong to connections and end with them.

use crate::ids::ConnId;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use gob_config::kind::OnLastLease;
use gob_protocol::Owner;
use gob_protocol::limits::LEASE_HOLDERS_SHOWN;
use gob_protocol::view::LeaseHolder;
use serde::{Deserialize, Serialize};

/// The leases on one worker; a connection holds at most one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leases {
    held: BTreeMap<ConnId, Arc<LeaseHolder>>,
    /// The consequence of the owner's last lease being gone.
    on_last: OnLastLease,
}

impl Default for Leases {
    fn default() -> Self {
        Self { held: BTreeMap::new(), on_last: OnLastLease::Keep }
    }
}

impl Leases {
    /// Grants one; false when the connection had the very same already. One in another name is now in this one.
    pub(crate) fn grant(&mut self, conn: ConnId, holder: Arc<LeaseHolder>) -> bool {
        let before = self.held.insert(conn, Arc::clone(&holder));
        before.is_none_or(|before| before != holder)
    }

    /// Takes one back.
    pub(crate) fn give_back(&mut self, conn: ConnId) -> Option<Arc<LeaseHolder>> {
        self.held.remove(&conn)
    }

    /// Sets the consequence of a start with or without a lease; its kind may say another one.
    pub(crate) fn started(&mut self, with_lease: bool, kinds: Option<OnLastLease>) {
        let unsaid = if with_lease { OnLastLease::Release } else { OnLastLease::Keep };
        self.on_last = kinds.unwrap_or(unsaid);
    }

    pub(crate) const fn on_last(&self) -> OnLastLease {
        self.on_last
    }

    /// Tells whether one of them is in this owner's name.
    pub(crate) fn has(&self, owner: &Owner) -> bool {
        self.held.values().any(|holder| holder.owner == *owner)
    }

    /// Tells whether the grace after this owner's last lease is to run.
    pub(crate) fn are_lost_by(&self, owner: &Owner) -> bool {
        self.on_last != OnLastLease::Keep && !owner.is_unknown() && !self.has(owner)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.held.len()).unwrap_or(u32::MAX)
    }

    /// Returns whether this connection has one.
    pub(crate) fn is_held_by(&self, conn: ConnId) -> bool {
        self.held.contains_key(&conn)
    }

    /// Returns as many holders as a view shows.
    pub(crate) fn shown(&self) -> Vec<Arc<LeaseHolder>> {
        self.held.values().take(LEASE_HOLDERS_SHOWN).cloned().collect()
    }

    pub(crate) fn holders(&self) -> impl Iterator<Item = &LeaseHolder> {
        self.held.values().map(|holder| &**holder)
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&ConnId, &LeaseHolder)> {
        self.held.iter().map(|(conn, holder)| (conn, &**holder))
    }
}
