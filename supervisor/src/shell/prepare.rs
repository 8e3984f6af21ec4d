//! The disk work of a run before it gets a process: directories, the lock of its graph, its program, its directory.
//!
//! Any of these may be on a disk that hangs, so none is touched on the loop's thread. Owns the preparations in
//! progress. A preparation that was called off releases its resources on either side: the thread that
//! prepares and the loop meet in the [`Slot`] that they share.

use super::{Done, Shell};
use crate::claims::Claims;
use crate::disks::{At, Disks, Silent};
use crate::files;
use crate::graph_lock::{HeldLock, NoLock};
use crate::program;
use crate::programs::Program;
use crate::readiness::{NoPort, with_port};
use crate::runs::Place;
use gob_core::{Input, New, RunKey, SpawnPlan, SpawnStep};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// A run that must get a process.
pub(super) struct Preparing {
    pub(super) plan: Arc<SpawnPlan>,
    pub(super) port: Option<u16>,
    slot: Arc<Slot>,
}

/// The meeting point of the two sides.
#[derive(Default)]
pub(crate) struct Slot(Mutex<Met>);

#[derive(Default)]
enum Met {
    #[default]
    Wanted,
    Prepared(Result<Place, NoLock>),
    /// It is not wanted any more, or was taken.
    Over,
}

impl Slot {
    fn swap(&self, met: Met) -> Met {
        std::mem::replace(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), met)
    }

    fn is_wanted(&self) -> bool {
        matches!(*self.0.lock().unwrap_or_else(PoisonError::into_inner), Met::Wanted)
    }

    /// Takes the prepared place, if it is there; one that comes later is not wanted.
    fn close(&self) -> Option<Result<Place, NoLock>> {
        match self.swap(Met::Over) {
            Met::Prepared(place) => Some(place),
            Met::Wanted | Met::Over => None,
        }
    }

    /// Hands over the prepared resources.
    fn fill(&self, place: Result<Place, NoLock>) {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*met, Met::Wanted) {
            *met = Met::Prepared(place);
        }
    }
}

impl Shell {
    /// Begins to prepare a run; the core hears when it has a process, or why it has none.
    pub(super) fn prepare(&mut self, plan: Box<SpawnPlan>) -> Option<Input> {
        let key = plan.key.clone();
        let (lane, places) = (lane(&plan), places(&plan));
        if let Some(silent) = self.disks.refusal(&lane, &places) {
            return Some(refused(key, silent.into()));
        }
        let port = match plan.port.map(|wish| self.ports.give(wish)).transpose() {
            Ok(port) => port,
            Err(NoPort { only, source }) => {
                return Some(refused(key, program::failure(SpawnStep::Port(only), &source).into()));
            }
        };
        let plan = Arc::new(port.map_or_else(|| *plan.clone(), |port| with_port(&plan, port)));
        let slot = Arc::new(Slot::default());
        let (done, is_done) = oneshot::channel();
        let (theirs, their_plan) = (Arc::clone(&slot), Arc::clone(&plan));
        let (disks, to_loop, shared) = (self.disks.clone(), self.done.clone(), Arc::clone(&slot));
        let claims = self.claims.clone();
        let begin = move |disks: &Disks| {
            disks.begin(&lane, places, move |at| {
                if theirs.is_wanted() {
                    theirs.fill(prepare(&their_plan, &claims, at));
                }
                // Without a loop the result is dropped.
                done.send(()).unwrap_or_default();
            })
        };
        // A start without a delay begins now, in the order of the decisions.
        let ticket = if plan.after_ms == 0 { Ok(begin(&disks)) } else { Err((begin, plan.after_ms)) };
        self.preparing.insert(key.clone(), Preparing { plan, port, slot });
        tokio::task::spawn_local(async move {
            let ticket = match ticket {
                Ok(ticket) => ticket,
                Err((begin, after_ms)) => {
                    tokio::time::sleep(Duration::from_millis(after_ms)).await;
                    begin(&disks)
                }
            };
            let silent = disks.wait(&ticket, is_done).await.err();
            to_loop.send(Done::Prepared { key, slot: shared, silent }).await;
        });
        None
    }

