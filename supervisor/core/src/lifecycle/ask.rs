//! How a run is asked to end: by its kind's HTTP request, by a signal, by a second one; and killed when the grace is over.
//!
//! The grace is the tree's: a leader that was asked and ends leaves the rest of it to its tree.

use crate::io::{Effect, RunKey};
use crate::worker::{Asked, Phase, Worker};
use crate::{Core, Timer};
use alloc::format;
use alloc::string::String;
use gob_protocol::Name;
use gob_protocol::kind::{Check, HttpPort, StopWay};

impl Core {
    /// Gives an ending run so much time, or its kind's grace, and asks it to end.
    pub(super) fn ask_within(&mut self, name: &Name, grace_ms: Option<u64>) {
        let now = self.now.mono_ms;
        let Some(worker) = self.workers.get(name) else { return };
        let way = &worker.kind.stop;
        let grace_ms = grace_ms.unwrap_or(way.grace_ms);
        let second = way.then.is_some() || way.http.is_some();
        self.timers.arm(Timer::Kill(name.clone()), now.saturating_add(grace_ms));
        if second && grace_ms > 0 {
            self.timers.arm(Timer::Then(name.clone()), now.saturating_add(grace_ms / 2));
        }
        self.ask_to_end(name);
        self.kill_if_due(name);
    }

    /// Gives an ending run less time, if this is less.
    pub(super) fn hurry(&mut self, name: &Name, grace_ms: Option<u64>) {
        let now = self.now.mono_ms;
        let Some(worker) = self.workers.get(name) else { return };
        let Phase::Ending(ending) = &worker.phase else { return };
        let grace_ms = grace_ms.unwrap_or(worker.kind.stop.grace_ms);
        let killing = ending.killing;
        let times = [(Timer::Kill(name.clone()), grace_ms), (Timer::Then(name.clone()), grace_ms / 2)];
        for (timer, ms) in times {
            let at = now.saturating_add(ms);
            // What is not armed has happened, or is not part of the way; only a kill can be asked for anew.
            let due = self.timers.at(&timer);
            let anew = due.is_none() && matches!(timer, Timer::Kill(_));
            if !killing && (anew || due.is_some_and(|due| at < due)) {
                self.timers.arm(timer, at);
            }
        }
        self.kill_if_due(name);
    }

    /// Asks in the first way that there is.
    pub(super) fn ask_to_end(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        let http = worker.kind.stop.http.as_ref().zip(http_endpoint(worker));
        // Where there is no grace, an answer would come too late.
        let hurried = self.timers.at(&Timer::Kill(name.clone())).is_some_and(|at| at <= self.now.mono_ms);
        let Some((request, (endpoint, look))) = http.filter(|_| !hurried) else {
            return self.send_signal(name, Asked::Signal);
        };
        let request = self.filled(worker, request);
        let key = worker.key();
        let Some(worker) = self.workers.get_mut(name) else { return };
        let Phase::Ending(ending) = &mut worker.phase else { return };
        // A spawn that is still under way is asked once it is there.
        if ending.pid.is_some() {
            ending.asked = Asked::Http;
            self.out.push(Effect::StopHttp { key, endpoint, request, look });
        }
    }

