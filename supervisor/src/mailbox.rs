//! The one queue into the main loop.
//!
//! Events from beside the loop arrive here, in their order; ends of children and other signals do not,
//! so that they wait behind no queue (`turns`). The queue is bounded: a task that finds no room waits, which
//! delays only itself, and a thread keeps its messages (`output::reports`).

use crate::{foreign, heal, output, programs, readiness, recovery, shell};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};

/// Messages that may wait for the main loop.
const ROOM: usize = 256;

/// A message to the main loop.
pub(crate) enum Happened {
    /// A worker's output reports on it.
    Output(output::FromOutput),
    /// A probe of a run has a result.
    Probed(readiness::Found),
    /// A process that gob did not start was examined, or has ended.
    Foreign(foreign::Found),
    /// Work beside the loop is done.
    Done(shell::Done),
    /// The configuration was read.
    Configured(gob_core::Read),
    /// Files of gob's own, or sockets of workers, were lost.
    Healer(heal::News),
    /// Programs of workers were replaced on disk, or were looked at.
    Programs(programs::News),
    /// A process of an earlier supervisor has ended.
    Gone(recovery::Gone),
}

/// Puts messages of one type into the queue. Clones put into the same queue.
pub(crate) struct Post<T> {
    to_loop: Sender<Happened>,
    wrap: fn(T) -> Happened,
}

/// Makes the queue.
pub(crate) fn mailbox() -> (Sender<Happened>, Receiver<Happened>) {
    mpsc::channel(ROOM)
}

impl<T> Post<T> {
    /// Creates an entry to the queue for messages that `wrap` makes part of [`Happened`].
    pub(crate) fn new(to_loop: &Sender<Happened>, wrap: fn(T) -> Happened) -> Self {
        Self { to_loop: to_loop.clone(), wrap }
    }

    /// Waits for room and sends. False when there is no main loop any more; most senders can ignore that.
    pub(crate) async fn send(&self, message: T) -> bool {
        self.to_loop.send((self.wrap)(message)).await.is_ok()
    }

    /// As [`Post::send`], on a thread that may wait.
    pub(crate) fn send_blocking(&self, message: T) -> bool {
        self.to_loop.blocking_send((self.wrap)(message)).is_ok()
    }

    /// Sends if there is room.
    ///
    /// # Errors
    /// The message, if there is none. Without a main loop it is dropped.
    pub(crate) fn try_send(&self, message: T) -> Result<(), T> {
        match self.to_loop.try_reserve() {
            Ok(room) => {
                room.send((self.wrap)(message));
                Ok(())
            }
            Err(TrySendError::Closed(())) => Ok(()),
            Err(TrySendError::Full(())) => Err(message),
        }
    }
}

impl<T> Clone for Post<T> {
    fn clone(&self) -> Self {
        Self { to_loop: self.to_loop.clone(), wrap: self.wrap }
    }
}

impl<T> std::fmt::Debug for Post<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Post").finish_non_exhaustive()
    }
}
