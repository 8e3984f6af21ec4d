//! The sources of the main loop's turns, and their order.
//!
//! Exits come first: a signal goes through no queue. Then deadlines, then the mailbox. Requests have turns of
//! their own (`desk`), many of which fit between two of these.

use crate::desk::Desk;
use crate::mailbox::Happened;
use crate::shell::Shell;
use std::future::ready;
use std::pin::Pin;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use tokio::time::Sleep;

/// The subject of a turn of the loop.
pub(crate) enum Turn {
    Signal(Signalled),
    Deadline,
    Happened(Happened),
}

/// All sources that the loop waits for.
pub(crate) struct Sources {
    signals: Signals,
    mailbox: Receiver<Happened>,
    /// The last turn was for children that ended.
    reaped: bool,
    /// The end was asked for while signals were kept.
    is_asked_to_end: bool,
}

impl Sources {
    pub(crate) const fn new(signals: Signals, mailbox: Receiver<Happened>) -> Self {
        Self { signals, mailbox, reaped: false, is_asked_to_end: false }
    }

    /// Returns a message, if there is one.
    pub(crate) fn message(&mut self) -> Option<Happened> {
        self.mailbox.try_recv().ok()
    }

    /// Takes the signals that have come, without a turn for each; true when one of them asks for the end, for which a turn comes
    /// later.
    pub(crate) async fn keep_signals(&mut self, desk: &Desk) -> bool {
        loop {
            let signal = tokio::select! {
                biased;
                signal = self.signals.asked.next() => signal,
                () = ready(()) => return self.is_asked_to_end,
            };
            match signal {
                Signalled::End => self.is_asked_to_end = true,
                // All that it begins may be begun again.
                Signalled::HangUp => desk.turn(Shell::reread),
                Signalled::Child => {}
            }
        }
    }

    /// Waits for the next turn; `None` after a request's turn, since the next deadline may have changed.
    pub(crate) async fn next(&mut self, desk: &Desk, mut deadline: Pin<&mut Sleep>) -> Option<Turn> {
        if std::mem::take(&mut self.is_asked_to_end) {
            return Some(Turn::Signal(Signalled::End));
        }
        let more = desk.look(|shell| shell.has_more_children());
        // A worker whose children end without pause must not take all turns.
        if std::mem::take(&mut self.reaped) && (more || self.signals.child_ended().await) {
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                signal = self.signals.asked.next() => return Some(Turn::Signal(signal)),
                () = deadline.as_mut() => return Some(Turn::Deadline),
                Some(happened) = self.mailbox.recv() => return Some(Turn::Happened(happened)),
                stirred = desk.stirred() => return go_on(stirred),
                () = ready(()) => {}
            }
            return Some(self.reap());
        }
        if more {
            return Some(self.reap());
        }
        tokio::select! {
            biased;
            _ = self.signals.child.recv() => Some(self.reap()),
            signal = self.signals.asked.next() => Some(Turn::Signal(signal)),
            () = deadline => Some(Turn::Deadline),
            Some(happened) = self.mailbox.recv() => Some(Turn::Happened(happened)),
            stirred = desk.stirred() => go_on(stirred),
        }
    }

    const fn reap(&mut self) -> Turn {
        self.reaped = true;
        Turn::Signal(Signalled::Child)
    }
}

/// Another task's turn changed what the loop waits for, or panicked.
fn go_on(broken: bool) -> Option<Turn> {
    if broken {
        std::panic::resume_unwind(Box::new("a turn panicked"));
    }
    None
}

/// A signal with a meaning for the supervisor.
pub(crate) enum Signalled {
    /// A child ended.
    Child,
    /// The supervisor must end.
    End,
    /// The configuration must be read again: there is no terminal to lose.
    HangUp,
}

/// The signals as the kernel remembers them: each once, however often it came.
pub(crate) struct Signals {
    child: Signal,
    asked: Asked,
}

/// The signals that a person or the keeper sends.
struct Asked {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    /// Registers for them.
    ///
    /// # Errors
    /// When the runtime can't.
    pub(crate) fn watch() -> std::io::Result<Self> {
        let asked = Asked {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        };
        Ok(Self { child: signal(SignalKind::child())?, asked })
    }

    /// Takes a child's signal if it has come already.
    async fn child_ended(&mut self) -> bool {
        tokio::select! {
            biased;
            _ = self.child.recv() => true,
            () = ready(()) => false,
        }
    }
}

impl Asked {
    /// Waits for the next one. Cancel safe.
    async fn next(&mut self) -> Signalled {
        tokio::select! {
            biased;
            _ = self.terminate.recv() => Signalled::End,
            _ = self.interrupt.recv() => Signalled::End,
            _ = self.hang_up.recv() => Signalled::HangUp,
        }
    }
}
