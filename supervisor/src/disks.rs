//! Work on disks, which may hang: done beside the loop by a few threads that are kept.
//!
//! One thread does the ordinary work. When it is stuck, another one takes over the queue, so that a disk that
//! hangs delays only its own work. Work of one lane is done piece after piece, in the order of its arrival.
//! Threads that hang are bounded, per mount and in all, by the core's rule (`room`). Work for a mount that has not answered for
//! long, or beside threads that all hang, is refused with an error. Owns no result: a caller that waits for one has a channel for it, and a time limit.

mod at;
mod links;
mod mounts;

use crate::clock::millis;
use crate::sys::spawn::block_signals;
pub(crate) use at::At;
pub(crate) use gob_core::Silent;
use gob_core::{DISK_PATIENCE_MS, DISK_THREADS, MOUNT_THREADS, Room, may_enter, room, wait_left_ms};
pub(crate) use mounts::mounted_below;

use mounts::Mounts;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// Time limit of a caller's wait; longer work counts as failed, because the disk hangs.
pub(crate) const PATIENCE: Duration = Duration::from_millis(DISK_PATIENCE_MS);
/// Time after which begun work may hang; no other work waits for it then.
const STALL: Duration = Duration::from_millis(5);
/// Limit of the queue for callers that wait. Work begun without an answer is bounded by the number of
/// workers: one piece for a run that begins, one for a run that ends, and one for each file of gob's own.
const WAITING: usize = 32_768;
/// The place of work that reads arguments, descriptors and sockets of processes.
pub(crate) const PROCESSES: &str = "/proc";
/// Parsing nests deepest in these threads.
const STACK_BYTES: usize = 1 << 20;

/// A handle on the threads. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Disks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Rung when there is work.
    bell: Condvar,
    /// Reads the mount points.
    mounts: fn() -> Mounts,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Work>,
    running: Vec<Running>,
    threads: usize,
    /// The number of those that have not asked for work yet.
    starting: usize,
    /// No thread waits for work.
    rests: bool,
    idle: usize,
    /// The number of the next piece of work.
    next_number: u64,
}

/// A piece of work, and the places that it touches.
struct Work {
    /// Pieces are numbered in the order of their arrival.
    number: u64,
    lane: String,
    places: Vec<String>,
    at: At,
    work: Box<dyn FnOnce(&At) + Send>,
}

#[derive(Debug)]
struct Running {
    number: u64,
    lane: String,
    at: At,
}

/// A piece of work that was handed in, for its caller.
#[derive(Debug)]
pub(crate) struct Ticket {
    at: At,
    lane: String,
    places: Vec<String>,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("lane", &self.lane).field("at", &self.at).finish_non_exhaustive()
    }
}

impl Disks {
    /// Creates a handle without threads; they come with the first work.
    pub(crate) fn new() -> Self {
        Self::over(Mounts::read)
    }

