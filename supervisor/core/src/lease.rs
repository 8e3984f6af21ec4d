//! Leases: who uses a worker right now (PROTOCOL 5). They belong to connections and end with them.

use crate::io::ConnId;
use crate::requests::not_found;
use crate::worker::Phase;
use crate::{Conn, Core, Timer};
use alloc::boxed::Box;
use alloc::sync::Arc;
use gob_protocol::kind::OnLastLease;
use gob_protocol::{Actor, Data, EventKind, Name, Owner, WireError};

impl Core {
    /// Takes a lease; a connection holds at most one on each worker.
    pub(crate) fn lease(&mut self, conn: ConnId, name: &Name) -> Result<Data, Box<WireError>> {
        if !self.workers.contains_key(name) {
            return Err(not_found(name));
        }
        self.grant_lease(conn, name);
        self.take_back(conn, name);
        self.answer_view(conn, name)
    }

    /// Whoever lost a worker and uses it again has it again.
    fn take_back(&mut self, conn: ConnId, name: &Name) {
        let requester = self.requester(conn);
        let had = self.workers.get(name).is_some_and(|worker| {
            !matches!(worker.phase, Phase::External(_)) && worker.title().had(&requester)
        });
        if had {
            self.take_over(name, &requester, &self.actor(conn));
        }
    }

    pub(crate) fn grant_lease(&mut self, conn: ConnId, name: &Name) {
        let Some(holder) = self.conns.get(&conn).map(|conn| Arc::clone(&conn.who)) else { return };
        self.involve(conn, name);
        let Some(worker) = self.workers.get_mut(name) else { return };
        // A connection that said hello since may renew its lease in its owner's name.
        if holder.owner == worker.owner {
            self.timers.cancel(&Timer::Lease(name.clone()));
        }
        if worker.leases.insert(conn, holder).is_none() {
            self.publish(EventKind::LeaseGranted, self.actor(conn), Some(name));
        }
        self.heed_idleness(name);
    }

    pub(crate) fn release(&mut self, conn: ConnId, name: &Name) -> Result<Data, Box<WireError>> {
        if !self.workers.contains_key(name) {
            return Err(not_found(name));
        }
        self.give_back(conn, name, self.actor(conn));
        self.answer_view(conn, name)
    }

    pub(crate) fn drop_leases(&mut self, conn: ConnId, gone: &Conn) {
        for name in &gone.involved {
            self.give_back(conn, name, gone.actor());
        }
    }

    fn give_back(&mut self, conn: ConnId, name: &Name, actor: Actor) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let Some(holder) = worker.leases.remove(&conn) else { return };
        let was_owners = holder.owner == worker.owner;
        self.publish(EventKind::LeaseReleased, actor, Some(name));
        if was_owners {
            self.heed_leases(name);
        }
        self.heed_idleness(name);
    }

    /// Arms the grace when the owner has no lease any more and the worker's policy cares; else takes it back.
    pub(crate) fn heed_leases(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        let counts = worker.on_last_lease != OnLastLease::Keep;
        if counts && !worker.has_owner_lease() && !worker.owner.is_unknown() {
            let at = self.now.mono_ms.saturating_add(self.config.lease_grace_ms);
            self.timers.arm(Timer::Lease(name.clone()), at);
        } else {
            self.timers.cancel(&Timer::Lease(name.clone()));
        }
    }

    pub(crate) fn lease_grace_ended(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        if worker.has_owner_lease() {
            return;
        }
        match worker.on_last_lease {
            OnLastLease::Keep => {}
            OnLastLease::Release => self.change_owner(name, Owner::unknown(), Actor::Supervisor),
            OnLastLease::Stop => self.bring_down(name, None, &Actor::Supervisor),
        }
    }
}
