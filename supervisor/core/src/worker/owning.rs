//! Its owner and its leases.

use super::{Want, Worker};
use crate::conns::{Caller, actor_of};
use crate::cx::Cx;
use crate::ids::ConnId;
use crate::refusals::Reason;
use crate::timers::Timer;
use alloc::sync::Arc;
use gob_protocol::view::LeaseHolder;
use gob_protocol::{Actor, EventKind, Outcome, Owner};

impl Worker {
    /// Whether this connection holds a lease on it.
    pub(crate) fn is_leased_by(&self, conn: ConnId) -> bool {
        self.leases.is_held_by(conn)
    }

    /// Passes the worker to another owner and says so, unless its view shows the owner of a holder.
    pub(crate) fn pass_to(&mut self, to: Owner, actor: Actor, cx: &mut Cx) {
        if !self.takes_owner(to, cx) {
            return;
        }
        if self.holder().is_none() {
            self.publish(EventKind::WorkerOwnerChanged, actor, cx);
        } else {
            cx.tally.roster += 1;
        }
    }

    /// The new owner has lost no lease yet: it may never have had one.
    pub(super) fn takes_owner(&mut self, to: Owner, cx: &mut Cx) -> bool {
        let is_another = self.ownership.pass_to(to);
        if is_another {
            self.loses_no_lease(cx);
        }
        is_another
    }

    pub(super) fn loses_no_lease(&self, cx: &mut Cx) {
        cx.timers.cancel(&Timer::Lease(self.name.clone()));
    }

    /// Reuses what runs: that changes no owner, but an unowned worker is taken over by a requester that may.
    pub(super) fn reuse(&mut self, requester: &Owner, actor: &Actor, cx: &mut Cx) -> Outcome {
        if !self.title().may_take_over(requester) {
            return Outcome::Reused;
        }
        self.take_over(requester, actor, cx);
        Outcome::TakenOver
    }

    /// Makes the requester the owner, says so, and remembers which client it was.
    fn take_over(&mut self, requester: &Owner, actor: &Actor, cx: &mut Cx) {
        self.pass_to(requester.clone(), actor.clone(), cx);
        self.ownership.taken(actor.clone());
    }

    /// Grants a lease. An owner that lost the worker and uses it again has it again.
    pub(crate) fn lease(&mut self, caller: &Caller, cx: &mut Cx) {
        self.grant(caller, cx);
        if self.holder().is_none() && self.title().had(caller.owner()) {
            self.take_over(caller.owner(), &caller.actor(), cx);
        }
    }

    /// Grants a lease. A connection that said hello since may renew its lease in its owner's name.
    pub(super) fn grant(&mut self, caller: &Caller, cx: &mut Cx) {
        if caller.owner() == self.owner() {
            self.loses_no_lease(cx);
        }
        if self.leases.grant(caller.conn, Arc::clone(&caller.who)) {
            self.publish(EventKind::LeaseGranted, caller.actor(), cx);
        }
        self.heed_idleness(cx);
    }

    /// Takes the lease of a connection back.
    pub(crate) fn give_back(&mut self, conn: ConnId, actor: Actor, cx: &mut Cx) {
        let Some(holder) = self.leases.give_back(conn) else { return };
        self.publish(EventKind::LeaseReleased, actor, cx);
        if holder.owner == *self.owner() {
            self.heed_leases(cx);
        }
        self.heed_idleness(cx);
    }

    /// The connection of a client has ended. One that was to stay until the worker is at rest has left it running, if nobody
    /// wants it down.
    pub(crate) fn client_left(&mut self, conn: ConnId, who: &LeaseHolder, cx: &mut Cx) {
        let of_next = self.next.as_mut().and_then(|next| next.attached.take_if(|by| *by == conn));
        if self.attached.take_if(|by| *by == conn).or(of_next).is_some() && self.want == Want::Up {
            let LeaseHolder { client, pid, .. } = who;
            self.left = Some(Reason::LeftRunning { client: client.as_deref(), pid: *pid }.into());
            // Between two runs, the next one tells it.
            if self.live().is_some_and(|run| run.end().is_none()) {
                self.publish(EventKind::WorkerUpdated, actor_of(who), cx);
            }
        }
    }

    /// Arms the grace when the owner has no lease any more and the worker's policy cares; else takes it back.
    pub(super) fn heed_leases(&self, cx: &mut Cx) {
        if self.leases.are_lost_by(self.owner()) {
            cx.arm(Timer::Lease(self.name.clone()), cx.setup.lease_grace_ms);
        } else {
            self.loses_no_lease(cx);
        }
    }

    /// Counts anew how long the worker has been of no use.
    pub(super) fn heed_idleness(&self, cx: &mut Cx) {
        let timer = Timer::Idle(self.name.clone());
        let is_idle = self.is_up() && self.leases.is_empty();
        match self.spec.policy.idle_stop_ms.filter(|_| is_idle) {
            Some(ms) => cx.arm(timer, ms),
            None => cx.timers.cancel(&timer),
        }
    }
}
