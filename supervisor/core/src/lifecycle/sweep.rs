//! The killing of what is left of a run, and who is told when that takes long.

use crate::io::{Effect, RunKey};
use crate::worker::{Phase, Waiting};
use crate::{Core, Timer};
use alloc::format;
use alloc::vec::Vec;
use gob_protocol::{ErrorCode, Name, Receipt, WireError};

/// A sweep that takes longer than this is reported to those who wait for it; it goes on.
const SWEEP_MS: u64 = 5_000;

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
        let count = receipt.survivors.len();
        let message = format!("{count} process(es) of {} could not be ended yet", key.name);
        let error = |code, details| {
            WireError::new(code, message.clone())
                .hint("they may hang in the kernel, such as on a dead network mount; gob goes on trying")
                .details(details)
        };
        let pids: Vec<i32> = receipt.survivors.iter().map(|survivor| survivor.pid).collect();
        let stops = error(ErrorCode::ServerStopTimeout, serde_json::json!({"receipt": receipt}));
        let starts = error(ErrorCode::ServerStartTimeoutOrphan, serde_json::json!({"pids": pids}));
        for waiter in core::mem::take(&mut worker.waiters) {
            let error = if matches!(waiter.what, Waiting::Stop) { &stops } else { &starts };
            self.fail(&key.name, waiter, error);
        }
    }
}
