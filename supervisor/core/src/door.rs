//! The door: every input comes in here. Its worker and its run are found once, and a message about a run that is over is
//! dropped once.

use crate::conns::{Caller, actor_of};
use crate::cx::Cx;
use crate::ids::{ConnId, Now, RunKey};
use crate::io::{Effect, Input};
use crate::looks;
use crate::parts::PortsSeen;
use crate::ports;
use crate::queue;
use crate::remembered::left_over;
use crate::run::Run;
use crate::state::Core;
use crate::step::{Given, Step};
use crate::timers::Timer;
use crate::worker::{Worker, ask, end, examine, live, ready, start, sweep};
use alloc::string::ToString;
use alloc::vec::Vec;
use gob_protocol::{Id, Name};

/// The wall clock has jumped by more than this when it was set, or the machine slept.
const JUMP_MS: i64 = 1_000;

/// Tells whether the wall clock went another way than the one that never jumps.
const fn has_jumped(before: Now, now: Now) -> bool {
    let passed = now.mono_ms.saturating_sub(before.mono_ms);
    now.wall.0.abs_diff(before.wall.0.saturating_add_unsigned(passed)) > JUMP_MS.unsigned_abs()
}

impl Core {
    /// Takes one input and returns what is to be done about it, in order.
    pub fn apply(&mut self, input: Input, now: Now) -> Vec<Effect> {
        let slept = self.cx.timers.skip_jump(self.cx.now.mono_ms, now.mono_ms);
        let jumped = slept || has_jumped(self.cx.now, now);
        self.cx.now = now;
        if slept {
            self.workers.values_mut().for_each(|worker| worker.slept(&mut self.cx));
        }
        if jumped {
            queue::jumped(self);
        }
        self.underway.hear(&input);
        self.take(input);
        self.locks.tell_database(&mut self.underway, &mut self.cx);
        queue::attempts_ended(self);
        self.finish_end();
        if let Some(wake) = self.cx.timers.changed_wake() {
            self.cx.push(Effect::WakeAt(wake));
        }
        self.cx.out.take()
    }