    fn over(mounts: fn() -> Mounts) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), bell: Condvar::new(), mounts }))
    }

    /// Hands in work for a lane. `places` are the paths that it touches, the first one first.
    pub(crate) fn begin(
        &self,
        lane: &str,
        places: Vec<String>,
        work: impl FnOnce(&At) + Send + 'static,
    ) -> Ticket {
        let at = At::default();
        at.go("wait for", places.first().map_or(lane, String::as_str));
        let ticket = Ticket { at: at.clone(), lane: lane.to_owned(), places: places.clone() };
        let mut state = self.0.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.waiting.push_back(Work { number, lane: lane.to_owned(), places, at, work: Box::new(work) });
        if state.idle > 0 {
            self.0.bell.notify_one();
        } else if state.is_stuck() {
            self.add_thread(state);
        }
        ticket
    }

    /// Hands in work for a lane, whatever it touches; its result comes through the receiver, unless it
    /// panics.
    pub(crate) fn hand_in<T: Send + 'static>(
        &self,
        lane: &str,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> oneshot::Receiver<T> {
        let (done, result) = oneshot::channel();
        // The receiver may be gone.
        self.begin(lane, Vec::new(), move |_| drop(done.send(work())));
        result
    }

    /// Does work for a caller that waits: returns its result, or that there was no answer in time.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        lane: &str,
        places: Vec<String>,
        work: impl FnOnce(&At) -> T + Send + 'static,
    ) -> Result<T, Silent> {
        self.refusal(lane, &places).map_or(Ok(()), Err)?;
        let (done, result) = oneshot::channel();
        let ticket = self.begin(lane, places, move |at| {
            // The caller may no longer wait.
            if !done.is_closed() {
                drop(done.send(work(at)));
            }
        });
        self.wait(&ticket, result).await
    }

    /// Waits for the result of work that was handed in, for [`PATIENCE`] from its begin.
    pub(crate) async fn wait<T>(
        &self,
        Ticket { at, lane, places }: &Ticket,
        mut result: oneshot::Receiver<T>,
    ) -> Result<T, Silent> {
        let (asked, mut pause) = (Instant::now(), STALL);
        loop {
            match timeout(pause, &mut result).await {
                Ok(Ok(result)) => return Ok(result),
                // The work panicked, and the panic is in the log.
                Ok(Err(_)) => return Err(at.silent()),
                Err(_) => {}
            }
            self.get_on();
            let age = at.age();
            if age.is_none() {
                // Work behind other work that hangs may never begin.
                self.refusal(lane, places).map_or(Ok(()), Err)?;
            }
            let Some(left) = wait_left_ms(age.map(millis), millis(asked.elapsed())) else {
                return Err(at.silent());
            };
            pause = (pause * 2).min(Duration::from_millis(left));
        }
    }

    /// Returns the operation that has not answered for so long that no more is begun there.
    pub(crate) fn refusal(&self, lane: &str, places: &[String]) -> Option<Silent> {
        let state = self.0.lock();
        if state.waiting.len() >= WAITING {
            return state.waiting.front().map(|first| first.at.silent());
        }
        let dead: Vec<&Running> = state.older_than(PATIENCE);
        let in_lane = dead.iter().find(|running| running.lane == lane);
        if in_lane.is_some() || dead.len() < MOUNT_THREADS {
            return in_lane.map(|running| running.at.silent());
        }
        let mounts = (self.0.mounts)();
        places.iter().find_map(|place| {
            let mount = mounts.of(place);
            let there: Vec<_> = dead.iter().filter(|running| running.at.mount(&mounts) == mount).collect();
            match room(there.len(), dead.len()) {
                Room::Free => None,
                Room::MountHangs => there.first().map(|running| running.at.silent()),
                Room::AllHang => Some(Silent {
                    operation: "wait for",
                    place: place.clone(),
                    seconds: 0,
                    elsewhere: dead.len(),
                }),
            }
        })
    }

    /// Has no thread wait for work, so that all end once there is none, or has one wait again.
    pub(crate) fn rest(&self, rests: bool) {
        self.0.lock().rests = rests;
        self.0.bell.notify_all();
    }

    /// Returns the number of the next piece of work, for [`Disks::has_done`].
    pub(crate) fn next_number(&self) -> u64 {
        self.0.lock().next_number
    }

    /// Returns whether all work before the one of this number is done, and none of the later work is stuck. More of it may come without
    /// an end: there need not be a moment without any.
    pub(crate) fn has_done(&self, number: u64) -> bool {
        self.get_on();
        let state = self.0.lock();
        let mut left = state.waiting.iter().map(|work| work.number);
        let mut running = state.running.iter();
        left.all(|left| left >= number)
            && running.all(|running| running.number >= number && !running.at.is_older_than(STALL))
    }

    /// Returns whether nothing is done or waits to be done, and no thread waits for work.
    pub(crate) fn rests(&self) -> bool {
        self.get_on();
        let state = self.0.lock();
        state.threads == 0 && state.waiting.is_empty()
    }

    /// Returns the operation that has taken longest so far.
    pub(crate) fn longest(&self) -> Option<Silent> {
        let state = self.0.lock();
        let running = state.running.iter().map(|running| running.at.silent());
        let waiting = state.waiting.front().map(|work| work.at.silent());
        running.chain(waiting).next()
    }

    /// Adds a thread where the present ones are stuck.
    fn get_on(&self) {
        let state = self.0.lock();
        if state.is_stuck() && state.next(self.0.mounts).is_some() {
            self.add_thread(state);
        }
    }

    fn add_thread(&self, mut state: MutexGuard<'_, State>) {
        let shared = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("disks".to_owned()).stack_size(STACK_BYTES);
        let serve = move || {
            block_signals();
            shared.serve();
        };
        match thread.spawn(serve) {
            Ok(_) => {
                state.threads += 1;
                state.starting += 1;
            }
            Err(error) if state.threads == 0 => {
                drop(state);
                // A supervisor that pauses for a moment is better than none.
                tracing::warn!(%error, "no thread to be had; a disk is waited for where everything waits");
                self.0.work();
            }
            Err(error) => tracing::warn!(%error, "no thread to be had; what waits for a disk waits longer"),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a thread: one stays, the others end when they have no more work.
    fn serve(self: &Arc<Self>) {
        self.lock().starting -= 1;
        loop {
            self.work();
            let mut state = self.lock();
            let has_more = state.next(self.mounts).is_some();
            if state.idle > 0 || (state.rests && !has_more) {
                state.threads -= 1;
                return;
            }
            if !has_more {
                state.idle += 1;
                let mut state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    /// Does the waiting work.
    fn work(self: &Arc<Self>) {
        loop {
            let mut state = self.lock();
            let Some(place) = state.next(self.mounts) else { return };
            let Some(Work { number, lane, at, work, .. }) = state.waiting.remove(place) else { return };
            at.begin(Arc::clone(self));
            state.running.push(Running { number, lane, at: at.clone() });
            drop(state);
            // The panic hook logs a panic; the caller sees that there is no result.
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| work(&at))));
            at.point().among = None;
            self.lock().running.retain(|running| running.number != number);
        }
    }
}

impl State {
    /// Returns whether the queue needs another thread. Threads are added one at a time: many would all begin
    /// before any of them is seen to hang.
    fn is_stuck(&self) -> bool {
        self.idle == 0
            && self.starting == 0
            && self.threads < DISK_THREADS
            && self.running.iter().all(|running| running.at.is_older_than(STALL))
    }

    /// Returns the first work that may begin: neither beside other work of its lane, nor on a crowded mount.
    fn next(&self, mounts: fn() -> Mounts) -> Option<usize> {
        if self.waiting.is_empty() {
            return None;
        }
        let crowd = self.crowd(mounts);
        self.waiting.iter().position(|work| {
            !self.running.iter().any(|running| running.lane == work.lane)
                && !crowd.as_ref().is_some_and(|crowd| crowd.is_met_by(&work.places))
        })
    }

    fn older_than(&self, limit: Duration) -> Vec<&Running> {
        self.running.iter().filter(|running| running.at.is_older_than(limit)).collect()
    }

    /// Returns an operation that hangs on a mount, where another piece of work is not to go on there.
    fn hang_at(&self, mounts: &Mounts, mount: usize, but: &At) -> Option<Silent> {
        let on_it = |running: &&&Running| running.at.mount(mounts) == mount;
        let older = |limit| {
            let mut older = self.older_than(limit);
            older.retain(|running| !running.at.is(but));
            (older.iter().filter(on_it).count(), older.len())
        };
        if may_enter(older(STALL), older(PATIENCE)) {
            return None;
        }
        let first = self.running.iter().filter(|running| !running.at.is(but)).find(|running| on_it(&running));
        first.map(|running| running.at.silent())
    }

    /// Returns the mounts on which work is stuck, where that may be too much for one of them.
    fn crowd(&self, mounts: fn() -> Mounts) -> Option<Crowd> {
        let slow = self.older_than(STALL);
        if slow.len() < MOUNT_THREADS {
            return None;
        }
        let mounts = mounts();
        let stuck = slow.iter().map(|slow| slow.at.mount(&mounts)).collect();
        Some(Crowd { stuck, mounts })
    }
}

/// The mount of each piece of work that is stuck.
struct Crowd {
    mounts: Mounts,
    stuck: Vec<usize>,
}

impl Crowd {
    fn is_met_by(&self, places: &[String]) -> bool {
        places.iter().map(|place| self.mounts.of(place)).any(|mount| {
            let there = self.stuck.iter().filter(|stuck| **stuck == mount).count();
            room(there, self.stuck.len()) == Room::MountHangs
        })
    }
}

#[cfg(test)]
mod tests;
