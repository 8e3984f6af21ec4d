//! A lock as a file that is there or not, for programs that know nothing of gob.
//!
//! The file holds `{pid,timestamp,host,process}` as JSON and is made exclusively. A holder renews its time stamp; one that is
//! dead on this host, or silent for [`Settings::stale_after`], does not count, and the next one takes the lock from it.
//!
//! No supervisor is needed, and none helps: nobody stands in a line, a holder that was stopped for longer than the stale time
//! has lost the lock and learns of it only when it goes on, and two hosts whose clocks differ by more than that time take the
//! lock from each other. The supervisor's locks ([`crate::call`], `lock_acquire`) have none of these faults.

mod backoff;
mod gone;
mod place;
mod record;
mod renewal;

use backoff::Backoff;
use gone::Gone;
use place::{Place, Sight};
use record::{Facts, judge};
use renewal::Renewal;
use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

pub use record::{BEING_WRITTEN, Info, Standing};

/// The rules of a lock file, which all its programs share, and this program's patience.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The holder's name for itself, for people.
    pub process: String,
    /// The time of silence after which a holder does not count any more. The time stamp is renewed every third of it.
    pub stale_after: Duration,
    /// So often is a held lock looked at again; `u32::MAX` is without end.
    pub retries: u32,
    /// The first pause between two looks; later ones grow to ten times that.
    pub retry_delay: Duration,
    /// The longest wait, if the retries last for that long; zero tries once. `None`: until the retries are used up.
    pub timeout: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            process: "gob".to_owned(),
            stale_after: Duration::from_secs(30),
            retries: 50,
            retry_delay: Duration::from_millis(100),
            timeout: None,
        }
    }
}

/// The reason why a lock file could not be taken, read or removed.
#[derive(Debug, thiserror::Error)]
pub enum FileLockError {
    /// Another program holds it.
    #[error("{} is held by {}", path.display(), named(holder.as_ref()))]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Its holder; `None` where the file can't be read.
        holder: Option<Info>,
        /// The time that was waited.
        waited: Duration,
    },
    /// The file can't be used.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// The operation.
        what: &'static str,
        /// The lock file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// This lock is taken already.
    #[error("{} is held by this lock already", path.display())]
    Twice {
        /// The lock file.
        path: PathBuf,
    },
}

fn named(holder: Option<&Info>) -> String {
    holder.map_or_else(|| "a program that is writing it".to_owned(), ToString::to_string)
}

/// A lock file as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The standing of its holder.
    pub standing: Standing,
    /// Time since the holder's last sign; `None` where the file can't be read.
    pub age: Option<Duration>,
}

/// A lock file, which this program holds or not. Dropping it releases it.
#[derive(Debug)]
pub struct FileLock {
    place: Place,
    settings: Settings,
    host: String,
    held: Option<Renewal>,
    /// The watch of its directory while it is held.
    gone: Option<Gone>,
}

