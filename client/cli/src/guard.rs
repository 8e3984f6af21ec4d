//! The guard of a command that holds a lock: `gobctl lock run` starts this program once more, and this is what it does then.
//!
//! The lock lives as long as the guard, and the guard outlives the command and everything that the command has started: it is
//! their subreaper, so that whatever forks away comes to it. When the command ends, when gobctl is killed, or when the lock is
//! lost, the guard ends the whole tree and only then itself. A guard that is killed with SIGKILL, and a process of the command
//! that became another user's, are beyond it (docs/LOCKS.md).

mod file;
mod named;
mod tree;

use crate::command::{self, GOB_FAILED};
use crate::context::{Color, Context, Host};
use crate::failure::Failure;
use file::FileHold;
use gob_client::Owner;
use named::NamedHold;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, getppid};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};
use tree::Tree;

pub(crate) use file::FileOrder;
pub(crate) use named::NamedOrder;

/// The first word of a command line that makes this program a guard.
pub(crate) const WORD: &str = "lock-guard";

/// The variable with a lock's token in the command's environment.
pub(crate) const TOKEN: &str = "GOB_LOCK_TOKEN";

/// The order that the starting program gives to its guard.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// The program that starts it.
    pub(crate) parent: i32,
    pub(crate) owner: Owner,
    pub(crate) quiet: bool,
    pub(crate) json: bool,
    /// The supervisor's machine, where that is another one, by its address.
    pub(crate) host: Option<String>,
    pub(crate) lock: Lock,
}

/// The lock that a guard holds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Lock {
    /// A lock file, which the guard takes itself: the file names the process that holds it.
    File(FileOrder),
    /// A lock of the supervisor, which the program that starts the guard has taken.
    Named(Box<NamedOrder>),
}

/// A lock while its command runs.
trait Hold {
    /// A descriptor that has something to read when the lock may be lost.
    fn readable(&self) -> Option<BorrowedFd<'_>>;

    /// The time of the next look, without anything to read.
    fn next_look(&self) -> Option<Instant>;

    /// Looks after the lock; the reason why it is lost.
    fn look(&mut self) -> Result<(), String>;

    /// Gives it back.
    fn release(self: Box<Self>);
}

/// Takes the words after the first two: the order, `--`, and the command.
pub(crate) fn main(words: &[OsString]) -> u8 {
    let (Some(order), Some(command)) = (words.first(), words.get(2..)) else { return GOB_FAILED };
    let order = serde_json::from_slice::<Order>(order.as_encoded_bytes());
    let Ok(order) = order else { return GOB_FAILED };
    let context = Context {
        owner: order.owner,
        json: order.json,
        quiet: order.quiet,
        verbose: false,
        color: Color::Auto,
        autostart: false,
        timeout: None,
        waits_for_readiness: false,
        host: order.host.as_deref().and_then(Host::of_guard),
    };
    let guarded = guard(&context, Pid::from_raw(order.parent), order.lock, command);
    guarded.unwrap_or_else(|failure| failure.report(context.telling()))
}

fn guard(context: &Context, parent: Pid, lock: Lock, command: &[OsString]) -> Result<u8, Failure> {
    let failed = |what: &str| {
        let what = format!("cannot {what}");
        move |errno: Errno| Failure::own("command-failed", GOB_FAILED, what).cause(errno.to_string())
    };
    set_child_subreaper(true).map_err(failed("adopt what the command starts"))?;
    set_pdeathsig(Signal::SIGTERM).map_err(failed("follow gobctl"))?;
    if getppid() != parent {
        // It was killed before the line above.
        return Ok(GOB_FAILED);
    }
    let mut variables = Vec::new();
    let mut moves = Vec::new();
    let mut hold: Box<dyn Hold> = match lock {
        Lock::File(order) => match FileHold::take(context, order)? {
            Ok(hold) => Box::new(hold),
            Err(code) => return Ok(code),
        },
        Lock::Named(order) => {
            variables.push((TOKEN.to_owned(), order.token.to_string()));
            moves.push((order.stdin, 0));
            Box::new(NamedHold::take(context, *order)?)
        }
    };
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGCHLD] {
        signals.add(signal);
    }
    let before = SigSet::thread_get_mask().map_err(failed("read the signal mask"))?;
    signals.thread_block().map_err(failed("block signals"))?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let arrived = SignalFd::with_flags(&signals, flags).map_err(failed("wait for signals"))?;
    let spawned = command::spawn(command, &variables, &before, &moves);
    let code = match spawned {
        Ok(child) => Guard { context, parent, arrived, tree: Tree::new(child) }.keep(&mut *hold),
        Err(errno) => Err(command::not_run(command, errno)),
    };
    hold.release();
    code
}

