//! A connection to the supervisor on which hello was said.

use super::link::{Link, Tick};
use crate::conn::RequestId;
use crate::error::Error;
use crate::pages::{Paged, Pages, line_of};
use crate::pulse::{Deadline, ahead};
use gob_protocol::answer::ServerInfo;
use gob_protocol::limits::REQUEST_MS;
use gob_protocol::request::Subscribe;
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
    /// What it is subscribed to, for the pages that a snapshot leaves out.
    pub(crate) subscribed: Subscribe,
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

    /// The next event of the subscription as it came, or `lagged` with its whole snapshot; `None` at the deadline or the
    /// connection's end. The pages of a snapshot are asked for whatever the deadline says, each for [`Client::TIMEOUT`].
    ///
    /// # Errors
    /// When the socket fails, or a page can't be had.
    pub fn next_event(&mut self, deadline: Option<Instant>) -> Result<Option<String>, Error> {
        let Some(line) = self.link.next_event(deadline)? else { return Ok(None) };
        match Pages::of_frame(&self.subscribed, &line) {
            Some(pages) => Ok(Some(line_of(&self.collect(pages)?)?)),
            None => Ok(Some(line)),
        }
    }

    /// Asks for the pages of a snapshot that are missing. Events that come meanwhile stay behind it.
    pub(crate) fn collect<T: Paged>(&mut self, mut pages: Pages<T>) -> Result<T, Error> {
        loop {
            match pages {
                Pages::Whole(message) => return Ok(message),
                Pages::More(rest) => {
                    let page = self.call(&rest.request(), Self::TIMEOUT)?;
                    pages = rest.take(&page)?;
                }
            }
        }
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
