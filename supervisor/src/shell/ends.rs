//! The last steps of a run, once nothing is left of its processes: its last output is read and the lock of
//! its graph is free before the core receives its end, so that the next starter, here or elsewhere, finds all
//! of it done.

use super::{Done, Shell};
use crate::runs::Swept;
use gob_core::{Input, RunKey};
use gob_protocol::Receipt;
use tokio::sync::oneshot;

/// A swept run whose end the core has not received yet.
pub(super) struct Ending {
    receipt: Receipt,
    is_read: bool,
    is_free: bool,
}

impl Shell {
    /// Continues the sweeps.
    pub(super) fn sweep_on(&mut self) {
        for Swept { key, receipt, lock } in self.runs.sweep_on() {
            self.output.drain(key.clone());
            self.endings.insert(key.clone(), Ending { receipt, is_read: false, is_free: lock.is_none() });
            let Some(lock) = lock else { continue };
            let (done, is_done) = oneshot::channel();
            let path = lock.path().to_owned();
            let ticket = self.disks.begin(&path.clone(), vec![path], move |_| {
                lock.served().end();
                // Closing a file may wait for its disk.
                drop(lock);
                done.send(()).unwrap_or_default();
            });
            let (disks, to_loop) = (self.disks.clone(), self.done.clone());
            tokio::task::spawn_local(async move {
                // A run whose disk hangs is over all the same; its next start reports the disk.
                let is_free = disks.wait(&ticket, is_done).await;
                is_free.unwrap_or_else(|silent| tracing::warn!(worker = %key.name, run = key.run, %silent));
                to_loop.send(Done::Freed(key)).await;
            });
        }
    }

    /// Notes that all output of a run is read.
    pub(super) fn read_out(&mut self, key: RunKey) {
        if let Some(ending) = self.endings.get_mut(&key) {
            ending.is_read = true;
            self.end_if_over(key);
        }
    }

    /// Notes that the lock of a run's graph is free.
    pub(super) fn freed(&mut self, key: RunKey) {
        if let Some(ending) = self.endings.get_mut(&key) {
            ending.is_free = true;
            self.end_if_over(key);
        }
    }

    fn end_if_over(&mut self, key: RunKey) {
        if self.endings.get(&key).is_none_or(|ending| !ending.is_read || !ending.is_free) {
            return;
        }
        let Some(Ending { receipt, .. }) = self.endings.remove(&key) else { return };
        let (last_lines, port_taken) = (self.last_lines(&key), self.ports.is_taken(&key));
        self.input(Input::Swept { key, receipt, last_lines, port_taken });
    }
}
