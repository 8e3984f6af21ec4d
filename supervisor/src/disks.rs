//! Work that goes to disks, which may hang: done beside the main thread by a few threads that are kept.
//!
//! One thread does the ordinary work. When it does not get on, another one takes over what waits, so that a disk that
//! hangs costs only itself. Work of one lane is done piece after piece, in the order in which it was handed in. Threads
//! that hang are bounded: of one mount so many at once, and so many of all. What would go where nothing has answered for
//! long is refused, and says so. Owns no result: who waits for one has a channel for it, and a limit of time.

mod mounts;

pub(crate) use mounts::mounted_below;

use mounts::Mounts;
use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What takes longer has failed for whoever waits for it: the disk hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// Work that has begun and is not done after this long may hang, and nothing else waits for it.
const STALL: Duration = Duration::from_millis(5);
/// On a mount where so much work does not get on, no more is begun until some of it is done.
const CROWD: usize = 4;
/// Threads, whatever hangs.
const THREADS: usize = 64;
/// With so much waiting, no more is taken for whoever asks. What is begun without an answer is bounded by the number of
/// workers: one piece for a run that begins, one for a run that ends, and one for each file of gob's own.
const WAITING: usize = 32_768;
/// Where arguments, descriptors and sockets of processes are read.
pub(crate) const PROCESSES: &str = "/proc";
/// Parsing of what is read goes deepest.
const STACK_BYTES: usize = 1 << 20;

/// A handle on the threads. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Disks(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// Rung when there is something to do.
    bell: Condvar,
    /// Where file systems are mounted.
    mounts: fn() -> Mounts,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Work>,
    running: Vec<Running>,
    threads: usize,
    /// Of these, those that have not looked for work yet.
    starting: usize,
    idle: usize,
    number: u64,
}

/// A piece of work, and where it goes.
struct Work {
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

/// What was handed in, for whoever waits for it.
#[derive(Debug)]
pub(crate) struct Ticket {
    at: At,
    lane: String,
    places: Vec<String>,
}

/// Where a piece of work is just now.
#[derive(Debug, Clone, Default)]
pub(crate) struct At(Arc<Mutex<Point>>);

#[derive(Debug, Default, Clone)]
struct Point {
    begun: Option<Instant>,
    operation: &'static str,
    place: String,
}

/// What did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {place}: no answer for {seconds} s; its disk hangs, or what it is mounted from is gone")]
pub(crate) struct Silent {
    operation: &'static str,
    place: String,
    seconds: u64,
}

impl std::fmt::Debug for Work {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Work").field("lane", &self.lane).field("at", &self.at).finish_non_exhaustive()
    }
}

impl At {
    /// Says what is done next.
    pub(crate) fn go(&self, operation: &'static str, place: &str) {
        let mut point = self.point();
        point.operation = operation;
        point.place.clear();
        point.place.push_str(place);
    }

    /// Why whoever waits for it does not wait on.
    pub(crate) fn silent(&self) -> Silent {
        let Point { begun, operation, place } = self.point().clone();
        Silent { operation, place, seconds: begun.map_or(PATIENCE, |begun| begun.elapsed()).as_secs() }
    }

    /// How long it has been under way; nothing if it has not begun.
    fn age(&self) -> Option<Duration> {
        self.point().begun.map(|begun| begun.elapsed())
    }

    fn is_older_than(&self, limit: Duration) -> bool {
        self.age().is_some_and(|age| age >= limit)
    }

    fn point(&self) -> MutexGuard<'_, Point> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disks {
    /// No threads yet; they come with the first work.
    pub(crate) fn new() -> Self {
        Self::over(Mounts::read)
    }

    fn over(mounts: fn() -> Mounts) -> Self {
        Self(Arc::new(Shared { state: Mutex::default(), bell: Condvar::new(), mounts }))
    }