    /// Handles a prepared run, or a disk that has been silent for too long.
    pub(super) fn prepared(&mut self, key: RunKey, slot: &Arc<Slot>, silent: Option<Silent>) {
        // A start that was called off has been answered.
        let Some(preparing) = self.preparing.remove(&key) else { return };
        if !Arc::ptr_eq(&preparing.slot, slot) {
            self.preparing.insert(key, preparing);
            return;
        }
        let input = match slot.close().ok_or(silent) {
            Ok(Ok(place)) => self.spawn(&preparing, place),
            Ok(Err(no_lock)) => refused(key, no_lock),
            Err(silent) => refused(key, silent.map_or_else(lost, NoLock::from)),
        };
        self.input(input);
    }

    /// Cancels a spawn; `None` if it has already succeeded or failed.
    pub(super) fn call_off(&mut self, key: RunKey) -> Option<Input> {
        let preparing = self.preparing.remove(&key)?;
        if let Some(Ok(place)) = preparing.slot.close() {
            self.let_go(place.lock);
        }
        Some(Input::CalledOff { key })
    }

    /// Releases a lock, off this thread: closing a file may wait for its disk too. In the lane of its graph,
    /// so that the next taker finds it free.
    pub(super) fn let_go(&self, lock: Option<Arc<HeldLock>>) {
        if let Some(lock) = lock {
            let path = lock.path().to_owned();
            self.disks.begin(&path.clone(), vec![path], move |_| drop(lock));
        }
    }
}

/// Tells the core of a run that gets no process.
pub(super) fn refused(key: RunKey, why: NoLock) -> Input {
    match why {
        NoLock::Held(holder) => {
            tracing::warn!(worker = %key.name, run = key.run, pid = holder.pid, path = %holder.path, "held");
            Input::Held { key, holder }
        }
        NoLock::Unfit(why) => {
            tracing::warn!(worker = %key.name, run = key.run, ?why, "does not fit what is known of its graph");
            Input::Unfit { key, why }
        }
        NoLock::Failed(why) => {
            tracing::warn!(worker = %key.name, run = key.run, %why, "cannot start");
            Input::SpawnFailed { key, why }
        }
    }
}

impl From<Silent> for NoLock {
    fn from(silent: Silent) -> Self {
        Self::Failed(program::because(SpawnStep::Disk(silent), Errno::ETIMEDOUT))
    }
}

/// Its preparation panicked.
fn lost() -> NoLock {
    program::because(SpawnStep::Prepare, Errno::EIO).into()
}

/// Work for one graph is done in order.
fn lane(plan: &SpawnPlan) -> String {
    plan.lock.as_ref().map_or_else(|| plan.cwd.clone(), |lock| lock.path.clone())
}

/// Returns the places that the preparation touches, as far as the plan names them.
fn places(plan: &SpawnPlan) -> Vec<String> {
    let program = plan.command.first().filter(|name| name.starts_with('/'));
    let lock = plan.lock.iter().flat_map(|lock| [lock.path.as_str(), lock.keep.record.data.path()]);
    let lock = lock.map(str::to_owned);
    lock.chain(plan.make_dirs.iter().chain([&plan.cwd]).chain(program).cloned()).collect()
}

/// Prepares a run, off the loop's thread.
fn prepare(plan: &SpawnPlan, claims: &Claims, at: &At) -> Result<Place, NoLock> {
    // First of all: without the lock, the files there belong to another process.
    let (lock, new) = match &plan.lock {
        Some(lock) => {
            at.enter("find", lock.keep.record.data.dir())?;
            at.go("take the graph's lock", &lock.path);
            let held = HeldLock::take_for(&plan.key.name, lock, claims)?;
            at.go("look for the graph", lock.keep.record.data.path());
            let new = held.judge()?;
            (Some(Arc::new(held)), new)
        }
        None => (None, New::default()),
    };
    // A directory that is made here must not be taken for one that was there.
    for dir in &plan.make_dirs {
        at.enter("make directory", dir)?;
        files::make_private_dirs(dir.as_ref())
            .map_err(|e| program::failure(SpawnStep::MakeDir { path: dir.clone() }, &e))?;
    }
    if let Some(socket) = &plan.stale_socket {
        at.go("look at the socket", socket);
        files::remove_stale_socket(socket.as_ref());
    }
    at.enter("look for program", plan.command.first().map_or("", String::as_str))?;
    let program = program::find(plan)?;
    let form = Program::at(&Path::new(&plan.cwd).join(OsStr::from_bytes(program.as_bytes())));
    at.enter("chdir", &plan.cwd)?;
    let cwd = open(plan.cwd.as_str(), OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty());
    let cwd = cwd.map_err(|e| program::because(SpawnStep::Chdir { path: plan.cwd.clone() }, e))?;
    Ok(Place { lock, new, program, form, cwd })
}
