//! The keeper's life: starts the supervisor, waits, cleans up after it, starts it again.
//!
//! Owns the one child and the count of its deaths. Sleeps in `sigwaitinfo` until a signal comes. Between two
//! restarts it pauses, for longer each time. Another program may take its place meanwhile (`successor`).

use crate::error::Error;
use crate::locks::Locks;
use crate::paths::Paths;
use crate::ready::Ready;
use crate::successor::Trial;
use crate::sys::{self, Ended, Notice, Reaped};
use crate::{How, log, program, sweep};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::VecDeque;
use std::os::unix::net::UnixListener;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Restarts of the supervisor within [`WINDOW`].
const MAX_RESTARTS: usize = 10;
/// The time in which [`MAX_RESTARTS`] are counted.
const WINDOW: Duration = Duration::from_secs(60);

/// The pause before the second restart within [`WINDOW`], which doubles with each. The first restart is
/// immediate: clients miss a supervisor at once.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The supervisor's exit code for "starting me again would end the same way" (EX_CONFIG of sysexits.h).
const DO_NOT_RESTART: u8 = 78;

/// A keeper, and the supervisor that it keeps.
pub(crate) struct Keeper<'a> {
    pub(crate) paths: Paths,
    pub(crate) locks: Locks,
    pub(crate) how: How,
    /// A service manager's socket.
    pub(crate) listener: Option<&'a UnixListener>,
    pub(crate) supervisor: Pid,
    pub(crate) restarts: Restarts,
    /// The end was requested.
    pub(crate) stopping: bool,
    /// The program that is tried, perhaps to take this one's place.
    pub(crate) trial: Option<Trial>,
}

impl<'a> Keeper<'a> {
    /// Starts the supervisor.
    pub(crate) fn begin(
        paths: Paths,
        locks: Locks,
        how: How,
        ready: &mut Option<Ready>,
        listener: Option<&'a UnixListener>,
    ) -> Result<Self, Error> {
        if sys::reap_any() != Reaped::NoneLeft {
            return Err(Error::HasChildren);
        }
        nix::sys::prctl::set_child_subreaper(true)
            .map_err(|e| Error::Process { operation: "become a child subreaper", source: e.into() })?;
        let supervisor = program::start(&paths, &locks, ready.as_ref(), listener)?;
        drop(ready.take());
        Ok(Self::of(supervisor, paths, locks, how, listener))
    }

    /// Keeps a supervisor that runs.
    pub(crate) fn of(
        supervisor: Pid,
        paths: Paths,
        locks: Locks,
        how: How,
        listener: Option<&'a UnixListener>,
    ) -> Self {
        let restarts = Restarts::default();
        Self { paths, locks, how, listener, supervisor, restarts, stopping: false, trial: None }
    }

    /// Keeps it until it ends for good.
    pub(crate) fn keep(mut self) -> Result<ExitCode, Error> {
        loop {
            let ended = self.wait();
            // The sweep ends it too.
            self.trial = None;
            let supervisor = self.supervisor;
            // Also after an orderly end: processes that the supervisor could not attribute are the keeper's now.
            let swept = sweep::sweep();
            if ended == Ended::Code(0) {
                if swept != sweep::Swept::default() {
                    log::event(&format!("the supervisor (pid {supervisor}) ended in order; {swept}"));
                }
                return Ok(ExitCode::SUCCESS);
            }
            log::event(&format!("the supervisor (pid {supervisor}) ended with {ended}; {swept}"));
            // A stop may have been requested while there was no supervisor to pass it on to.
            self.stopping |=
                ended.was_asked_for() || sys::pending_notices().any(|notice| notice == Notice::Stop);
            if self.stopping || ended == Ended::Code(DO_NOT_RESTART) {
                return Ok(ExitCode::from(ended.exit_code()));
            }
            let pause = self.restarts.count(Instant::now(), ended)?;
            if is_stopped_within(pause) {
                log::event("asked to stop while the supervisor was to be started again");
                return Ok(ExitCode::from(ended.exit_code()));
            }
            self.start_again()?;
        }
    }

    fn start_again(&mut self) -> Result<(), Error> {
        self.locks.renew(&self.paths)?;
        if let Err(error) = log::find_again(&self.paths.dirs.state) {
            // A missing log must not cost the supervisor: the descriptor that is still open has to do.
            log::event(&format!("{error}; going on without it"));
        }
        self.supervisor = program::start(&self.paths, &self.locks, None, self.listener)?;
        log::event(&format!("started the supervisor again (pid {})", self.supervisor));
        Ok(())
    }

