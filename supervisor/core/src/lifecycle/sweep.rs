//! The killing of what is left of a run, and who is told when that takes long.

use crate::io::{Effect, RunKey};
use crate::worker::{Phase, Waiting};
use crate::{Core, Timer};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use gob_protocol::{Actor, ErrorCode, EventKind, Name, Receipt, Survivor, WireError};

/// A sweep that takes longer than this is reported to those who wait for it; it goes on.
const SWEEP_MS: u64 = 5_000;
/// How many survivors a message names.
const SHOWN: usize = 10;

impl Core {
    pub(super) fn sweep(&mut self, key: RunKey) {
        self.timers.arm(Timer::Sweep(key.name.clone()), self.now.mono_ms.saturating_add(SWEEP_MS));
        self.out.push(Effect::Sweep { key });
    }

    pub(crate) fn sweep_is_late(&mut self, name: &Name) {
        let Some(worker) = self.workers.get(name) else { return };
        if matches!(worker.phase, Phase::Ending(_)) {
            let key = worker.key();
            self.out.push(Effect::Census { key: key.clone() });
            self.sweep(key);
        }
    }

    /// Something survived for too long: those who wait are told what.
    pub(crate) fn surviving(&mut self, key: &RunKey, receipt: &Receipt) {
        if receipt.survivors.is_empty() {
            return;
        }
        let Some(worker) = self.current(key).filter(|worker| matches!(worker.phase, Phase::Ending(_))) else {
            return;
        };
        let error = |code, details| {
            let survived = survived(key.name.as_str(), &receipt.survivors);
            WireError { code, ..survived }.details(details)
        };
        let pids: Vec<i32> = receipt.survivors.iter().map(|survivor| survivor.pid).collect();
        let stops = error(ErrorCode::ServerStopTimeout, serde_json::json!({"receipt": receipt}));
        let starts = error(ErrorCode::ServerStartTimeoutOrphan, serde_json::json!({"pids": pids}));
        let is_news = match &mut worker.phase {
            Phase::Ending(ending) => {
                ending.stuck.replace(stops.message.clone()).as_ref() != Some(&stops.message)
            }
            Phase::Idle | Phase::Failed | Phase::Ceded | Phase::External(_) | Phase::Backoff => false,
            Phase::Starting { .. } | Phase::Ready { .. } | Phase::Unhealthy { .. } => false,
        };
        for waiter in core::mem::take(&mut worker.waiters) {
            let error = if matches!(waiter.what, Waiting::Stop) { &stops } else { &starts };
            self.fail(&key.name, waiter, error);
        }
        if self.ending.is_some() {
            self.leave_behind(&key.name, receipt, stops.message);
        } else if is_news {
            self.publish(EventKind::WorkerUpdated, Actor::Supervisor, Some(&key.name));
        }
    }

    /// The supervisor ends without those that it can't end: the end is not theirs to hold up.
    fn leave_behind(&mut self, name: &Name, receipt: &Receipt, why: String) {
        self.timers.cancel(&Timer::Sweep(name.clone()));
        self.grace_is_over(name);
        self.settle(name, Phase::Failed);
        if let Some(worker) = self.workers.get_mut(name) {
            worker.shown.reason = Some(why);
        }
        self.publish(EventKind::WorkerFailed, Actor::Supervisor, Some(name));
        self.ends_without(name, &receipt.survivors);
    }
}

/// What is said of processes that could not be ended, and how they can be.
pub(crate) fn survived(whose: &str, survivors: &[Survivor]) -> WireError {
    let describe = |survivor: &Survivor| {
        let uid = survivor.uid.map(|uid| format!(" of uid {uid}")).unwrap_or_default();
        let error = survivor.error.as_ref().map(|error| format!(": {error}")).unwrap_or_default();
        format!("pid {}{uid}{error}", survivor.pid)
    };
    let shown = survivors.iter().take(SHOWN).map(describe).collect::<Vec<_>>().join(", ");
    let more = if survivors.len() > SHOWN { ", …" } else { "" };
    let message =
        format!("{} process(es) of {whose} could not be ended yet ({shown}{more})", survivors.len());
    let denied: Vec<String> = survivors
        .iter()
        .filter(|survivor| survivor.error.is_some())
        .take(SHOWN)
        .map(|survivor| survivor.pid.to_string())
        .collect();
    let hint = if denied.is_empty() {
        "they may hang in the kernel, such as on a dead network mount; gob goes on trying".into()
    } else {
        format!("gob may not signal processes of another user: sudo kill -KILL {}", denied.join(" "))
    };
    WireError::new(ErrorCode::ServerStopTimeout, message).hint(hint)
}
