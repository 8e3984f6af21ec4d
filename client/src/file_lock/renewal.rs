//! A lock file that is held: its time stamp is renewed beside the program until it is given back.

use super::place::{Own, Place, give_back, renew};
use super::record::Info;
use super::{FileLockError, now_ms};
use nix::sys::signal::{SigSet, SigmaskHow};
use std::fs::File;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Looks at a lock file that seems to be another one's: an exchange that is taken back looks so for a moment.
const LOOKS: u32 = 4;
const BETWEEN_LOOKS: Duration = Duration::from_millis(25);

/// A lock that is held.
#[derive(Debug)]
pub(super) struct Renewal {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    held: Mutex<Held>,
    ended: Condvar,
}

#[derive(Debug)]
struct Held {
    place: Place,
    file: File,
    info: Info,
    state: State,
    /// A look is wanted at once.
    is_urgent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Holds,
    Lost,
    Ended,
}

impl Renewal {
    /// Begins to renew a lock file that was just made.
    pub(super) fn begin(
        place: Place,
        file: File,
        info: Info,
        stale_after: Duration,
    ) -> Result<Self, FileLockError> {
        let path = place.path.clone();
        let held = Mutex::new(Held { place, file, info, state: State::Holds, is_urgent: false });
        let shared = Arc::new(Shared { held, ended: Condvar::new() });
        let renewal = Self { shared: Arc::clone(&shared) };
        let thread = std::thread::Builder::new().name("gob-file-lock".to_owned());
        // Signals of the program are for its own threads. A mask that can't be set is as it was.
        let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK).ok();
        let spawned = thread.spawn(move || shared.renew_all(stale_after));
        before.and_then(|before| before.thread_set_mask().ok());
        match spawned {
            Ok(_) => Ok(renewal),
            Err(source) => {
                renewal.end().ok();
                Err(FileLockError::Io { what: "renew", path, source })
            }
        }
    }

    /// The record in the file.
    pub(super) fn info(&self) -> Info {
        self.shared.lock().info.clone()
    }

    /// True if another program has taken the lock or may take it, as far as the last renewal saw.
    pub(super) fn is_lost(&self) -> bool {
        self.shared.lock().state == State::Lost
    }

    /// Renews the lock now, at the next chance of its thread.
    pub(super) fn hurry(&self) {
        self.shared.lock().is_urgent = true;
        self.shared.ended.notify_all();
    }

    /// Ends the renewal and removes the file; false if it is not this holder's any more.
    pub(super) fn end(&self) -> io::Result<bool> {
        let mut held = self.shared.lock();
        if held.state == State::Ended {
            return Ok(false);
        }
        held.state = State::Ended;
        self.shared.ended.notify_all();
        give_back(&held.place, &held.file, &held.info)
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        // An error here leaves a file whose holder is dead soon or silent.
        self.end().ok();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn renew_all(&self, stale_after: Duration) {
        let every = (stale_after / 3).max(Duration::from_millis(1));
        let mut held = self.lock();
        let (mut looks, mut renewed) = (0, Instant::now());
        while held.state == State::Holds {
            if !std::mem::take(&mut held.is_urgent) {
                let left = stale_after.saturating_sub(renewed.elapsed());
                let pause = if looks == 0 { every.min(left) } else { BETWEEN_LOOKS };
                held = self.ended.wait_timeout(held, pause).unwrap_or_else(PoisonError::into_inner).0;
            }
            if held.state != State::Holds {
                return;
            }
            let next = Info { timestamp: now_ms(), ..held.info.clone() };
            let Held { place, file, info, .. } = &mut *held;
            match renew(place, file, info, next) {
                Ok(Own::Kept) => (looks, renewed) = (0, Instant::now()),
                Ok(Own::Gone) if looks < LOOKS => looks += 1,
                Ok(Own::Gone | Own::Displaced) => held.state = State::Lost,
                // A disk that fails now may work at the next time. Others go by the clock on the wall, which may have been set.
                Err(_) => {
                    looks = 0;
                    let silent = Duration::from_millis(now_ms().saturating_sub(held.info.timestamp));
                    if silent.max(renewed.elapsed()) >= stale_after {
                        held.state = State::Lost;
                    }
                }
            }
        }
    }
}