    /// Has this done in its lane. The places are where it goes, first of all `at`.
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
        state.waiting.push_back(Work { lane: lane.to_owned(), places, at, work: Box::new(work) });
        if state.idle > 0 {
            self.0.bell.notify_one();
        } else if state.is_stuck() {
            self.add_thread(state);
        }
        ticket
    }

    /// Has this done in its lane, wherever it goes; what it returns comes through the receiver, or nothing if it panicked.
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

    /// Has this done for whoever waits for it: what it returns, or that there was no answer in time.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        lane: &str,
        places: Vec<String>,
        work: impl FnOnce(&At) -> T + Send + 'static,
    ) -> Result<T, Silent> {
        self.refusal(lane, &places).map_or(Ok(()), Err)?;
        let (done, result) = oneshot::channel();
        let ticket = self.begin(lane, places, move |at| {
            // Nobody may be waiting any more.
            if !done.is_closed() {
                drop(done.send(work(at)));
            }
        });
        self.wait(&ticket, result).await
    }

    /// Waits for the result of work that was handed in, as long as patience lasts from its beginning.
    pub(crate) async fn wait<T>(
        &self,
        Ticket { at, lane, places }: &Ticket,
        mut result: oneshot::Receiver<T>,
    ) -> Result<T, Silent> {
        let (asked, mut pause) = (Instant::now(), STALL);
        loop {
            match timeout(pause, &mut result).await {
                Ok(Ok(result)) => return Ok(result),
                // It panicked, which the log tells.
                Ok(Err(_)) => return Err(at.silent()),
                Err(_) => {}
            }
            self.get_on();
            let left = match at.age() {
                Some(age) => PATIENCE.saturating_sub(age),
                // Behind others that hang it may never begin.
                None => self.refusal(lane, places).map_or(Ok(PATIENCE), Err)?,
            };
            if left.is_zero() || asked.elapsed() >= PATIENCE * 3 {
                return Err(at.silent());
            }
            pause = (pause * 2).min(left);
        }
    }

    /// What has not answered for so long that nothing more is to be begun there.
    pub(crate) fn refusal(&self, lane: &str, places: &[String]) -> Option<Silent> {
        let state = self.0.lock();
        if state.waiting.len() >= WAITING {
            return state.waiting.front().map(|first| first.at.silent());
        }
        let dead = |running: &&Running| running.at.is_older_than(PATIENCE);
        let in_lane = state.running.iter().find(|running| running.lane == lane && dead(running));
        if in_lane.is_some() || state.running.iter().filter(dead).count() < CROWD {
            return in_lane.map(|running| running.at.silent());
        }
        let mounts = (self.0.mounts)();
        places.iter().find_map(|place| {
            let mount = mounts.of(place);
            let of_it = |running: &&Running| mounts.of(&running.at.point().place) == mount;
            let mut there = state.running.iter().filter(dead).filter(of_it);
            there.nth(CROWD - 1).map(|running| running.at.silent())
        })
    }

    /// Adds a thread where those that there are don't get on.
    fn get_on(&self) {
        let state = self.0.lock();
        if state.is_stuck() && state.next(self.0.mounts).is_some() {
            self.add_thread(state);
        }
    }

    fn add_thread(&self, mut state: MutexGuard<'_, State>) {
        let shared = Arc::clone(&self.0);
        let thread = std::thread::Builder::new().name("disks".to_owned()).stack_size(STACK_BYTES);
        match thread.spawn(move || shared.serve()) {
            Ok(_) => {
                state.threads += 1;
                state.starting += 1;
            }
            Err(error) if state.threads == 0 => {
                drop(state);
                // A supervisor that stops for a moment is better than none.
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

    /// A thread's life: one stays, the others go when there is nothing more for them to do.
    fn serve(&self) {
        self.lock().starting -= 1;
        loop {
            self.work();
            let mut state = self.lock();
            if state.idle > 0 {
                state.threads -= 1;
                return;
            }
            if state.next(self.mounts).is_none() {
                state.idle += 1;
                let mut state = self.bell.wait(state).unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            }
        }
    }

    /// Does what there is to do.
    fn work(&self) {
        loop {
            let mut state = self.lock();
            let Some(place) = state.next(self.mounts) else { return };
            let Some(Work { lane, at, work, .. }) = state.waiting.remove(place) else { return };
            let number = state.number;
            state.number += 1;
            at.point().begun = Some(Instant::now());
            state.running.push(Running { number, lane, at: at.clone() });
            drop(state);
            // Its panic is told by the hook; whoever waits sees that there is no result.
            drop(std::panic::catch_unwind(AssertUnwindSafe(|| work(&at))));
            self.lock().running.retain(|running| running.number != number);
        }
    }
}

impl State {
    /// Whether another thread is needed for what waits. One at a time: many that come at once would all begin before any
    /// of them is seen to hang.
    fn is_stuck(&self) -> bool {
        self.idle == 0
            && self.starting == 0
            && self.threads < THREADS
            && self.running.iter().all(|running| running.at.is_older_than(STALL))
    }

    /// The place of the first work that may begin: not beside other work of its lane, nor on a mount with a crowd.
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

    /// The mounts on which much takes long.
    fn crowd(&self, mounts: fn() -> Mounts) -> Option<Crowd> {
        let slow: Vec<_> = self.running.iter().filter(|running| running.at.is_older_than(STALL)).collect();
        if slow.len() < CROWD {
            return None;
        }
        let mounts = mounts();
        let mut on: Vec<usize> = slow.iter().map(|slow| mounts.of(&slow.at.point().place)).collect();
        on.sort_unstable();
        let crowded =
            on.windows(CROWD).filter(|some| some.first() == some.last()).filter_map(|some| some.first());
        Some(Crowd { crowded: crowded.copied().collect(), mounts })
    }
}

/// Mounts that have enough to do.
struct Crowd {
    mounts: Mounts,
    crowded: Vec<usize>,
}

impl Crowd {
    fn is_met_by(&self, places: &[String]) -> bool {
        places.iter().any(|place| self.crowded.contains(&self.mounts.of(place)))
    }
}

#[cfg(test)]
mod tests;
