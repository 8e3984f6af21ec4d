//! A run that has a process becomes ready, or does not.
//!
//! What is looked at is the kind's check. The shell watches output and runs probes; a delay is a deadline of the core's.

use super::answers::see_logs;
use crate::io::{Effect, RunKey};
use crate::parts::Target;
use crate::worker::{Ending, Phase, Then, Worker};
use crate::{Core, Timer};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::kind::{Check, HttpPort};
use gob_protocol::view::Port;
use gob_protocol::{Actor, ErrorCode, EventKind, Name, WireError};

/// Events tell what a starting run says of itself this often at most, so that a chatty one does not drive everything
/// else out of the ring.
const TOLD_EVERY_MS: u64 = 100;

impl Core {
    /// The run has a process: how its readiness is seen from here on.
    pub(super) fn look_for_readiness(&mut self, key: &RunKey) {
        let Some(worker) = self.workers.get(&key.name) else { return };
        let target = match &worker.kind.readiness.check {
            // The shell watches its output, or hears of it.
            Check::Handshake | Check::Log { .. } | Check::Notify => return,
            Check::None => return self.ready(key, Handshake::default(), Vec::new()),
            Check::Delay { for_ms } => {
                let at = self.now.mono_ms.saturating_add(*for_ms);
                return self.timers.arm(Timer::Delay(key.name.clone()), at);
            }
            check @ (Check::Http { .. } | Check::Connect { .. }) => self.target(worker, check),
        };
        if let (Some(target), Some(worker)) = (target, self.workers.get_mut(&key.name)) {
            worker.probing = true;
            self.out.push(Effect::Probe { key: key.clone(), target });
        }
    }

    /// Where a check that looks from outside looks.
    pub(super) fn target(&self, worker: &Worker, check: &Check) -> Option<Target> {
        match check {
            Check::Http { path, status, port } => {
                let port = match port {
                    HttpPort::Given => worker.port,
                    HttpPort::Discover => None,
                    HttpPort::Fixed(port) => Some(*port),
                };
                Some(Target::Http { port, path: self.filled(worker, path), status: *status })
            }
            Check::Connect { address } => Some(Target::Connect { address: self.filled(worker, address) }),
            Check::None | Check::Handshake | Check::Notify | Check::Log { .. } | Check::Delay { .. } => None,
        }
    }

    /// The run is not starting any more: nobody needs to look.
    pub(super) fn look_no_longer(&mut self, name: &Name) {
        self.timers.cancel(&Timer::Start(name.clone()));
        self.timers.cancel(&Timer::Delay(name.clone()));
        self.end_liveness(name);
        let Some(worker) = self.workers.get_mut(name) else { return };
        if core::mem::take(&mut worker.probing) {
            self.out.push(Effect::EndProbe { key: worker.key() });
        }
    }

    pub(crate) fn ready(&mut self, key: &RunKey, handshake: Handshake, ports: Vec<Port>) {
        let (now, wall) = (self.now.mono_ms, self.now.wall);
        let Some(worker) = self.current(key) else { return };
        let Phase::Starting { pid: Some(pid) } = worker.phase else { return };
        worker.phase = Phase::Ready { pid };
        (worker.was_served, worker.kind_is_open, worker.root_is_open) = (true, false, false);
        worker.ready_mono_ms = Some(now);
        worker.lost_ports = 0;
        worker.last_port = worker.port;
        let endpoint = endpoint_of(worker, &handshake);
        worker.endpoint_is_its_own = handshake.endpoint.is_some();
        let shown = &mut worker.shown;
        shown.version = handshake.version.map(Into::into);
        (shown.meta, shown.ports) = (handshake.meta.into(), ports);
        shown.endpoint = endpoint.map(Into::into);
        shown.ready_at = Some(wall);
        shown.reason = None;
        let actor = worker.actor.clone();
        self.look_no_longer(&key.name);
        self.begin_liveness(&key.name);
        self.out.push(Effect::Remember { key: key.clone() });
        self.publish(EventKind::WorkerReady, actor, Some(&key.name));
        self.answer_waiters_of_run(&key.name);
    }

    pub(crate) fn delay_passed(&mut self, name: &Name) {
        if let Some(key) = self.workers.get(name).map(crate::worker::Worker::key) {
            self.ready(&key, Handshake::default(), Vec::new());
        }
    }

    /// What a starting run says of itself is why it is not ready yet.
    pub(crate) fn told(&mut self, key: &RunKey, status: String) {
        let now = self.now.mono_ms;
        let Some(worker) = self.current(key) else { return };
        let Phase::Starting { pid: Some(_) } = worker.phase else { return };
        if worker.shown.reason.as_ref() == Some(&status) {
            return;
        }
        worker.shown.reason = Some(status);
        if worker.told_mono_ms.is_none_or(|at| now.saturating_sub(at) >= TOLD_EVERY_MS) {
            worker.told_mono_ms = Some(now);
            self.publish(EventKind::WorkerUpdated, Actor::Supervisor, Some(&key.name));
        }
    }

    /// The worker won't be ready: who waits is told at once, then its tree is ended.
    pub(crate) fn never_ready(&mut self, key: &RunKey, error: &HandshakeError, last_lines: Vec<String>) {
        let name = &key.name;
        let Some(worker) = self.current(key) else { return };
        let Phase::Starting { pid: Some(pid) } = worker.phase else { return };
        let (code, reason) = match error {
            HandshakeError::Refused(reason) => (ErrorCode::ServerStartFailed, reason),
            HandshakeError::Invalid(reason) => (ErrorCode::HandshakeInvalid, reason),
        };
        worker.shown.reason = Some(reason.clone());
        let message = format!("{name} did not become ready: {reason}");
        let details = serde_json::json!({"exit": null, "errno": null, "last_lines": last_lines});
        let error = WireError::new(code, message).hint(see_logs(name)).details(details);
        self.fail_starters(name, key.run, &error);
        let then = Then::Policy { was_ready_ms: None, asked: true };
        self.end_run(name, Ending::asked(Some(pid), then, Actor::Supervisor));
        self.ask_within(name, None);
    }

    pub(crate) fn start_timed_out(&mut self, name: &Name) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let Phase::Starting { pid } = worker.phase else { return };
        let seconds = worker.kind.readiness.timeout_ms as f64 / 1000.0;
        let saw = worker.shown.reason.take().map_or_else(String::new, |saw| format!(" ({saw})"));
        worker.shown.reason = Some(format!("was not ready after {seconds} s{saw}"));
        let ending = Ending::asked(pid, Then::Fail, Actor::Supervisor);
        self.end_run(name, Ending { timed_out: true, ..ending });
        self.ask_within(name, None);
    }
}

/// Where a run that is ready is reached. What was made of a port alone speaks what the kind says; a worker that shakes hands
/// says it by itself.
fn endpoint_of(worker: &Worker, handshake: &Handshake) -> Option<String> {
    let kind = &worker.kind;
    let shook_hands = kind.readiness.check == Check::Handshake;
    match &handshake.endpoint {
        Some(made) if handshake.by_port && !shook_hands => Some(kind.port_endpoint(made)),
        Some(told) => Some(told.clone()),
        None => worker.port.map(|port| kind.port_endpoint(&format!("http://127.0.0.1:{port}"))),
    }
}
