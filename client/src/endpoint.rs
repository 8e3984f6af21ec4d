//! One connection to a worker's own endpoint: the same framing, requests of the worker's own types.
//!
//! The supervisor has no part in this: clients talk to workers directly.

use crate::blocking::link::{Came, Ends, Link};
use crate::blocking::socket::{NoConnection, connect};
use crate::conn::RequestId;
use crate::error::Error;
use crate::pulse::ahead;
use serde_json::value::RawValue;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A connection to a worker.
#[derive(Debug)]
pub struct Endpoint {
    link: Link,
}

impl Endpoint {
    /// Connects to an endpoint from a view. Only `unix:/absolute/path` speaks this protocol.
    ///
    /// # Errors
    /// When it is another kind of endpoint, or no process of this user accepts on it.
    pub fn connect(endpoint: &str, timeout: Duration) -> Result<Self, Error> {
        let unsupported = || Error::Connect {
            socket: PathBuf::from(endpoint),
            source: io::Error::new(io::ErrorKind::Unsupported, "only unix: endpoints speak JSON lines"),
        };
        let path = endpoint.strip_prefix("unix:").map(Path::new).ok_or_else(unsupported)?;
        let failed = |source| Error::Connect { socket: path.to_owned(), source };
        match connect(path, ahead(timeout)) {
            Ok(stream) => Ok(Self { link: Link::new(Ends::Socket(stream), path)? }),
            Err(NoConnection::Nobody) => Err(failed(io::ErrorKind::ConnectionRefused.into())),
            Err(NoConnection::Failed(source)) => Err(failed(source)),
            Err(NoConnection::Peer(uid)) => Err(Error::Peer { socket: path.to_owned(), uid }),
        }
    }

    /// Sends one request and waits for its data.
    ///
    /// # Errors
    /// The worker's own, a timeout, or a lost connection.
    pub fn call(
        &mut self,
        type_name: &str,
        payload: Option<&RawValue>,
        timeout: Duration,
    ) -> Result<Box<RawValue>, Error> {
        let id = self.send(type_name, payload)?;
        self.wait(id, timeout)
    }

    /// Queues a request; it goes out with the next wait.
    ///
    /// # Errors
    /// `frame-too-long`.
    pub fn send(&mut self, type_name: &str, payload: Option<&RawValue>) -> Result<RequestId, Error> {
        Ok(self.link.conn().request_raw(type_name, payload)?)
    }

    /// Waits for the answer to a request.
    ///
    /// # Errors
    /// As [`Endpoint::call`].
    pub fn wait(&mut self, id: RequestId, timeout: Duration) -> Result<Box<RawValue>, Error> {
        Ok(self.link.wait(id, timeout.into())??)
    }

    /// Waits for the answer to a request that reports its progress, or answers in parts, by frames of its
    /// own. `timeout` counts from the last of them.
    ///
    /// # Errors
    /// As [`Endpoint::call`], and the error of `on_frame`.
    pub fn wait_with_frames<E: From<Error>>(
        &mut self,
        id: RequestId,
        timeout: Duration,
        mut on_frame: impl FnMut(&str) -> Result<(), E>,
    ) -> Result<Box<RawValue>, E> {
        loop {
            match self.link.wait_or_event(id, timeout)? {
                Came::Event(frame) => on_frame(&frame)?,
                Came::Answer(answer) => return Ok(answer.map_err(Error::from)?),
            }
        }
    }
}