impl FileLock {
    /// A lock file at this path, with the usual settings.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self::with_settings(path, Settings::default())
    }

    /// A lock file at this path.
    #[must_use]
    pub fn with_settings(path: impl Into<PathBuf>, settings: Settings) -> Self {
        let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
        Self { place: Place::new(path.into(), host.clone()), settings, host, held: None, gone: None }
    }

    /// The path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// This program's own record while it holds the lock.
    #[must_use]
    pub fn info(&self) -> Option<Info> {
        self.held.as_ref().map(Renewal::info)
    }

    /// True if this program had the lock and another one has taken it, or may take it: its file is gone or is no file any more,
    /// or its time could not be renewed for the stale time.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.held.as_ref().is_some_and(Renewal::is_lost)
    }

    /// A descriptor that is readable when somebody else may have taken or removed the lock file; call
    /// [`FileLock::look_after`] then.
    #[must_use]
    pub fn readable(&self) -> Option<BorrowedFd<'_>> {
        self.gone.as_ref().and_then(Gone::readable)
    }

    /// Has the lock file looked at soon where something has happened to it; [`FileLock::is_lost`] tells the result.
    pub fn look_after(&self) {
        if self.gone.as_ref().is_some_and(Gone::has_gone) {
            self.held.iter().for_each(Renewal::hurry);
        }
    }

    /// Takes the lock, and waits for it as the settings say.
    ///
    /// # Errors
    /// Another program holds it for too long; the file can't be used; it is taken already.
    pub fn acquire(&mut self) -> Result<(), FileLockError> {
        self.acquire_telling(&mut |_| {})
    }

    /// Takes the lock like [`FileLock::acquire`], and tells of its holder before each wait.
    ///
    /// # Errors
    /// Those of `acquire`.
    pub fn acquire_telling(&mut self, tell: &mut dyn FnMut(&Status)) -> Result<(), FileLockError> {
        if self.held.is_some() {
            return Err(FileLockError::Twice { path: self.place.path.clone() });
        }
        let gone = Gone::watch(&self.place.path, &self.place.dir);
        let began = Instant::now();
        let deadline = self.settings.timeout.and_then(|timeout| began.checked_add(timeout));
        let mut backoff = Backoff::new(self.settings.retry_delay);
        let mut watched = Watched::default();
        let mut left = self.settings.retries;
        let mut until = began;
        loop {
            let (sight, status) = match self.try_once(&watched)? {
                Tried::Taken(file, info) => {
                    self.held =
                        Some(Renewal::begin(self.place.clone(), file, info, self.settings.stale_after)?);
                    self.gone = Some(gone);
                    return Ok(());
                }
                Tried::Held(sight, status) => (Some(sight), Some(status)),
                // It went or changed at this moment.
                Tried::Changed => (None, None),
            };
            let now = Instant::now();
            // A lock that went meanwhile costs no retry: others may have been faster.
            if until <= now {
                if left == 0 || deadline.is_some_and(|deadline| deadline <= now) {
                    // One that came at this moment has a name, too.
                    let status = status.or_else(|| self.status().ok().flatten());
                    let holder = status.and_then(|status| status.standing.info().cloned());
                    let path = self.place.path.clone();
                    return Err(FileLockError::Held { path, holder, waited: began.elapsed() });
                }
                left -= u32::from(left != u32::MAX);
                let pause = now.checked_add(backoff.pause(RandomState::new().build_hasher().finish()));
                until = pause.into_iter().chain(deadline).min().unwrap_or(now);
            }
            status.iter().for_each(&mut *tell);
            watched.keep(sight);
            gone.wait(until);
        }
    }

    /// Gives the lock back; false if it was not this program's any more, and the file was left alone.
    ///
    /// # Errors
    /// The file can't be removed.
    pub fn release(&mut self) -> Result<bool, FileLockError> {
        let Some(held) = self.held.take() else { return Ok(false) };
        self.gone = None;
        held.end().map_err(|source| self.failed("remove", source))
    }

    /// Returns the lock file as it is now, whoever holds it; `None` where there is none.
    ///
    /// # Errors
    /// It can't be read.
    pub fn status(&self) -> Result<Option<Status>, FileLockError> {
        let sight = self.look()?;
        Ok(sight.map(|sight| self.status_of(&sight, Duration::ZERO)))
    }

    /// Removes the lock file, whoever holds it, and returns what it was; `None` where there is none.
    ///
    /// # Errors
    /// It can't be removed, or changes all the time.
    pub fn force_unlock(&self) -> Result<Option<Status>, FileLockError> {
        for _ in 0..10 {
            let Some(sight) = self.look()? else { return Ok(None) };
            if self.place.remove(&sight).map_err(|source| self.failed("remove", source))? {
                return Ok(Some(self.status_of(&sight, Duration::ZERO)));
            }
        }
        Err(self.failed("remove", io::Error::other("it changes all the time")))
    }

    fn try_once(&self, watched: &Watched) -> Result<Tried, FileLockError> {
        let own = self.own_info();
        let Some(sight) = self.look()? else {
            let made = self.place.create(&own).map_err(|source| self.failed("make", source))?;
            return Ok(made.map_or(Tried::Changed, |file| Tried::Taken(file, own)));
        };
        let status = self.status_of(&sight, watched.unchanged(&sight));
        if !status.standing.is_free() {
            return Ok(Tried::Held(sight, status));
        }
        let made = self.place.replace(&sight, &own).map_err(|source| self.failed("take", source))?;
        Ok(made.map_or(Tried::Changed, |file| Tried::Taken(file, own)))
    }

    fn status_of(&self, sight: &Sight, unchanged: Duration) -> Status {
        let (now, stale_after) = (now_ms(), self.settings.stale_after);
        let standing = judge(&sight.seen, Facts { host: &self.host, now, unchanged, stale_after }, is_alive);
        let age = standing.info().map(|info| Duration::from_millis(now.saturating_sub(info.timestamp)));
        Status { standing, age }
    }

    fn own_info(&self) -> Info {
        Info {
            pid: std::process::id().try_into().unwrap_or_default(),
            timestamp: now_ms(),
            host: self.host.clone(),
            process: self.settings.process.clone(),
        }
    }

    fn look(&self) -> Result<Option<Sight>, FileLockError> {
        self.place.look().map_err(|source| self.failed("read", source))
    }

    fn failed(&self, what: &'static str, source: io::Error) -> FileLockError {
        FileLockError::Io { what, path: self.place.path.clone(), source }
    }
}

enum Tried {
    Taken(File, Info),
    Held(Sight, Status),
    Changed,
}

/// For how long a lock file has been as it is, as far as this program has watched it.
#[derive(Debug, Default)]
struct Watched {
    last: Option<(Sight, Instant)>,
}

impl Watched {
    fn unchanged(&self, now: &Sight) -> Duration {
        let same = self.last.as_ref().filter(|(last, _)| last.seen == now.seen);
        same.map_or(Duration::ZERO, |(_, since)| since.elapsed())
    }

    fn keep(&mut self, sight: Option<Sight>) {
        let since = match (&self.last, &sight) {
            (Some((last, since)), Some(now)) if last.seen == now.seen => *since,
            (_, _) => Instant::now(),
        };
        self.last = sight.map(|sight| (sight, since));
    }
}

/// Milliseconds since the epoch.
fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns whether a process of this machine exists and has not ended. One that may not be signalled is there.
fn is_alive(pid: i32) -> bool {
    use nix::errno::Errno;
    match nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None) {
        Err(Errno::ESRCH) => false,
        // A process that has ended and was not waited for takes signals, too.
        Ok(()) => crate::holder::is_alive(pid),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests;
