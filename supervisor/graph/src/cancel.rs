//! Early ends of a running request: its deadline passed, its client is gone, or the worker stops.
//!
//! A [`Cancel`] belongs to one request. SQLite polls it every few thousand steps; walks poll it themselves.

use crate::limits::{PEER_CHECK, PROGRESS_STEPS};
use crate::requests::Refusal;
use gob_protocol::{ErrorCode, WireError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rusqlite::Connection;
use serde_json::json;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const GOES_ON: u8 = 0;
const DEADLINE: u8 = 1;
const PEER_GONE: u8 = 2;
const STOPPING: u8 = 3;

/// Decides whether one request must end.
#[derive(Debug, Clone)]
pub(crate) struct Cancel(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    limit: Duration,
    peer: Arc<UnixStream>,
    interrupt: Arc<AtomicBool>,
    /// Milliseconds after `started` at which the client was last seen.
    peer_seen: AtomicU64,
    why: AtomicU8,
}

impl Cancel {
    /// Creates the cancellation of a request that begins now and may take `limit`.
    pub(crate) fn new(limit: Duration, peer: &Arc<UnixStream>, interrupt: &Arc<AtomicBool>) -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            limit,
            peer: Arc::clone(peer),
            interrupt: Arc::clone(interrupt),
            peer_seen: AtomicU64::new(0),
            why: AtomicU8::new(GOES_ON),
        }))
    }

    /// Returns whether the request must end now.
    pub(crate) fn is_due(&self) -> bool {
        let inner = &self.0;
        if inner.why.load(Ordering::Relaxed) != GOES_ON {
            return true;
        }
        let elapsed = inner.started.elapsed();
        let why = if inner.interrupt.load(Ordering::Relaxed) {
            STOPPING
        } else if elapsed >= inner.limit {
            DEADLINE
        } else if inner.peer_is_gone(elapsed) {
            PEER_GONE
        } else {
            return false;
        };
        inner.why.store(why, Ordering::Relaxed);
        true
    }

    /// Returns the time until the deadline.
    pub(crate) fn left(&self) -> Duration {
        self.0.limit.saturating_sub(self.0.started.elapsed())
    }

    /// Returns an error if the request must end.
    ///
    /// # Errors
    /// The reason why it must end.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.is_due() { Err(self.refusal()) } else { Ok(()) }
    }

    /// Runs a request on a connection whose statements end when it is due.
    ///
    /// # Errors
    /// The request's own error; if it was interrupted, the reason.
    pub(crate) fn guard<T>(
        &self,
        connection: &mut Connection,
        run: impl FnOnce(&mut Connection) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let asked = self.clone();
        connection.progress_handler(PROGRESS_STEPS, Some(move || asked.is_due()))?;
        let result = run(connection);
        connection.progress_handler(0, None::<fn() -> bool>)?;
        if self.0.why.load(Ordering::Relaxed) == GOES_ON {
            result
        } else {
            result.map_err(|_| self.refusal())
        }
    }

    /// Returns the reason why it must end.
    pub(crate) fn refusal(&self) -> Refusal {
        let error = match self.0.why.load(Ordering::Relaxed) {
            STOPPING => WireError::new(ErrorCode::ShuttingDown, "the worker stops; nothing was changed")
                .hint("ask again once it runs"),
            PEER_GONE => WireError::new(ErrorCode::Busy, "the client is gone"),
            _ => {
                let limit_ms = u64::try_from(self.0.limit.as_millis()).unwrap_or(u64::MAX);
                WireError::new(ErrorCode::Busy, format!("the request took longer than {limit_ms} ms"))
                    .hint("ask for less at once")
                    .details(json!({"limit": "timeout_ms", "timeout_ms": limit_ms}))
            }
        };
        Refusal::from(error)
    }
}

impl Inner {
    /// A client that only shut down its sending side still wants its answer; only a closed socket is gone.
    fn peer_is_gone(&self, elapsed: Duration) -> bool {
        let now = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let seen = self.peer_seen.load(Ordering::Relaxed);
        if u128::from(now.saturating_sub(seen)) < PEER_CHECK.as_millis() {
            return false;
        }
        self.peer_seen.store(now, Ordering::Relaxed);
        let mut fds = [PollFd::new(self.peer.as_fd(), PollFlags::empty())];
        let polled = poll(&mut fds, PollTimeout::ZERO);
        let [fd] = fds;
        polled.is_ok() && fd.revents().is_some_and(|events| events.contains(PollFlags::POLLHUP))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_ends_at_the_deadline_and_the_connection_lives_on() {
        let (peer, _other) = UnixStream::pair().unwrap();
        let cancel =
            Cancel::new(Duration::from_millis(20), &Arc::new(peer), &Arc::new(AtomicBool::new(false)));
        let mut db = Connection::open_in_memory().unwrap();
        let endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT count(*) FROM n";
        let ended = cancel.guard(&mut db, |db| Ok(db.query_row(endless, [], |row| row.get::<_, i64>(0))?));
        assert_eq!(ended.unwrap_err().error().code, ErrorCode::Busy);
        assert_eq!(db.query_row("SELECT 1", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
    }

    #[test]
    fn a_client_that_closed_is_noticed() {
        let (peer, other) = UnixStream::pair().unwrap();
        let cancel = Cancel::new(Duration::from_secs(60), &Arc::new(peer), &Arc::new(AtomicBool::new(false)));
        other.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(!cancel.0.peer_is_gone(PEER_CHECK), "it still reads");
        drop(other);
        assert!(cancel.0.peer_is_gone(PEER_CHECK * 2));
    }
}
