//! Events of a worker, and answers to requests that wait for it.

use super::Worker;
use crate::chronicle::Recorded;
use crate::cx::Cx;
use crate::ids::ConnId;
use crate::io::Effect;
use crate::refusals;
use crate::timers::Timer;
use crate::waiters::{Waiter, Waiting};
use alloc::boxed::Box;
use gob_protocol::answer::{StartData, StopData};
use gob_protocol::{Actor, Data, EventKind, Outcome, Receipt, WireError};

impl Worker {
    /// Tells the worker as it is now.
    pub(crate) fn publish(&self, event: EventKind, actor: Actor, cx: &mut Cx) {
        cx.publish(event, actor, Some((self.view(false), self.last_owner().cloned())));
        if let Some(run) = self.recorded(event) {
            cx.push(Effect::Record(Recorded::Run { name: self.name.clone(), run: Box::new(run) }));
        }
    }

    /// Answers a waiter with the worker as it is now.
    pub(super) fn answer(&self, waiter: Waiter, cx: &mut Cx) {
        let worker = self.view_for(&waiter.requester);
        let data = match waiter.what {
            Waiting::Start { outcome, .. } => {
                let is_new = self.live().is_some_and(|run| run.is_new);
                let created = outcome == Outcome::Started && is_new;
                Data::Start(Box::new(StartData { worker, outcome, created }))
            }
            Waiting::Restart { receipt, .. } => Data::Stop(Box::new(StopData { worker, receipt })),
            Waiting::Stop => Data::Stop(Box::new(StopData { worker, receipt: Receipt::default() })),
        };
        self.settle_waiter(waiter.conn, waiter.number, cx);
        cx.reply(waiter.conn, waiter.id, Ok(data));
    }

    pub(super) fn fail(&self, waiter: Waiter, error: &WireError, cx: &mut Cx) {
        self.settle_waiter(waiter.conn, waiter.number, cx);
        cx.reply(waiter.conn, waiter.id, Err(Box::new(error.clone())));
    }

    fn settle_waiter(&self, conn: ConnId, number: u64, cx: &mut Cx) {
        cx.timers.cancel(&Timer::Waiter(self.name.clone(), conn, number));
    }

    /// Answers the waiters that its run has fulfilled.
    pub(super) fn answer_fulfilled(&mut self, cx: &mut Cx) {
        let has_process = self.live().is_some_and(|run| run.end().is_none() && run.pid().is_some());
        if has_process {
            for waiter in self.waiters.take_fulfilled(self.is_up()) {
                self.answer(waiter, cx);
            }
        }
    }

    /// Answers those that wait for a stop; those that wait for the restart keep its receipt.
    pub(super) fn answer_stops(&mut self, receipt: &Receipt, cx: &mut Cx) {
        for waiter in self.waiters.take_stops(receipt) {
            let worker = self.view_for(&waiter.requester);
            let data = Data::Stop(Box::new(StopData { worker, receipt: receipt.clone() }));
            cx.reply(waiter.conn, waiter.id, Ok(data));
        }
    }

    /// Tells those that wait for a run up to this one to come up that it won't.
    pub(super) fn fail_starters(&mut self, run: u64, error: &WireError, cx: &mut Cx) {
        for waiter in self.waiters.take_starters(run) {
            self.fail(waiter, error, cx);
        }
    }

    pub(super) fn fail_all(&mut self, error: &WireError, cx: &mut Cx) {
        for waiter in self.waiters.take_all() {
            self.fail(waiter, error, cx);
        }
    }

    /// A requester waits no longer.
    pub(crate) fn waiter_timed_out(&mut self, number: u64, cx: &mut Cx) {
        if let Some(waiter) = self.waiters.take_one(number) {
            self.fail(waiter, &refusals::not_ready_yet(&self.name), cx);
        }
    }

    /// Forgets the waiters of a connection that is gone.
    pub(crate) fn drop_waiters(&mut self, conn: ConnId, cx: &mut Cx) {
        for waiter in self.waiters.take_of(conn) {
            self.settle_waiter(conn, waiter.number, cx);
        }
    }
}
