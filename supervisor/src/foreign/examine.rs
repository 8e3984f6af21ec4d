//! One examination: who holds a graph, by the lock file or, where there is none, by the arguments of processes.

use super::lockfile::{self, LockFile};
use super::{Sighting, arguments, endpoint};
use crate::off_thread;
use crate::sys::process::{self, Liveness};
use crate::sys::tag::Life;
use gob_core::{ExaminePlan, Examined, Holder, Orphan};
use gob_protocol::ProcessId;
use gob_protocol::foreign::{Lock, read_lock};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout};

/// A look that takes longer has failed: the disk hangs.
const LOOK: Duration = Duration::from_secs(3);
/// A lock file that can't be understood is being written, until it has not changed for so long (FAULTS).
const SETTLED: Duration = Duration::from_secs(1);
/// Time between looks at one that is being written.
const BETWEEN: Duration = Duration::from_millis(50);
/// Longest that a lock file may go on changing.
const LIMIT: Duration = Duration::from_secs(5);
/// So many looks may hang before new ones wait for them.
const AT_ONCE: usize = 16;

/// Looks, off the main thread.
#[derive(Debug, Clone)]
pub(super) struct Looker {
    life: Life,
    room: Arc<Semaphore>,
}

/// What one look has shown.
enum Seen {
    /// A living process holds the lock.
    Live { lock: Lock, start_time: u64, handle: Option<OwnedFd> },
    /// There is a lock file that says nothing, and why.
    Mute(LockFile, String),
    /// The lock was a dead process's, and is gone or another one by now.
    Changed,
    /// There is no lock file. Workers that are alive all the same.
    Unlocked(Vec<Orphan>),
    /// It can't be told.
    Unclear(String),
}

impl Looker {
    pub(super) fn new(life: Life) -> Self {
        Self { life, room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    pub(super) const fn life(&self) -> Life {
        self.life
    }

    /// Does what may hang on a thread of its own; `None` when it takes too long.
    pub(super) async fn off_thread<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let room = self.room.clone();
        let looked = timeout(LOOK, async move {
            let permit = room.acquire_owned().await.ok()?;
            let looked = off_thread::begin(move || {
                let looked = look();
                drop(permit);
                looked
            });
            looked.await.ok()
        });
        looked.await.ok().flatten()
    }

    /// Looks until it is clear who holds the graph, or that this can't be told.
    pub(super) async fn examine(&self, plan: &ExaminePlan) -> Sighting {
        let deadline = Instant::now() + LIMIT;
        let mut mute: Option<(LockFile, Instant)> = None;
        loop {
            let (of, life) = (plan.clone(), self.life);
            let Some(seen) = self.off_thread(move || look(&of, life)).await else {
                let what = plan.lock_file.as_deref().unwrap_or("processes");
                let why = format!("looking at {what} takes longer than {} s", LOOK.as_secs());
                return Examined::Unclear(why).into();
            };
            let path = plan.lock_file.as_deref().unwrap_or_default();
            match seen {
                Seen::Live { lock, start_time, handle } => {
                    return self.held(plan, path, lock, start_time, handle).await;
                }
                Seen::Unlocked(orphans) if orphans.is_empty() => return Examined::Nobody.into(),
                Seen::Unlocked(orphans) => return Examined::Orphans(orphans).into(),
                Seen::Unclear(why) => return Examined::Unclear(why).into(),
                Seen::Changed => mute = None,
                Seen::Mute(file, why) => {
                    let since = match &mute {
                        Some((before, since)) if *before == file => *since,
                        _ => Instant::now(),
                    };
                    if since.elapsed() >= SETTLED {
                        return Examined::Unclear(format!("the lock file {path} says nothing: {why}")).into();
                    }
                    mute = Some((file, since));
                }
            }
            if Instant::now() >= deadline {
                return Examined::Unclear(format!("the lock file {path} goes on changing")).into();
            }
            sleep(BETWEEN).await;
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

fn look(plan: &ExaminePlan, life: Life) -> Seen {
    let Some(path) = &plan.lock_file else { return unlocked(plan, life) };
    let at = Path::new(path);
    let file = match lockfile::read(at) {
        Ok(Some(file)) => file,
        Ok(None) => return unlocked(plan, life),
        Err(e) => return Seen::Unclear(format!("the lock file {path} can't be read: {e}")),
    };
    let lock = match read_lock(&file.bytes) {
        Ok(lock) => lock,
        Err(why) => return Seen::Mute(file, why),
    };
    // The handle first: whoever is found alive after it is the one that it means.
    let handle = process::pidfd_open(lock.pid).ok();
    match process::liveness(lock.pid) {
        Liveness::Alive { start_time } => Seen::Live { lock, start_time, handle },
        Liveness::Dead => match lockfile::remove_stale(at, &file) {
            Ok(removed) => {
                if removed {
                    tracing::info!(path, pid = lock.pid, "took away the lock file of a dead process");
                }
                Seen::Changed
            }
            Err(e) => Seen::Unclear(format!("the lock file {path} of a dead process stays: {e}")),
        },
    }
}

fn unlocked(plan: &ExaminePlan, life: Life) -> Seen {
    match arguments::orphans(plan, life) {
        Ok(orphans) => Seen::Unlocked(orphans),
        Err(e) => Seen::Unclear(format!("the processes can't be listed: {e}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn a_look_that_hangs_is_given_up_and_holds_up_no_other() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let looker = Looker::new(Life::none());
        let (release, hung) = mpsc::channel::<()>();
        runtime.block_on(async {
            let begun = Instant::now();
            let hang = looker.off_thread(move || hung.recv().is_err());
            let quick = async {
                let seen = looker.off_thread(|| 7).await;
                (seen, begun.elapsed())
            };
            let (hung, (seen, after)) = tokio::join!(hang, quick);
            assert_eq!((hung, seen), (None, Some(7)));
            assert!(after < LOOK && begun.elapsed() >= LOOK, "{after:?}");
        });
        assert_eq!(looker.room.available_permits(), AT_ONCE - 1, "its thread is still there");
        drop(release);
        let room = runtime.block_on(async { timeout(LOOK, looker.room.acquire_many(AT_ONCE as u32)).await });
        assert!(room.is_ok(), "it ends when the disk is there again");
    }

    #[test]
    fn what_says_nothing_is_unclear_only_after_it_has_settled() {
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
        let sighting = runtime.block_on(Looker::new(Life::none()).examine(&plan));
        assert!(matches!(sighting.found, Examined::Unclear(_)), "{:?}", sighting.found);
        assert!((SETTLED..LIMIT).contains(&begun.elapsed()), "{:?}", begun.elapsed());
        assert_eq!(std::fs::read(&path).unwrap(), b"{\"pid\":", "it is not touched");
        std::fs::remove_file(&path).unwrap();
    }
}
