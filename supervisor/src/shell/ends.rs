//! The last steps of a run without processes, which the core orders: its last output is read, and the lock of its graph let go.

use super::{Done, Shell};
use crate::output::Tap;
use crate::runs::Swept;
use gob_core::{Input, RunKey};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Shell {
    /// Continues the sweeps.
    pub(super) fn sweep_on(&mut self) {
        for Swept { key, receipt, lock } in self.runs.sweep_on() {
            self.locks.extend(lock.map(|lock| (key.clone(), lock)));
            self.input(Input::Swept { key, receipt });
        }
    }

    /// Has the rest of a run's output read. That is done at once where the drain thread has met its end, unless a report about
    /// the run may be under way that still matters.
    pub(super) fn read_rest(&mut self, key: RunKey, was_ready: bool) -> Option<Input> {
        self.programs.end(&key);
        if was_ready && self.taps.get(&key).is_some_and(Tap::has_ended) {
            return Some(self.all_read(key));
        }
        self.output.drain(key);
        None
    }

    /// Lets the lock of a run's graph go: at once where nothing can wait for a disk.
    pub(super) fn free(&mut self, key: RunKey) -> Option<Input> {
        let Some(lock) = self.locks.remove(&key) else { return Some(Input::Freed { key }) };
        let lock = match Arc::try_unwrap(lock) {
            Ok(lock) if lock.closes_at_once() => return Some(Input::Freed { key }),
            Ok(lock) => Arc::new(lock),
            // Its record is being written.
            Err(lock) => lock,
        };
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

    /// All output of a run is read.
    pub(super) fn all_read(&mut self, key: RunKey) -> Input {
        let (last_lines, port_taken) = (self.last_lines(&key), self.ports.is_taken(&key));
        Input::ReadOut { key, last_lines, port_taken }
    }
}
