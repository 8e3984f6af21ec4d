//! The last steps of a run without processes, which the core orders: its last output is read, and the lock of its graph let go.

use super::{Done, Shell};
use crate::runs::Swept;
use gob_core::{Input, RunKey};
use tokio::sync::oneshot;

impl Shell {
    /// Continues the sweeps.
    pub(super) fn sweep_on(&mut self) {
        for Swept { key, receipt, lock } in self.runs.sweep_on() {
            self.locks.extend(lock.map(|lock| (key.clone(), lock)));
            self.input(Input::Swept { key, receipt });
        }
    }

    /// Has the rest of a run's output read, and lets the lock of its graph go; the latter is the answer where it had none.
    pub(super) fn finish(&mut self, key: RunKey) -> Option<Input> {
        self.output.drain(key.clone());
        let Some(lock) = self.locks.remove(&key) else { return Some(Input::Freed { key }) };
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
        None
    }

    /// Reports that all output of a run is read.
    pub(super) fn read_out(&mut self, key: RunKey) {
        let (last_lines, port_taken) = (self.last_lines(&key), self.ports.is_taken(&key));
        self.input(Input::ReadOut { key, last_lines, port_taken });
    }
}