struct Guard<'a> {
    context: &'a Context,
    parent: Pid,
    arrived: SignalFd,
    tree: Tree,
}

impl Guard<'_> {
    /// Waits for the command's end and ends what it leaves behind.
    fn keep(mut self, hold: &mut dyn Hold) -> Result<u8, Failure> {
        loop {
            if let Some(code) = self.tree.reap() {
                self.end();
                return Ok(code);
            }
            if getppid() != self.parent {
                // gobctl was killed, and nobody asks for the code any more.
                self.end();
                return Ok(GOB_FAILED);
            }
            if let Err(why) = hold.look() {
                self.context.note(&format!("{why}; the command is ended"));
                self.end();
                return Ok(GOB_FAILED);
            }
            self.wait(hold.readable(), hold.next_look())?;
            while let Ok(Some(signal)) = self.arrived.read_signal() {
                if signal.ssi_signo != Signal::SIGCHLD as u32 && getppid() == self.parent {
                    self.tree.pass_on(signal.ssi_signo, signal.ssi_code);
                }
            }
        }
    }

    /// Asks the whole tree to end, and ends it after [`tree::GRACE`].
    fn end(&mut self) {
        let began = Instant::now();
        while !self.tree.is_gone() {
            let Some(until) = self.tree.end(began, Instant::now()) else {
                self.context.note("some processes of the command are still there: they can't be ended");
                return;
            };
            self.wait(None, Some(until)).ok();
            while let Ok(Some(_)) = self.arrived.read_signal() {}
        }
    }

    fn wait(&self, also: Option<BorrowedFd<'_>>, until: Option<Instant>) -> Result<(), Failure> {
        let signal = PollFd::new(self.arrived.as_fd(), PollFlags::POLLIN);
        let mut fds = vec![signal];
        fds.extend(also.map(|also| PollFd::new(also, PollFlags::POLLIN)));
        match poll(&mut fds, timeout(until)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => {
                Err(Failure::own("command-failed", GOB_FAILED, "cannot wait for the command".to_owned())
                    .cause(errno.to_string()))
            }
        }
    }
}

fn timeout(until: Option<Instant>) -> nix::poll::PollTimeout {
    let Some(until) = until else { return nix::poll::PollTimeout::NONE };
    let left = until.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
    nix::poll::PollTimeout::try_from(left.as_millis()).unwrap_or(nix::poll::PollTimeout::MAX)
}

/// Returns the command line of a guard.
pub(crate) fn command_line(order: &Order, command: &[OsString]) -> Result<Vec<OsString>, Failure> {
    let failed = |why: String| {
        Failure::own("command-failed", GOB_FAILED, "cannot start the guard of the command".to_owned())
            .cause(why)
    };
    let program = std::env::current_exe().map_err(|error| failed(error.to_string()))?;
    // A program that was replaced while it runs has no file any more.
    let program = if program.is_file() { program.into_os_string() } else { OsString::from("/proc/self/exe") };
    let order = serde_json::to_string(order).map_err(|error| failed(error.to_string()))?;
    let mut words = vec![program, WORD.into(), order.into(), "--".into()];
    words.extend(command.iter().cloned());
    Ok(words)
}

/// Returns the rest of a command line that makes this program a guard.
pub(crate) fn words(args: &[OsString]) -> Option<&[OsString]> {
    args.get(1).filter(|word| *word == OsStr::new(WORD)).and_then(|_| args.get(2..))
}