    fn send_signal(&mut self, name: &Name, which: Asked) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let key = worker.key();
        let Phase::Ending(ending) = &mut worker.phase else { return };
        if ending.killing || (ending.pid.is_none() && !ending.lingers()) {
            return;
        }
        ending.asked = which;
        let signal = signal_of(&worker.kind.stop, which);
        self.out.push(Effect::Terminate { key, signal });
    }

    /// The leader of a run that was asked to end is gone. The rest of its tree, such as a server behind a shell, has what is
    /// left of the grace.
    pub(super) fn linger(&mut self, name: &Name) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let key = worker.key();
        let Phase::Ending(ending) = &mut worker.phase else { return };
        if matches!(ending.asked, Asked::Http | Asked::TakenHttp) {
            // The others know nothing of a request that the leader took.
            ending.asked = Asked::Signal;
        }
        let signal = signal_of(&worker.kind.stop, ending.asked);
        self.out.push(Effect::Linger { key, signal });
    }

    /// The worker took the HTTP request, and is ending by itself; or it did not, and gets the signal.
    pub(crate) fn stop_answered(&mut self, key: &RunKey, taken: bool) {
        let Some(worker) = self.current(key) else { return };
        if matches!(worker.phase, Phase::External(_)) && !taken {
            return self.holder_stays(&key.name, "did not take the request to end");
        }
        let Phase::Ending(ending) = &mut worker.phase else { return };
        if ending.asked == Asked::Http {
            ending.asked = Asked::TakenHttp;
            if !taken {
                self.send_signal(&key.name, Asked::Signal);
            }
        }
    }

    /// It is still there after half of its grace: the second signal; or the first, if only HTTP has asked.
    pub(crate) fn half_of_grace_passed(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        let Phase::Ending(ending) = &worker.phase else { return };
        let second = worker.kind.stop.then.is_some();
        match ending.asked {
            Asked::Http | Asked::TakenHttp | Asked::Signal if second => self.send_signal(name, Asked::Twice),
            Asked::Http | Asked::TakenHttp => self.send_signal(name, Asked::Signal),
            Asked::Not | Asked::Signal | Asked::Twice => {}
        }
    }

    /// A grace of nothing has ended already.
    fn kill_if_due(&mut self, name: &Name) {
        if self.timers.at(&Timer::Kill(name.clone())).is_some_and(|at| at <= self.now.mono_ms) {
            self.grace_ended(name);
        }
    }

    pub(crate) fn grace_ended(&mut self, name: &Name) {
        self.timers.cancel(&Timer::Kill(name.clone()));
        self.timers.cancel(&Timer::Then(name.clone()));
        let Some(worker) = self.workers.get_mut(name) else { return };
        let key = worker.key();
        let Phase::Ending(ending) = &mut worker.phase else { return };
        let has_processes = ending.pid.is_some() || ending.lingers();
        if !core::mem::replace(&mut ending.killing, true) && has_processes {
            self.sweep(key);
        }
    }
}

/// The signal by which a run was asked so far.
fn signal_of(way: &StopWay, asked: Asked) -> String {
    let second = way.then.as_ref().filter(|_| asked == Asked::Twice);
    second.unwrap_or(&way.signal).clone()
}

/// Where the run's HTTP server is, if that is known, and whether it may as well be somebody else's: on a port that the run was
/// given, or that its kind says, until it was seen there.
fn http_endpoint(worker: &Worker) -> Option<(String, bool)> {
    let told = worker.shown.endpoint.as_deref().and_then(|endpoint| as_http(endpoint, worker));
    let fixed = match &worker.kind.readiness.check {
        Check::Http { port: HttpPort::Fixed(port), .. } => Some(*port),
        Check::Http { port: HttpPort::Given | HttpPort::Discover, .. } => None,
        Check::None | Check::Handshake | Check::Notify | Check::Connect { .. } => None,
        Check::Log { .. } | Check::Delay { .. } => None,
    };
    let own = told.filter(|_| worker.endpoint_is_its_own).map(|endpoint| (endpoint, false));
    // Which loopback address it is on is found out by whoever asks.
    own.or_else(|| worker.port.or(fixed).map(|port| (format!("http://localhost:{port}"), true)))
}

/// An endpoint as it is asked over HTTP, whatever its kind calls that.
fn as_http(endpoint: &str, worker: &Worker) -> Option<String> {
    let (scheme, address) = endpoint.split_once("://")?;
    let is_http = scheme == "http" || worker.kind.scheme.as_deref() == Some(scheme);
    is_http.then(|| format!("http://{address}"))
}
