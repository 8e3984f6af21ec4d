//! The resources of a supervisor's whole life as data, between two programs of it.

use super::Boot;
use crate::mark::Mark;
use crate::sys::closing::Slow;
use crate::sys::fds;
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use gob_core::{Core, Surroundings};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;
use std::sync::Arc;

/// The held resources as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct BootState {
    lock: Fd,
    runtime: Fd,
    keeper_pid: i32,
    open_files: (u64, u64),
    lock_mark: u64,
    job_mark: u64,
    /// The socket is a service manager's.
    #[serde(default)]
    is_activated: bool,
}

impl Boot {
    /// Returns what another program needs to hold it.
    pub(crate) fn hand_over(&self, named: &mut Named) -> BootState {
        BootState {
            lock: named.name(&self.lock),
            runtime: named.name(&self.runtime),
            keeper_pid: self.keeper_pid,
            open_files: (self.open_files.rlim_cur, self.open_files.rlim_max),
            lock_mark: self.lock_mark.hand_over(),
            job_mark: self.job_mark.hand_over(),
            is_activated: self.is_activated,
        }
    }

    /// Holds what another program of this process held.
    pub(crate) fn resume(state: BootState, core: &Core, inherited: &mut Inherited) -> Result<Self, Unfit> {
        let BootState { lock, runtime, keeper_pid, open_files, lock_mark, job_mark, is_activated } = state;
        fds::bind_to_keeper(keeper_pid)?;
        let (lock, runtime) = (inherited.file(lock)?, inherited.file(runtime)?);
        let marks = [Mark::of_locks(&runtime), Mark::of_jobs(&runtime)].map(Arc::new);
        let [locks, jobs] = marks;
        locks.resume(lock_mark);
        jobs.resume(job_mark);
        let (rlim_cur, rlim_max) = open_files;
        let Surroundings { server, paths, .. } = core.surroundings();
        Ok(Self {
            _slow: Slow::of(lock.as_fd()),
            lock,
            runtime,
            keeper_pid,
            paths: paths.clone(),
            server: server.clone(),
            open_files: libc::rlimit { rlim_cur, rlim_max },
            lock_mark: locks,
            job_mark: jobs,
            is_activated,
            is_signalled: false,
            journal_failures: Arc::default(),
        })
    }
}