    /// Waits for the end of the supervisor and passes signals on to it meanwhile.
    fn wait(&mut self) -> Ended {
        loop {
            let left = self.trial.as_ref().and_then(Trial::left);
            let notice = left.map_or_else(|| Some(sys::wait_for_notice()), sys::wait_for_notice_within);
            // The supervisor was not reaped yet, so its number is its own.
            match notice {
                Some(Notice::Stop) => {
                    self.stopping = true;
                    kill(self.supervisor, Signal::SIGTERM).unwrap_or_default();
                }
                Some(Notice::Reload) => kill(self.supervisor, Signal::SIGHUP).unwrap_or_default(),
                Some(Notice::Upgrade { by, told }) if by == self.supervisor => self.is_asked(told),
                Some(Notice::Upgrade { .. }) => {}
                Some(Notice::Child) => {
                    if let Some(ended) = self.reap() {
                        return ended;
                    }
                }
                None => self.trial.iter_mut().for_each(Trial::end_late),
            }
        }
    }

    /// Reaps all children that have ended. Returns the end of the supervisor, if it is among them.
    fn reap(&mut self) -> Option<Ended> {
        let (mut strays, mut tried) = (false, None);
        while let Reaped::Child(pid, ended) = sys::reap_any() {
            if pid == self.supervisor {
                return Some(ended);
            }
            match self.trial.take_if(|trial| trial.pid == pid) {
                Some(trial) => tried = Some((trial, ended)),
                None => strays = true,
            }
        }
        // The supervisor adopts its own orphans. A process that ends here outlived an earlier sweep, and may have left children of
        // its own.
        if strays {
            let trial = self.trial.as_ref().map(|trial| trial.pid);
            sweep::kill_children(&[Some(self.supervisor), trial]);
        }
        if let Some((trial, ended)) = tried {
            self.is_tried(trial, ended);
        }
        None
    }
}

/// Pauses before a restart; true when a stop is requested meanwhile. Children that end are reaped: they
/// outlived an earlier sweep.
fn is_stopped_within(pause: Duration) -> bool {
    let until = Instant::now() + pause;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        match sys::wait_for_notice_within(left) {
            Some(Notice::Stop) => return true,
            Some(Notice::Child) => {
                while let Reaped::Child(..) = sys::reap_any() {}
                sweep::kill_children(&[]);
            }
            // The next supervisor reads the configuration anyway, and the one that asked is gone.
            Some(Notice::Reload | Notice::Upgrade { .. }) | None => {}
        }
    }
}

/// The times of the last [`MAX_RESTARTS`] restarts.
#[derive(Debug, Default)]
pub(crate) struct Restarts(VecDeque<Instant>);

impl Restarts {
    /// Returns them, oldest first.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Instant> {
        self.0.iter()
    }

    /// Counts restarts of another program of this keeper.
    pub(crate) fn extend(&mut self, earlier: impl Iterator<Item = Instant>) {
        self.0.extend(earlier);
    }

    /// Counts one more restart, unless there are too many, and returns the pause before it.
    fn count(&mut self, now: Instant, last: Ended) -> Result<Duration, Error> {
        while self.0.front().is_some_and(|then| now.duration_since(*then) >= WINDOW) {
            self.0.pop_front();
        }
        if self.0.len() >= MAX_RESTARTS {
            let (count, seconds) = (MAX_RESTARTS + 1, WINDOW.as_secs());
            return Err(Error::GaveUp { count, seconds, last: last.to_string() });
        }
        let doubled = self.0.len().checked_sub(1).and_then(|times| u32::try_from(times).ok());
        let pause = doubled.map_or(Duration::ZERO, |times| FIRST_PAUSE * 2_u32.saturating_pow(times));
        self.0.push_back(now);
        Ok(pause.min(LONGEST_PAUSE))
    }
}

impl std::fmt::Display for sweep::Swept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} processes that it left were ended", self.reaped)?;
        match (self.left, self.denied) {
            (_, Some(pid)) => write!(f, ", others are another user's and stay: sudo kill -KILL {pid}"),
            (true, None) => f.write_str(", others were killed and don't go"),
            (false, None) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_restarts_in_a_minute_and_no_more() {
        let (mut restarts, start) = (Restarts::default(), Instant::now());
        for n in 0..10 {
            restarts.count(start + Duration::from_secs(n), Ended::Code(1)).unwrap();
        }
        let late = start + Duration::from_secs(59);
        assert!(matches!(restarts.count(late, Ended::Code(1)), Err(Error::GaveUp { count: 11, .. })));
        assert_eq!(restarts.count(start + WINDOW, Ended::Code(1)).unwrap(), LONGEST_PAUSE);
        assert!(restarts.count(start + WINDOW, Ended::Code(1)).is_err());
    }

    #[test]
    fn each_pause_is_twice_the_one_before_it_until_a_quiet_minute() {
        let (mut restarts, start) = (Restarts::default(), Instant::now());
        let mut pause = |after: Duration| restarts.count(start + after, Ended::Code(1)).unwrap().as_millis();
        let pauses: Vec<_> = (0..10).map(|n| pause(Duration::from_millis(n))).collect();
        assert_eq!(pauses, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000]);
        let quiet = WINDOW * 2;
        assert_eq!([pause(quiet), pause(quiet)], [0, 100]);
    }
}