    /// Goes on with a state that another supervisor wrote. Returns again every effect that a phase owes; the shell answers each
    /// as if it were asked for the first time.
    pub fn resume(&mut self) -> Vec<Effect> {
        for worker in self.workers.values_mut() {
            worker.resume(&mut self.cx);
        }
        if self.reloads.is_on() {
            self.cx.push(Effect::ReadConfig);
        }
        if let Some(shared) = self.cx.setup.settings.shared.clone() {
            self.cx.push(Effect::Share(Some(alloc::boxed::Box::new(shared))));
        }
        for search in self.underway.searches() {
            self.search(search);
        }
        ports::resume(&self.workers, &self.underway, &mut self.cx);
        let owed = self.underway.owed().into_iter().chain(self.locks.owed()).chain(self.upgrade.owed());
        owed.for_each(|effect| self.cx.push(effect));
        self.cx.timers.woken();
        if let Some(wake) = self.cx.timers.changed_wake() {
            self.cx.push(Effect::WakeAt(wake));
        }
        self.cx.out.take()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Connected { conn, pid } => self.conns.connect(conn, pid),
            Input::Request { conn, id, request } => {
                self.of_caller(conn, id, |core, caller| core.request(caller, request));
            }
            Input::Umask { conn, umask } => self.conns.has_umask(conn, umask),
            Input::ProjectFile { conn, ban } => self.conns.has_ban(conn, ban),
            Input::Written { conn, frames } => {
                self.of_caller(conn, None, |core, caller| core.written(caller, frames));
            }
            Input::Disconnected { conn } => self.disconnected(conn),
            Input::SignalSent { key, signal, conn, id, errno } => self.of_caller(conn, id, |core, caller| {
                core.signal_sent(caller, &key.name, &signal, errno.as_deref());
            }),
            Input::GraphsFound { search, found } => {
                self.of_caller(search.conn, search.id.clone(), |core, caller| {
                    core.graphs_found(caller, search, found);
                });
            }
            Input::Ports(seen) => ports_seen(self, *seen),
            Input::Stored { ticket, answer } => self.stored(ticket, answer),
            Input::Shared(news) => queue::shared_news(self, news),
            Input::LocksMarked(done) => self.locks.marked(done, &mut self.underway, &mut self.cx),
            Input::GraphDeleted { search, plan, result } => self.graph_deleted(search, *plan, result),
            Input::Unfit { key, why } => self.unfit(&key, why),
            Input::Room(is_left) => self.cx.no_room = !is_left,
            Input::Leftovers(leftovers) => {
                left_over(leftovers, &mut self.workers, &mut self.cx);
                queue::leftovers_changed(self);
            }
            Input::HolderGone { name, pid } => self.of(&name, |worker, cx| worker.holder_gone(pid, cx)),
            Input::Due => self.due(),
            Input::Begin => {
                self.begin_life();
                queue::begins(self);
            }
            Input::Reread => self.reload(None),
            Input::Configured(read) => {
                let before = &self.cx.setup.settings;
                let (lanes, shared) = (before.lanes.clone(), before.shared.clone());
                self.configured(*read);
                queue::reloaded(self, &lanes, shared.as_ref());
            }
            Input::Healed => self.cx.heal(),
            Input::SocketsLost(lost) => self.sockets_lost(&lost),
            Input::ProgramTried(tried) => self.upgrade.tried(tried, &mut self.cx),
            Input::NotReplaced(why) => self.upgrade.failed(&why, &mut self.cx),
            Input::Upgraded(to) => self.upgrade.done(to, &mut self.cx),
            Input::Programs(seen) => {
                for (key, is_other) in seen {
                    self.of_run(&key, |run, given, cx| looks::program(run, given, cx, is_other));
                }
            }
            Input::KeeperBrought(keeper) => self.upgrade.keeper(keeper, &mut self.cx),
            Input::Terminate => self.terminate(),
            input @ (Input::OrphanEnded { .. }
            | Input::Notified { .. }
            | Input::StopAnswered { .. }
            | Input::Spawned { .. }
            | Input::SpawnFailed { .. }
            | Input::CalledOff { .. }
            | Input::Held { .. }
            | Input::Examined { .. }
            | Input::Ready { .. }
            | Input::NeverReady { .. }
            | Input::Told { .. }
            | Input::Probed { .. }
            | Input::Exited { .. }
            | Input::Swept { .. }
            | Input::ReadOut { .. }
            | Input::Freed { .. }
            | Input::Surviving { .. }) => self.take_of_run(input),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "the other inputs are about no run")]
    fn take_of_run(&mut self, input: Input) {
        match input {
            Input::OrphanEnded { key, pid } => {
                self.of_run(&key, |run, given, cx| examine::ended(run, given, cx, pid));
            }
            Input::Notified { key, note } => self.of_latest(&key, |worker, cx| worker.notified(note, cx)),
            Input::StopAnswered { key, taken } => self.of_latest(&key, |worker, cx| {
                worker.step(cx, |run, given, cx| ask::answered(run, given, cx, taken));
                worker.holder_answered(taken, cx);
            }),
            Input::Spawned { key, pid, port, new } => {
                self.of_run(&key, |run, _, cx| start::spawned(run, cx, pid, port, new));
            }
            Input::SpawnFailed { key, why } => {
                self.of_run(&key, |run, given, cx| start::failed(run, given, cx, &why));
            }
            Input::CalledOff { key } => self.of_run(&key, |run, _, _| start::called_off(run)),
            Input::Held { key, holder } => {
                self.of_run(&key, |run, given, cx| start::held(run, given, cx, &holder));
            }
            Input::Examined { key, found } => {
                self.of_run(&key, |run, given, cx| examine::examined(run, given, cx, found));
            }
            Input::Ready { key, handshake, ports } => {
                self.of_run(&key, |run, given, cx| ready::ready(run, given, cx, handshake, ports));
            }
            Input::NeverReady { key, error, last_lines } => {
                self.of_run(&key, |run, _, cx| ready::never(run, cx, &error, &last_lines));
            }
            Input::Told { key, status } => self.of_run(&key, |run, _, cx| ready::told(run, cx, status)),
            Input::Probed { key, found } => self.of_run(&key, |run, given, cx| {
                if run.is_up() {
                    live::probed(run, given, cx, found.err().map(|missed| missed.to_string()))
                } else {
                    ready::probed(run, given, cx, found)
                }
            }),
            Input::Exited { key, exit } => {
                self.of_run(&key, |run, given, cx| end::exited(run, given, cx, exit));
            }
            Input::Swept { key, receipt } => self.of_run(&key, |run, _, cx| end::swept(run, cx, receipt)),
            Input::ReadOut { key, last_lines, port_taken } => {
                self.of_run(&key, |run, given, cx| end::read_out(run, given, cx, last_lines, port_taken))
            }
            Input::Freed { key } => self.of_run(&key, end::freed),
            Input::Surviving { key, receipt } => {
                self.of_run(&key, |run, _, _| sweep::surviving(run, receipt))
            }
            _ => {}
        }
    }

    /// Hands on the caller of a request; one whose connection is gone wants nothing any more.
    fn of_caller(&mut self, conn: ConnId, id: Option<Id>, then: impl FnOnce(&mut Self, &Caller)) {
        if let Some(caller) = self.conns.caller(conn, id) {
            then(self, &caller);
        }
    }

    /// Hands on a worker.
    fn of(&mut self, name: &Name, then: impl FnOnce(&mut Worker, &mut Cx)) {
        if let Some(worker) = self.workers.get_mut(name) {
            then(worker, &mut self.cx);
        }
    }

    /// Hands on a worker, if this is its latest run: a message about an older one is too late to matter.
    fn of_latest(&mut self, key: &RunKey, then: impl FnOnce(&mut Worker, &mut Cx)) {
        self.of(&key.name, |worker, cx| {
            if worker.run == key.run {
                then(worker, cx);
            }
        });
    }

    /// Hands on a run, if it is the latest one of its worker.
    fn of_run(&mut self, key: &RunKey, decide: impl FnOnce(&mut Run, &Given<'_>, &mut Cx) -> Step) {
        self.of_latest(key, |worker, cx| worker.step(cx, decide));
    }

    fn disconnected(&mut self, conn: ConnId) {
        let Some((who, involved)) = self.conns.disconnect(conn) else { return };
        self.cx.news.forget(conn);
        self.cx.leaving.forget(conn);
        self.reloads.forget(conn);
        self.upgrade.forget(conn);
        self.underway.forget(conn);
        queue::disconnected(self, conn);
        for name in &involved {
            self.of(name, |worker, cx| worker.drop_waiters(conn, cx));
        }
        for name in &involved {
            self.of(name, |worker, cx| {
                worker.give_back(conn, actor_of(&who), cx);
                worker.client_left(conn, &who, cx);
            });
        }
        self.locks.gone(conn, &actor_of(&who), &mut self.underway, &mut self.cx);
    }

    /// Deadlines have come. Those of a run end with it, so whatever is due concerns the latest one.
    fn due(&mut self) {
        self.cx.timers.woken();
        while let Some(timer) = self.cx.timers.pop_due(self.cx.now.mono_ms) {
            if let Timer::Queue(alarm) = timer {
                queue::due(self, alarm);
                continue;
            }
            let (locks, underway, cx) = (&mut self.locks, &mut self.underway, &mut self.cx);
            let Some(name) = timer.name().cloned() else {
                locks.due(&timer, underway, cx);
                continue;
            };
            self.of(&name, |worker, cx| match timer {
                Timer::Queue(_) => {}
                Timer::Start(_) => worker.step(cx, start::timed_out),
                Timer::Delay(_) => worker.step(cx, ready::delay_passed),
                Timer::Tell(_) => worker.step(cx, |run, _, cx| ready::tell(run, cx)),
                Timer::Evict(_) => worker.step(cx, examine::evict),
                Timer::Then(_) => worker.step(cx, ask::half_passed),
                Timer::Kill(_) => worker.step(cx, |run, _, cx| ask::over(run, cx)),
                Timer::Sweep(_) => worker.step(cx, |run, _, cx| sweep::late(run, cx)),
                Timer::Probe(_) => worker.step(cx, |run, given, cx| {
                    if run.is_up() { live::due(run, given, cx) } else { ready::due(run, given, cx) }
                }),
                Timer::Backoff(_) => worker.retry(cx),
                Timer::Idle(_) => worker.idle_for_long(cx),
                Timer::Polite(_) => worker.holder_took_too_long(cx),
                Timer::Lease(_) => worker.lease_grace_ended(cx),
                Timer::Waiter(_, _, number) => worker.waiter_timed_out(number, cx),
                Timer::LockWait(_) | Timer::LockTtl(_) | Timer::LockClaims => {}
            });
        }
    }
}

fn ports_seen(core: &mut Core, seen: PortsSeen) {
    ports::seen(seen, &mut core.workers, &core.conns, &mut core.underway, &mut core.cx);
}
