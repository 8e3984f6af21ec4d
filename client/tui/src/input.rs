//! The threads that wait: one for keys and the mouse, one for signals and the terminal's end. Each waits in the kernel without a
//! time limit, so that a screen at rest makes no system call.

use crate::tty;
use crossterm::event::Event;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// Keys that may wait; the terminal keeps further ones.
const QUEUE: usize = 256;
/// Time that an end by a signal may take, where the terminal takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Something that the loop waits for.
#[derive(Debug)]
pub(crate) enum Happened {
    /// A key, the mouse, pasted text, another size.
    Input(Event),
    /// Workers, answers or output have changed.
    Changed,
    /// A signal.
    Signal(Signal),
    /// The terminal is gone.
    Hangup,
}

/// The loop's end of all of it.
pub(crate) struct Inbox {
    queue: Receiver<Happened>,
    bell: Bell,
}

/// A way to wake the loop; any number of rings before it wakes up are one.
#[derive(Debug, Clone)]
pub(crate) struct Bell {
    tell: SyncSender<Happened>,
    is_rung: Arc<AtomicBool>,
}

impl Bell {
    /// Something has changed.
    pub(crate) fn ring(&self) {
        if !self.is_rung.swap(true, Ordering::AcqRel) && self.tell.try_send(Happened::Changed).is_err() {
            // The queue is full of keys: the loop is awake, and looks at everything anyway.
            self.is_rung.store(false, Ordering::Release);
        }
    }
}

impl Inbox {
    /// Begins the threads. Must be called while the program has no other ones, which signals could go to.
    ///
    /// # Errors
    /// When a thread or a descriptor can't be had.
    pub(crate) fn open() -> io::Result<Self> {
        let mut signals = SigSet::empty();
        for signal in [
            Signal::SIGINT,
            Signal::SIGTERM,
            Signal::SIGHUP,
            Signal::SIGQUIT,
            Signal::SIGTSTP,
            Signal::SIGCONT,
        ] {
            signals.add(signal);
        }
        signals.thread_block()?;
        let arrived = SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC)?;
        let (tell, queue) = sync_channel(QUEUE);
        let (of_keys, of_signals) = (tell.clone(), tell.clone());
        std::thread::Builder::new().name("signals".to_owned()).spawn(move || watch(&arrived, &of_signals))?;
        std::thread::Builder::new().name("keys".to_owned()).spawn(move || read(&of_keys))?;
        Ok(Self { queue, bell: Bell { tell, is_rung: Arc::default() } })
    }

    pub(crate) fn bell(&self) -> Bell {
        self.bell.clone()
    }

    /// Waits for the next thing; `None` when the time has passed. Without a time it waits as long as it takes.
    pub(crate) fn next(&self, wait: Option<Duration>) -> Option<Happened> {
        let happened = match wait {
            // It can't fail: this end has a sender of its own.
            None => self.queue.recv().ok(),
            Some(wait) => self.queue.recv_timeout(wait).ok(),
        };
        if matches!(happened, Some(Happened::Changed)) {
            self.bell.is_rung.store(false, Ordering::Release);
        }
        happened
    }
}

/// Reads keys until the terminal is gone.
fn read(tell: &SyncSender<Happened>) {
    loop {
        let happened = crossterm::event::read().map_or(Happened::Hangup, Happened::Input);
        let is_over = matches!(happened, Happened::Hangup);
        if tell.send(happened).is_err() || is_over {
            return;
        }
    }
}

/// Waits for signals, and for the end of the terminal, which the reader of keys does not tell.
fn watch(arrived: &SignalFd, tell: &SyncSender<Happened>) {
    let stdin = io::stdin();
    loop {
        let mut fds = [
            PollFd::new(arrived.as_fd(), PollFlags::POLLIN),
            // A hang-up is told though nothing is asked for.
            PollFd::new(stdin.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut fds, PollTimeout::NONE) {
            Ok(_) => {}
            Err(Errno::EINTR) => continue,
            Err(_) => return,
        }
        let [of_signals, of_terminal] = &fds;
        let has = |fd: &PollFd<'_>, flags| fd.revents().is_some_and(|found| found.intersects(flags));
        if has(of_terminal, PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL) {
            return end(tell, Happened::Hangup, 0);
        }
        if !has(of_signals, PollFlags::POLLIN) {
            continue;
        }
        let read = arrived.read_signal().ok().flatten();
        let signal = read.and_then(|info| Signal::try_from(i32::try_from(info.ssi_signo).ok()?).ok());
        let Some(signal) = signal else { continue };
        if matches!(signal, Signal::SIGTSTP | Signal::SIGCONT) {
            // A loop that is held up by its terminal can't stop or go on either.
            if let Err(TrySendError::Disconnected(_)) = tell.try_send(Happened::Signal(signal)) {
                return;
            }
        } else {
            return end(tell, Happened::Signal(signal), signal as i32);
        }
    }
}

/// Tells the loop to end, and ends the program where a terminal that takes nothing holds the loop up.
fn end(tell: &SyncSender<Happened>, why: Happened, signal: i32) {
    tell.try_send(why).ok();
    let (_never, over) = sync_channel::<()>(0);
    over.recv_timeout(PATIENCE).ok();
    tty::give_mode_back();
    exit(signal);
}

/// A signal that ended the program is added to this.
const SIGNALLED: i32 = 128;

#[expect(clippy::exit, reason = "the main thread waits for a terminal that takes nothing")]
fn exit(signal: i32) -> ! {
    std::process::exit(if signal == 0 { 1 } else { SIGNALLED + signal });
}
