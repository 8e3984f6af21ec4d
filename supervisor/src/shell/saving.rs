//! Files of the supervisor itself: `last.json` written when it is time, all of them removed at the end of a nuke.

use super::{Done, Shell};
use crate::disks::PATIENCE;
use crate::files;
use crate::heal::LANE;
use crate::journal::JOURNAL;
use crate::last::{LAST, Snapshot};
use gob_core::{Input, LocksMark, Roster};
use gob_protocol::Name;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::oneshot;

impl Shell {
    /// Writes `last.json`, if it is time. A timer alone would come a millisecond late.
    pub(super) fn save_if_due(&mut self) {
        if self.last.due().is_none_or(|at| at > tokio::time::Instant::now()) {
            return;
        }
        let (saved, to_loop) = (self.begin_to_save(), self.done.clone());
        tokio::task::spawn_local(async move {
            drop(saved.await);
            to_loop.send(Done::Saved).await;
        });
    }

    /// Begins to write the present state to `last.json`.
    pub(crate) fn begin_to_save(&mut self) -> oneshot::Receiver<()> {
        let seq = self.core.seq();
        self.last.begin(seq, self.core.roster().changes);
        let snapshot = Snapshot {
            workers: self.core.views(),
            told: self.core.to_remember(),
            seq,
            instance: self.boot.server.instance.clone(),
            time: self.now.wall,
            ended: self.exit.is_some(),
        };
        snapshot.begin(&self.disks, &self.boot.paths.state_dir)
    }

    /// Begins to remove the supervisor's own records, after all earlier writes. The journal stays where a process of a worker
    /// does: it tells the next supervisor whose that is.
    pub(crate) fn begin_to_remove(&self, nothing_left: bool) -> oneshot::Receiver<()> {
        let (logs, dir) = (self.boot.log_dir(), self.boot.paths.state_dir.clone());
        let own = [Some(LAST), nothing_left.then_some(JOURNAL)].into_iter().flatten();
        let mut own: Vec<PathBuf> = own.map(|name| Path::new(&dir).join(name)).collect();
        let (done, is_done) = oneshot::channel();
        let keeps_queue = self.keeps_queue;
        self.disks.begin(LAST, vec![dir.clone()], move |_| {
            if !keeps_queue {
                own.extend(files::of_history(Path::new(&dir)));
            }
            files::remove_own(&logs, &own);
            // The receiver may have gone.
            done.send(()).unwrap_or_default();
        });
        is_done
    }

    /// Marks in the runtime directory that locks may be held, up to this token; the core receives whether that is written.
    pub(super) fn mark_locks(&self, up_to: u64) {
        let (runtime, mark) = (Arc::clone(&self.boot.runtime), Arc::clone(&self.boot.lock_mark));
        let (to_loop, place) = (self.done.clone(), self.boot.paths.runtime_dir.clone());
        // From here on it is made again where it is lost, with this number: the store has reserved it.
        mark.set(LocksMark::UpTo(up_to));
        let noted = self.disks.hand_in(LANE, move || mark.keep(&runtime));
        tokio::task::spawn_local(async move {
            let noted = match tokio::time::timeout(PATIENCE, noted).await {
                Ok(Ok(noted)) => noted.map(drop).map_err(|error| format!("{place}: {error}")),
                Ok(Err(_)) | Err(_) => Err(format!("{place} does not answer")),
            };
            to_loop.send(Done::Input(Box::new(Input::LocksMarked(noted)))).await;
        });
    }

    /// Marks in the runtime directory that jobs may have numbers up to this one. No answer waits for it.
    pub(super) fn mark_jobs(&self, up_to: u64) {
        let (runtime, mark) = (Arc::clone(&self.boot.runtime), Arc::clone(&self.boot.job_mark));
        mark.set(LocksMark::UpTo(up_to));
        drop(self.disks.hand_in(LANE, move || {
            if let Err(error) = mark.keep(&runtime) {
                tracing::warn!(%error, "cannot mark the numbers of jobs");
            }
        }));
    }

    /// Deletes all logs of a worker that was removed, or of a job that left the queue.
    pub(super) fn forget_logs(&mut self, name: Name) {
        self.taps.forget(&name);
        self.output.forget(name);
    }

    /// Deletes the logs of runs that went from the history by its bounds.
    pub(super) fn forget_runs(&self, runs: Vec<(Name, u64)>) {
        let logs = self.boot.log_dir();
        let place = logs.to_string_lossy().into_owned();
        self.disks.begin("logs of old runs", vec![place], move |at| {
            for (name, run) in runs {
                let dir = logs.join(name.on_disk());
                at.go("delete old logs in", &dir.to_string_lossy());
                files::remove_run(&dir, run);
            }
        });
    }

    /// Notes whether there are changes for `last.json`.
    pub(crate) fn note_changes(&mut self) {
        let Roster { changes, workers } = self.core.roster();
        self.last.changed(self.core.seq(), changes, workers);
        self.save_if_due();
    }
}
