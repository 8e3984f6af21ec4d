//! The processes that a guarded command has started, and their end: asked by SIGTERM, ended by SIGKILL after a second.

use crate::command;
use gob_client::host::children;
use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Time between the request to end and the end.
pub(super) const GRACE: Duration = Duration::from_secs(1);
/// Time after which processes that can't be ended are left: one that hangs in a dead disk, or another user's.
const PATIENCE: Duration = Duration::from_secs(6);
/// Longest pause between two rounds; the end of any child ends it sooner.
const PAUSE: Duration = Duration::from_millis(50);

/// The command and all that came to the guard, its subreaper, since.
pub(super) struct Tree {
    command: Pid,
    /// The command's code, once it has ended.
    code: Option<u8>,
    /// No child is left.
    is_gone: bool,
    /// The children that were asked to end. Their pids are theirs until they are reaped.
    asked: BTreeSet<i32>,
}

impl Tree {
    pub(super) const fn new(command: Pid) -> Self {
        Self { command, code: None, is_gone: false, asked: BTreeSet::new() }
    }

    /// Reaps what has ended; the command's code once it has.
    pub(super) fn reap(&mut self) -> Option<u8> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Err(Errno::ECHILD) => {
                    self.is_gone = true;
                    return self.code;
                }
                Err(Errno::EINTR) => {}
                Ok(status) => {
                    let Some(pid) = status.pid() else { return self.code };
                    self.asked.remove(&pid.as_raw());
                    if pid == self.command {
                        self.code = Some(command::code_of(status));
                    }
                }
                // Real-time signals have no name, which is what this error means; the child was reaped.
                Err(_) => self.lost(),
            }
        }
    }

    /// A child was ended by a signal without a name. It was the command, if that is not there any more.
    fn lost(&mut self) {
        if self.code.is_none() && nix::unistd::getpgid(Some(self.command)).is_err() {
            self.code = Some(u8::MAX);
        }
    }

    pub(super) fn is_gone(&mut self) -> bool {
        self.reap();
        self.is_gone
    }

    /// Passes a signal on to the command, unless it got it as well.
    pub(super) fn pass_on(&self, signal: u32, code: i32) {
        if self.code.is_none() {
            command::pass_on(self.command, signal, code);
        }
    }

    /// One round of the end that was begun at `began`; the time of the next one, `None` when there is no hope.
    pub(super) fn end(&mut self, began: Instant, now: Instant) -> Option<Instant> {
        let since = now.saturating_duration_since(began);
        if since >= PATIENCE {
            return None;
        }
        if since >= GRACE {
            let killed = children::signal(Signal::SIGKILL, |_| true);
            return (killed.sent > 0 || killed.denied.is_none()).then_some(now + PAUSE);
        }
        let asked = &mut self.asked;
        children::signal(Signal::SIGTERM, |pid| asked.insert(pid));
        // A stopped process takes the signal only when it goes on.
        children::signal(Signal::SIGCONT, |_| true);
        Some((now + PAUSE).min(began + GRACE))
    }
}
