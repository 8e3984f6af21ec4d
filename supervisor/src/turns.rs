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
    pub(crate) reports: mpsc::Receiver<output::FromOutput>,
    pub(crate) done: mpsc::Receiver<shell::Done>,
    pub(crate) readings: mpsc::Receiver<gob_core::Read>,
    pub(crate) found: mpsc::Receiver<readiness::Found>,
    pub(crate) healed: mpsc::Receiver<heal::News>,
    pub(crate) gone: mpsc::Receiver<recovery::Gone>,
}

impl Sources {
    /// Waits for the next turn; nothing when requests had theirs and the next deadline may be another one.
    pub(crate) async fn next(&mut self, desk: &Desk, deadline: Pin<&mut Sleep>) -> Option<Turn> {
        // Requests have turns of their own (`desk`), a lot of which fits between two of these.
        Some(tokio::select! {
            biased;
            Some(signal) = self.signals.recv() => Turn::Signal(signal),
            () = deadline => Turn::Deadline,
            Some(report) = self.reports.recv() => Turn::Report(report),
            Some(done) = self.done.recv() => Turn::Done(done),
            Some(read) = self.readings.recv() => Turn::Configured(read),
            Some(found) = self.found.recv() => Turn::Found(found),
            Some(news) = self.healed.recv() => Turn::Healer(news),
            Some(gone) = self.gone.recv() => Turn::Gone(gone),
            broken = desk.stirred() => match broken {
                false => return None,
                true => std::panic::resume_unwind(Box::new("a turn panicked")),
            },
        })
    }
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
