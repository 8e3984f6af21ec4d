//! The worker is held by a process that gob did not start: such a process is asked to end by its kind's own HTTP request, and
//! by nothing else.

use super::{Next, Phase, Polite, Worker, ask, end, examine, ready, start};
use crate::cx::Cx;
use crate::io::Effect;
use crate::looks;
use crate::refusals::{self, Reason};
use crate::timers::Timer;
use crate::waiters::Waiter;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::{Actor, EventKind, ProcessId, Receipt, Signalled};

impl Worker {
    /// Pushes again what its holder owes: news of its end, and the answer to a request to end.
    fn resume_holder(&mut self, cx: &mut Cx) {
        let Phase::External(holder, polite) = &self.phase else { return };
        cx.push(Effect::Follow { name: self.name.clone(), pid: holder.pid });
        let is_asked = polite.as_ref().is_some_and(|polite| !polite.taken);
        if let Some((request, endpoint)) = self.polite_way(cx).filter(|_| is_asked) {
            cx.push(Effect::StopHttp {
                key: self.key(),
                endpoint,
                request,
                look: false,
                limit_ms: ask::STOP_HTTP_MS,
            });
        }
    }

    /// The request by which its holder is asked to end, and where; `None` where its kind has none, or it listens nowhere.
    fn polite_way(&self, cx: &Cx) -> Option<(String, String)> {
        let endpoint = self.holder()?.endpoint.clone().filter(|endpoint| endpoint.starts_with("http://"))?;
        let request = self.spec.policy.stop.http.as_ref()?;
        Some((self.subject().filled(&cx.setup, request), endpoint))
    }

    /// Pushes again every effect that its phase owes, and takes values that workers share from their pools.
    pub(crate) fn resume(&mut self, cx: &mut Cx) {
        self.spec.intern(&mut cx.pools);
        for resume in [start::resume, examine::resume, ready::resume, ask::resume, end::resume] {
            self.step(cx, resume);
        }
        self.step(cx, |run, _, cx| looks::resume(run, cx));
        self.resume_holder(cx);
    }

    /// `stop` of the holder: no run of ours is to follow it.
    pub(super) fn stop_holder(&mut self, grace_ms: Option<u64>, waiter: Waiter, actor: Actor, cx: &mut Cx) {
        self.next = None;
        self.fail_starters(self.run + 1, &refusals::stopped_by(&self.name, &actor), cx);
        self.ask_holder(grace_ms, waiter, actor, None, cx);
    }

    /// Asks the holder to end, and has this run follow it. One that was asked already may only get less time.
    pub(super) fn ask_holder(
        &mut self,
        grace_ms: Option<u64>,
        waiter: Waiter,
        actor: Actor,
        next: Option<Box<Next>>,
        cx: &mut Cx,
    ) {
        if cx.leaving.is_on() {
            return self.fail(waiter, &refusals::on_its_way_out(), cx);
        }
        let (key, way) = (self.key(), self.polite_way(cx));
        let Phase::External(holder, polite) = &mut self.phase else { return };
        let Some((request, endpoint)) = way else {
            let error = refusals::not_ours(&self.name, holder);
            return self.fail(waiter, &error, cx);
        };
        let began_ms = polite.as_ref().map(|polite| polite.began_ms);
        let taken = polite.as_ref().is_some_and(|polite| polite.taken);
        *polite = Some(Box::new(Polite { began_ms: began_ms.unwrap_or(cx.now.mono_ms), actor, taken }));
        self.next = next;
        self.waiters.add(waiter);
        let at = cx.now.mono_ms.saturating_add(self.spec.grace_ms(grace_ms));
        let timer = Timer::Polite(self.name.clone());
        if cx.timers.at(&timer).is_none_or(|due| at < due) {
            cx.timers.arm(timer, at);
        }
        if began_ms.is_none() {
            cx.push(Effect::StopHttp { key, endpoint, request, look: false, limit_ms: ask::STOP_HTTP_MS });
        }
    }

    /// The supervisor ends, and waits for no process but its own.
    pub(crate) fn let_holder_be(&mut self, cx: &mut Cx) {
        if self.takes_back_request(cx).is_some() {
            self.fail_all(&refusals::on_its_way_out(), cx);
        }
    }

    /// The holder is not waited for any more, if it was asked to end.
    fn takes_back_request(&mut self, cx: &mut Cx) -> Option<Box<Polite>> {
        let Phase::External(_, polite) = &mut self.phase else { return None };
        let polite = polite.take()?;
        self.next = None;
        cx.timers.cancel(&Timer::Polite(self.name.clone()));
        Some(polite)
    }

    /// The holder has answered the request to end.
    pub(crate) fn holder_answered(&mut self, taken: bool, cx: &mut Cx) {
        if let Phase::External(_, Some(polite)) = &mut self.phase {
            polite.taken = taken;
        }
        if !taken {
            self.holder_stays(Reason::NotTaken, cx);
        }
    }

    pub(crate) fn holder_took_too_long(&mut self, cx: &mut Cx) {
        self.holder_stays(Reason::NotGone, cx);
    }

    /// The holder refused, or is still there when its time is over.
    fn holder_stays(&mut self, why: Reason<'_>, cx: &mut Cx) {
        let holder = self.holder().map(|holder| ProcessId { pid: holder.pid, start_time: holder.start_time });
        let Some(survivor) = holder.filter(|_| self.takes_back_request(cx).is_some()) else { return };
        let pid = survivor.pid;
        let receipt = Receipt { survivors: alloc::vec![survivor.into()], ..Receipt::default() };
        self.fail_all(&refusals::still_held(&self.name, pid, why, &receipt), cx);
    }

    /// This process is gone. If it was the holder, requests to end it are answered, and a restart goes on.
    pub(crate) fn holder_gone(&mut self, pid: i32, cx: &mut Cx) {
        let Phase::External(holder, polite) = &mut self.phase else { return };
        if holder.pid != pid {
            // An earlier holder.
            return;
        }
        let (start_time, polite) = (holder.start_time, polite.take());
        let actor = polite.as_ref().map_or(Actor::Supervisor, |polite| polite.actor.clone());
        self.enter(Phase::Idle, None, EventKind::WorkerStopped, actor, cx);
        let Some(polite) = polite else { return };
        let ended_ms = Some(cx.now.mono_ms.saturating_sub(polite.began_ms));
        let asked = Signalled { pid, start_time, signals: Vec::new(), ended_ms, error: None };
        self.answer_stops(&Receipt { signalled: alloc::vec![asked], survivors: Vec::new() }, cx);
        if let Some(next) = self.next.take() {
            self.begin(*next, cx);
        }
    }
}
