//! The last of a run, once nothing is left of its processes: what it wrote last is read and the lock of its graph is free
//! before the core hears that it is over, so that whoever starts it next, here or elsewhere, finds all of it done.

use super::{Done, Shell};
use crate::runs::Swept;
use gob_core::{Input, RunKey};
use gob_protocol::Receipt;
use tokio::sync::oneshot;

/// A swept run of which the core has not heard yet.
pub(super) struct Ending {
    receipt: Receipt,
    is_read: bool,
    is_free: bool,
}

impl Shell {
    /// Goes on with the sweeps.
    pub(super) fn sweep_on(&mut self) {
        for Swept { key, receipt, lock } in self.runs.sweep_on() {
            self.output.drain(key.clone());
            self.endings.insert(key.clone(), Ending { receipt, is_read: false, is_free: lock.is_none() });
            let Some(lock) = lock else { continue };
            let (done, is_done) = oneshot::channel();
            let path = lock.path().to_owned();
            let ticket = self.disks.begin(&path.clone(), vec![path], move |_| {
                lock.served().end();
                // To close a file may wait for its disk.
                drop(lock);
                done.send(()).unwrap_or_default();
            });
            let (disks, to_loop) = (self.disks.clone(), self.done.clone());
            tokio::task::spawn_local(async move {
                // One whose disk hangs is over all the same; its next start hears of the disk.
                let is_free = disks.wait(&ticket, is_done).await;
                is_free.unwrap_or_else(|silent| tracing::warn!(worker = %key.name, run = key.run, %silent));
                to_loop.send(Done::Freed(key)).await;
            });
        }
    }

    /// All that a run has written is read.
    pub(super) fn read_out(&mut self, key: RunKey) {
        if let Some(ending) = self.endings.get_mut(&key) {
            ending.is_read = true;
            self.end_if_over(key);
        }
    }

    /// The lock of a run's graph is free.
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
