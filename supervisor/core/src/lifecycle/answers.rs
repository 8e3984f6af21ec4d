//! What those are told who wait for a run to come up or to end.

use crate::worker::{Waiter, Waiting};
use crate::{Core, Timer};
use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use gob_protocol::answer::StopData;
use gob_protocol::{Data, ErrorCode, Exit, Name, Receipt, WireError};

impl Core {
    /// Answers those who wait for the stop; those who wait for the restart keep its receipt.
    pub(super) fn answer_stops(&mut self, name: &Name, swept: &Receipt) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        let mut rest = Vec::new();
        let mut done = Vec::new();
        for mut waiter in core::mem::take(&mut worker.waiters) {
            match &mut waiter.what {
                Waiting::Stop => done.push(waiter),
                Waiting::Restart { receipt, .. } => {
                    receipt.clone_from(swept);
                    rest.push(waiter);
                }
                Waiting::Start { .. } => rest.push(waiter),
            }
        }
        worker.waiters = rest;
        for waiter in done {
            let Some(worker) = self.workers.get(name) else { return };
            let worker = worker.view(self.owns(&waiter.requester, worker));
            let data = Data::Stop(Box::new(StopData { worker, receipt: swept.clone() }));
            self.reply(waiter.conn, waiter.id, Ok(data));
        }
    }

    /// Tells those who wait for a run up to this one to come up that it won't.
    pub(super) fn fail_starters(&mut self, name: &Name, run: u64, error: &WireError) {
        let Some(worker) = self.workers.get_mut(name) else { return };
        for waiter in worker.take_starters(run) {
            self.fail(name, waiter, error);
        }
    }

    pub(crate) fn fail(&mut self, name: &Name, waiter: Waiter, error: &WireError) {
        self.timers.cancel(&Timer::Waiter(name.clone(), waiter.conn, waiter.number));
        self.reply(waiter.conn, waiter.id, Err(Box::new(error.clone())));
    }

    /// What those are told whose worker ended before it was ready.
    pub(super) fn start_error(&self, name: &Name, exit: &Exit, code: ErrorCode) -> WireError {
        let shown = self.workers.get(name).map(|worker| &worker.shown);
        let why = shown.and_then(|shown| shown.reason.clone());
        let message = match (code, why) {
            (ErrorCode::ServerStartTimeout, Some(why)) => format!("{name} {why}; its processes were ended"),
            (_, Some(why)) => format!("{name} {exit} before it was ready: {why}"),
            (_, None) => format!("{name} {exit} before it was ready"),
        };
        let hint = if has_run(exit) {
            see_logs(name)
        } else {
            format!("see who holds it: gobctl who {}", name.as_argument())
        };
        let last_lines = shown.map(|shown| shown.last_lines.clone()).unwrap_or_default();
        WireError::new(code, message)
            .hint(hint)
            .details(serde_json::json!({"exit": exit, "errno": null, "last_lines": last_lines}))
    }
}

/// Where to look for what a worker said itself.
pub(super) fn see_logs(name: &Name) -> String {
    format!("see gobctl logs {}", name.as_argument())
}

/// Whether there was a process, so that the log may know more.
pub(super) const fn has_run(exit: &Exit) -> bool {
    match exit {
        Exit::Code { .. } | Exit::Signal { .. } => true,
        Exit::SpawnFailed { .. } => false,
    }
}
