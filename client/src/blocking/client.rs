//! A connection to the supervisor on which hello was said.

use super::link::{Link, Tick};
use crate::conn::RequestId;
use crate::error::Error;
use crate::pulse::{Deadline, ahead};
use gob_protocol::answer::ServerInfo;
use gob_protocol::limits::REQUEST_MS;
use gob_protocol::{Owner, Request};
use serde_json::value::RawValue;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::{Duration, Instant};

/// A connection to the supervisor on which hello was said.
#[derive(Debug)]
pub struct Client {
    pub(super) link: Link,
    pub(super) server: ServerInfo,
    pub(super) owner: Owner,
}

impl Client {
    /// How long an ordinary request may take.
    pub const TIMEOUT: Duration = Duration::from_millis(REQUEST_MS);

    /// Who answers.
    #[must_use]
    pub const fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// The owner that the connection is bound to.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// The socket it is connected to.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.link.path()
    }

    /// Queues a request; it goes out with the next wait. Any number may be open at once.
    ///
    /// # Errors
    /// `frame-too-long`.
    pub fn send(&mut self, request: &Request) -> Result<RequestId, Error> {
        Ok(self.link.conn().request(request)?)
    }

    /// Waits for the answer to a request and returns its data as it came.
    ///
    /// # Errors
    /// The supervisor's, [`Error::Timeout`] at the deadline, [`Error::Stalled`], or a lost connection.
    pub fn wait(&mut self, id: RequestId, deadline: impl Into<Deadline>) -> Result<Box<RawValue>, Error> {
        Ok(self.link.wait(id, deadline.into(), None)??)
    }

    /// As [`Client::wait`], calling `tick` every so often with the time since the wait began.
    ///
    /// # Errors
    /// As [`Client::wait`].
    pub fn wait_ticking(
        &mut self,
        id: RequestId,
        deadline: impl Into<Deadline>,
        every: Duration,
        tick: &mut dyn FnMut(Duration),
    ) -> Result<Box<RawValue>, Error> {
        let tick: Tick<'_> = (every, tick);
        Ok(self.link.wait(id, deadline.into(), Some(tick))??)
    }

    /// Sends one request and waits for its data.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::wait`].
    pub fn call(&mut self, request: &Request, deadline: impl Into<Deadline>) -> Result<Box<RawValue>, Error> {
        let id = self.send(request)?;
        self.wait(id, deadline)
    }

    /// The next event of the subscription as it came, or `lagged`; `None` at the deadline or the connection's end.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn next_event(&mut self, deadline: Option<Instant>) -> Result<Option<String>, Error> {
        self.link.next_event(deadline)
    }

    /// Waits until the supervisor closes the connection, as at its exit; false when `timeout` passes first.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn wait_for_end(&mut self, timeout: Duration) -> Result<bool, Error> {
        self.link.wait_for_end(ahead(timeout))
    }

    /// Whether the connection has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.link.has_ended()
    }

    /// The socket, to see its end by while nothing is waited for.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    /// Gives the socket and the connection's state away, for another transport to go on with.
    #[cfg(feature = "tokio")]
    pub(crate) fn into_parts(self) -> (std::os::unix::net::UnixStream, crate::conn::Connection) {
        self.link.into_parts()
    }
}
