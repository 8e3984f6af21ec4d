//! One examination: finds the holder of a graph, by the lock file or, where there is none, by the arguments
//! of processes.

use super::lockfile::{self, LockFile};
use super::{Sighting, arguments, endpoint};
use crate::clock::millis;
use crate::disks::{Disks, PROCESSES, Silent};
use crate::program;
use crate::sys::kernel::Kernel;
use crate::sys::linux::Linux;
use crate::sys::process::Liveness;
use crate::sys::tag::Life;
use gob_config::foreign::{Lock, read_lock};
use gob_core::{ExaminePlan, Examined, Holder, Orphan, Reread, Unclear, reread};
use gob_protocol::ProcessId;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Examines off the loop's thread.
#[derive(Debug, Clone)]
pub(super) struct Looker {
    life: Life,
    disks: Disks,
}

/// The result of one pass.
enum Seen<H> {
    /// A living process holds the lock.
    Live { lock: Lock, start_time: u64, handle: Option<H> },
    /// The lock file is malformed, for this reason.
    Mute(LockFile, String),
    /// The lock was a dead process's, and is gone or replaced by now.
    Changed,
    /// No lock file exists. These workers live all the same.
    Unlocked(Vec<Orphan>),
    /// The holder can't be told.
    Unclear(Unclear),
}

impl Looker {
    pub(super) const fn new(life: Life, disks: Disks) -> Self {
        Self { life, disks }
    }

    pub(super) const fn life(&self) -> Life {
        self.life
    }

    /// Does work at a place off the loop's thread, for this graph or process.
    ///
    /// # Errors
    /// When it does not answer.
    pub(super) async fn look<T: Send + 'static>(
        &self,
        whom: &str,
        place: &str,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Silent> {
        let (lane, there) = (format!("look at {place} for {whom}"), place.to_owned());
        let looked = self.disks.ask(&lane, vec![place.to_owned()], move |at| {
            at.go("look at", &there);
            look()
        });
        looked.await
    }

    /// Examines until the holder is known, or known to be unknowable.
    pub(super) async fn examine(&self, plan: &ExaminePlan) -> Sighting {
        let begun = Instant::now();
        let mut mute: Option<(LockFile, Instant)> = None;
        loop {
            let (of, life) = (plan.clone(), self.life);
            let path = plan.lock_file.as_deref().unwrap_or_default();
            let place = plan.lock_file.as_deref().unwrap_or(PROCESSES);
            let seen = match self.look(&plan.graph, place, move || look(&Linux::new(), &of, life)).await {
                Ok(seen) => seen,
                Err(silent) => return Examined::Unclear(Unclear::Silent(silent)).into(),
            };
            let (unchanged, flaw) = match seen {
                Seen::Live { lock, start_time, handle } => {
                    return self.held(plan, path, lock, start_time, handle).await;
                }
                Seen::Unlocked(orphans) if orphans.is_empty() => return Examined::Nobody.into(),
                Seen::Unlocked(orphans) => return Examined::Orphans(orphans).into(),
                Seen::Unclear(why) => return Examined::Unclear(why).into(),
                Seen::Changed => {
                    mute = None;
                    (None, String::new())
                }
                Seen::Mute(file, flaw) => {
                    let since = match &mute {
                        Some((before, since)) if *before == file => *since,
                        _ => Instant::now(),
                    };
                    mute = Some((file, since));
                    (Some(millis(since.elapsed())), flaw)
                }
            };
            let unclear = match reread(unchanged, millis(begun.elapsed())) {
                Reread::After(ms) => {
                    sleep(Duration::from_millis(ms)).await;
                    continue;
                }
                Reread::SaysNothing => Unclear::SaysNothing { path: path.to_owned(), flaw },
                Reread::Changes => Unclear::Changes { path: path.to_owned() },
            };
            return Examined::Unclear(unclear).into();
        }
    }

    async fn held(
        &self,
        plan: &ExaminePlan,
        path: &str,
        lock: Lock,
        start_time: u64,
        handle: Option<OwnedFd>,
    ) -> Sighting {
        let id = ProcessId { pid: lock.pid, start_time };
        let endpoint = match &plan.health {
            Some(health) => endpoint::of(self, id, &plan.graph, health).await,
            None => None,
        };
        let (pid, owner) = (lock.pid, lock.owner);
        let holder = Holder { pid, start_time, owner, path: path.to_owned(), endpoint };
        Sighting { found: Examined::Held(holder), handle }
    }
}

fn look<K: Kernel>(kernel: &K, plan: &ExaminePlan, life: Life) -> Seen<K::Handle> {
    let Some(path) = &plan.lock_file else { return unlocked(kernel, plan, life) };
    let at = Path::new(path);
    let file = match lockfile::read(at) {
        Ok(Some(file)) => file,
        Ok(None) => return unlocked(kernel, plan, life),
        Err(flaw) => return Seen::Unclear(Unclear::Unreadable { path: path.clone(), flaw }),
    };
    let lock = match read_lock(&file.bytes) {
        Ok(lock) => lock,
        Err(flaw) => return Seen::Mute(file, flaw),
    };
    // The handle comes first: a process that is found alive after it is the one that it means.
    let handle = kernel.open(lock.pid).ok();
    match kernel.liveness(lock.pid) {
        Liveness::Alive { start_time } => Seen::Live { lock, start_time, handle },
        Liveness::Dead => match lockfile::remove_stale(at, &file) {
            Ok(removed) => {
                if removed {
                    tracing::info!(path, pid = lock.pid, "took away the lock file of a dead process");
                }
                Seen::Changed
            }
            Err(flaw) => Seen::Unclear(Unclear::Stays { path: path.clone(), flaw }),
        },
    }
}

fn unlocked<K: Kernel>(kernel: &K, plan: &ExaminePlan, life: Life) -> Seen<K::Handle> {
    match arguments::orphans(kernel, plan, life) {
        Ok(orphans) => Seen::Unlocked(orphans),
        Err(e) => Seen::Unclear(Unclear::NoProcesses(program::errno(&e))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_lock_is_unclear_only_after_it_has_settled() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let path = std::env::temp_dir().join(format!("gob-examine-{}", std::process::id()));
        std::fs::write(&path, "{\"pid\":").unwrap();
        let plan = ExaminePlan {
            lock_file: path.to_str().map(str::to_owned),
            command: vec!["x".to_owned()],
            graph: "g".to_owned(),
            root_dir: "/r".to_owned(),
            health: None,
        };
        let begun = Instant::now();
        let sighting = runtime.block_on(Looker::new(Life::none(), Disks::new()).examine(&plan));
        assert!(
            matches!(sighting.found, Examined::Unclear(Unclear::SaysNothing { .. })),
            "{:?}",
            sighting.found
        );
        let waits = Duration::from_secs(1)..Duration::from_secs(5);
        assert!(waits.contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"pid\":", "it is not touched");
        std::fs::remove_file(&path).unwrap();
    }
}
