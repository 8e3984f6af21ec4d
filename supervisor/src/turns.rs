//! What the main loop waits for, and which of it comes first.

use crate::desk::Desk;
use crate::{heal, output, readiness, recovery, shell};
use std::pin::Pin;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Sleep;

/// Signals that may wait; the kernel remembers what finds no room.
const SIGNAL_QUEUE: usize = 8;

/// What a turn of the loop is about.
pub(crate) enum Turn {
    Signal(Signalled),
    Deadline,
    Report(output::FromOutput),
    Done(shell::Done),
    Configured(gob_core::Read),
    Found(readiness::Found),
    Healer(heal::News),
    Gone(recovery::Gone),
}

/// Everybody who may have something for the loop.
pub(crate) struct Sources {
    pub(crate) signals: mpsc::Receiver<Signalled>,
    pub(crate) rest: Rest,
    /// The last turn was for children that ended.
    pub(crate) reaped: bool,
}

/// All but the signals.
pub(crate) struct Rest {
    pub(crate) reports: mpsc::Receiver<output::FromOutput>,
    pub(crate) done: mpsc::Receiver<shell::Done>,
    pub(crate) readings: mpsc::Receiver<gob_core::Read>,
    pub(crate) found: mpsc::Receiver<readiness::Found>,
    pub(crate) healed: mpsc::Receiver<heal::News>,
    pub(crate) gone: mpsc::Receiver<recovery::Gone>,
}

impl Sources {
    /// Waits for the next turn; nothing when requests had theirs and the next deadline may be another one. Requests have
    /// turns of their own (`desk`), a lot of which fits between two of these.
    pub(crate) async fn next(&mut self, desk: &Desk, mut deadline: Pin<&mut Sleep>) -> Option<Turn> {
        let more = desk.look(|shell| shell.has_more_children());
        // Exits come first, but a worker whose children end without end is not to be the only one who has turns.
        if std::mem::take(&mut self.reaped) && (more || !self.signals.is_empty()) {
            tokio::task::yield_now().await;
            tokio::select! {
                biased;
                turn = self.rest.next(deadline.as_mut()) => return Some(turn),
                stirred = desk.stirred() => return go_on(stirred),
                () = std::future::ready(()) => {}
            }
            if let Ok(signal @ (Signalled::End | Signalled::HangUp)) = self.signals.try_recv() {
                return Some(Turn::Signal(signal));
            }
            self.reaped = true;
            return Some(Turn::Signal(Signalled::Child));
        }
        if more {
            self.reaped = true;
            return Some(Turn::Signal(Signalled::Child));
        }
        tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => {
                self.reaped = matches!(signal, Signalled::Child);
                Some(Turn::Signal(signal))
            }
            turn = self.rest.next(deadline) => Some(turn),
            stirred = desk.stirred() => go_on(stirred),
        }
    }
}

impl Rest {
    /// Loses nothing when it is cancelled.
    async fn next(&mut self, deadline: Pin<&mut Sleep>) -> Turn {
        tokio::select! {
            biased;
            () = deadline => Turn::Deadline,
            Some(report) = self.reports.recv() => Turn::Report(report),
            Some(done) = self.done.recv() => Turn::Done(done),
            Some(read) = self.readings.recv() => Turn::Configured(read),
            Some(found) = self.found.recv() => Turn::Found(found),
            Some(news) = self.healed.recv() => Turn::Healer(news),
            Some(gone) = self.gone.recv() => Turn::Gone(gone),
        }
    }
}

/// Somebody else's turn changed what the loop waits for; or did not come to its end.
fn go_on(broken: bool) -> Option<Turn> {
    if broken {
        std::panic::resume_unwind(Box::new("a turn panicked"));
    }
    None
}

/// A signal that means something to the supervisor.
pub(crate) enum Signalled {
    /// A child ended.
    Child,
    /// Somebody wants the supervisor to end.
    End,
    /// The configuration is to be read again: there is no terminal to lose.
    HangUp,
}

/// Gathers all signals in one queue, so that a turn of the loop has one place to look.
pub(crate) fn signals() -> std::io::Result<mpsc::Receiver<Signalled>> {
    let (to_loop, signals) = mpsc::channel(SIGNAL_QUEUE);
    let mut child = signal(SignalKind::child())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    tokio::task::spawn_local(async move {
        loop {
            let signalled = tokio::select! {
                _ = child.recv() => Signalled::Child,
                _ = terminate.recv() => Signalled::End,
                _ = interrupt.recv() => Signalled::End,
                _ = hang_up.recv() => Signalled::HangUp,
            };
            if to_loop.send(signalled).await.is_err() {
                break;
            }
        }
    });
    Ok(signals)
}
