//! The message about work that goes on when an interrupt ends this program's wait for it.

use crate::context::Context;
use crate::failure::Failure;
use crate::out;
use crate::text::escape;
use gob_client::Name;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

/// The exit code.
pub(crate) const INTERRUPTED: u8 = 130;

/// Returns names for people.
pub(crate) fn listed(names: &[Name]) -> String {
    names.iter().map(|name| escape(name.as_str())).collect::<Vec<_>>().join(", ")
}

/// Returns names as a shell takes them.
pub(crate) fn arguments(names: &[Name]) -> String {
    names.iter().map(Name::as_argument).collect::<Vec<_>>().join(" ")
}

/// Returns `st goes on stopping: gobctl events st`; `how` follows `on` at once, and `next` is the command for these names.
pub(crate) fn told(names: &[Name], how: &str, next: &str) -> String {
    let go = if names.len() == 1 { "goes" } else { "go" };
    format!("{} {go} on{how}: {next} {}", listed(names), arguments(names))
}

/// The parts of that message: the workers or jobs that go on, and their work.
#[derive(Debug, Clone)]
struct Words {
    work: Work,
    /// Those without an answer; `None` for all workers.
    left: Option<Vec<Name>>,
}

#[derive(Debug, Clone, Copy)]
enum Work {
    /// A request about workers that the supervisor carries out.
    Doing(&'static str),
    /// Jobs of the queue.
    Jobs,
}

impl Words {
    fn text(&self) -> String {
        let text = match (self.work, &self.left) {
            (Work::Doing(doing), Some(left)) => told(left, &format!(" {doing}"), "gobctl events"),
            (Work::Doing(doing), None) => format!("the supervisor goes on {doing}: gobctl daemon logs"),
            (Work::Jobs, left) => {
                let left = left.as_deref().unwrap_or_default();
                let them = if left.len() == 1 { "it" } else { "them" };
                let wait = told(left, "", "gobctl queue wait");
                format!("{wait}; or cancel {them}: gobctl queue cancel {}", arguments(left))
            }
        };
        format!("interrupted; {text}")
    }
}

/// While it lives, an interrupt prints the work that goes on and ends this program with 130.
#[derive(Debug)]
pub(crate) struct GoesOn {
    words: Arc<Mutex<Words>>,
    thread: Option<(JoinHandle<()>, OwnedFd)>,
}

impl GoesOn {
    /// Creates it for these workers.
    pub(crate) fn of(context: &Context, doing: &'static str, names: Vec<Name>) -> Self {
        Self::with(context, Words { work: Work::Doing(doing), left: Some(names) })
    }

    /// Creates it for these jobs of the queue.
    pub(crate) fn of_jobs(context: &Context, ids: Vec<Name>) -> Self {
        Self::with(context, Words { work: Work::Jobs, left: Some(ids) })
    }

    /// Creates it for the supervisor and all workers.
    pub(crate) fn of_all(context: &Context, doing: &'static str) -> Self {
        Self::with(context, Words { work: Work::Doing(doing), left: None })
    }

    fn with(context: &Context, words: Words) -> Self {
        let words = Arc::new(Mutex::new(words));
        // Without it an interrupt ends this program silently, like any other program.
        let thread = listen(context, Arc::clone(&words)).ok();
        Self { words, thread }
    }

    /// Notes that the answer about this worker has come, or that this job has ended.
    pub(crate) fn done(&self, name: &Name) {
        let mut words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(left) = &mut words.left {
            left.retain(|other| other != name);
        }
    }
}

impl Drop for GoesOn {
    fn drop(&mut self) {
        if let Some((thread, stop)) = self.thread.take() {
            drop(stop);
            thread.join().ok();
            // A pending interrupt is delivered now.
            interrupts().thread_unblock().ok();
        }
    }
}

fn interrupts() -> SigSet {
    let mut interrupts = SigSet::empty();
    interrupts.add(Signal::SIGINT);
    interrupts
}

fn listen(context: &Context, words: Arc<Mutex<Words>>) -> nix::Result<(JoinHandle<()>, OwnedFd)> {
    let (ended, stop) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let arrived = SignalFd::with_flags(&interrupts(), flags)?;
    // A program that was started with interrupts blocked keeps them blocked.
    if interrupts().thread_swap_mask(SigmaskHow::SIG_BLOCK)?.contains(Signal::SIGINT) {
        return Err(nix::Error::EALREADY);
    }
    let telling = context.telling();
    let quiet = context.quiet;
    let tells = move || {
        loop {
            let mut fds = [
                PollFd::new(arrived.as_fd(), PollFlags::POLLIN),
                PollFd::new(ended.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut fds, PollTimeout::NONE) {
                Ok(_) | Err(nix::Error::EINTR) => {}
                Err(_) => return,
            }
            let [_, end] = &fds;
            if end.any() == Some(true) {
                return;
            }
            if let Ok(Some(_)) = arrived.read_signal() {
                let text = words.lock().unwrap_or_else(PoisonError::into_inner).text();
                if telling.json {
                    Failure::own("interrupted", INTERRUPTED, text).report(telling);
                } else if !quiet {
                    // Written over the progress and over the terminal's echo of the key.
                    let clear = if std::io::stderr().is_terminal() { "\r\x1b[K" } else { "" };
                    out::error_text(&format!("{clear}{text}\n"));
                }
                leave();
            }
        }
    };
    match std::thread::Builder::new().spawn(tells) {
        Ok(thread) => Ok((thread, stop)),
        Err(error) => {
            // Unblocked again: no thread would take them.
            interrupts().thread_unblock()?;
            Err(nix::Error::try_from(error).unwrap_or(nix::Error::EAGAIN))
        }
    }
}

#[expect(clippy::exit, reason = "the main thread waits for an answer that is not waited for any more")]
fn leave() {
    std::process::exit(i32::from(INTERRUPTED));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_without_an_answer_are_named() {
        let names = |names: &[&str]| names.iter().map(|name| Name::any(name).unwrap()).collect();
        let words = |left| Words { work: Work::Doing("stopping"), left }.text();
        assert_eq!(words(Some(names(&["st"]))), "interrupted; st goes on stopping: gobctl events st");
        assert_eq!(
            words(Some(names(&["a b", "c"]))),
            "interrupted; a b, c go on stopping: gobctl events 'a b' c"
        );
        assert_eq!(words(None), "interrupted; the supervisor goes on stopping: gobctl daemon logs");
        let jobs = Words { work: Work::Jobs, left: Some(names(&["j1", "j2"])) }.text();
        let want =
            "interrupted; j1, j2 go on: gobctl queue wait j1 j2; or cancel them: gobctl queue cancel j1 j2";
        assert_eq!(jobs, want);
    }
}
