//! The reconnecting subscription without blocking; see [`crate::subscription`].

use super::link::Link;
use crate::autostart::changes;
use crate::blocking::Connector;
use crate::conn::{Failure, Received};
use crate::error::Error;
use crate::requests::read;
use crate::subscription::{Cursor, Update, may_pass};
use gob_protocol::Request;
use gob_protocol::answer::SubscribeData;
use gob_protocol::request::Subscribe;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// A subscription on connections of its own.
#[derive(Debug)]
pub struct Subscription {
    connector: Connector,
    cursor: Cursor,
    pub(super) link: Option<Link>,
    socket: PathBuf,
}

impl Subscription {
    /// How long to wait between looks at a directory in which nothing seems to happen.
    const LOOK: Duration = Duration::from_secs(5);

    /// A subscription that is not connected yet; see [`crate::subscription::Subscription::new`].
    #[must_use]
    pub fn new(connector: Connector, filter: Subscribe) -> Self {
        let socket = connector.dirs().socket();
        Self { connector, cursor: Cursor::new(filter), link: None, socket }
    }

    /// Waits for the next update. Cancel safe while connected; while not, what is dropped is an attempt to connect.
    ///
    /// # Errors
    /// As [`crate::subscription::Subscription::next`].
    pub async fn next(&mut self) -> Result<Update, Error> {
        let Some(link) = &mut self.link else { return self.connect().await };
        loop {
            match link.next().await {
                Ok(Some(Received::Event(line))) => {
                    self.cursor.frame(&line);
                    return Ok(Update::Frame(line));
                }
                Ok(Some(Received::Response { .. } | Received::Unassigned(_) | Received::Dropped(_))) => {}
                Ok(None) => {
                    self.link = None;
                    return Ok(Update::Disconnected);
                }
                Err(source) => {
                    self.link = None;
                    return Err(Error::Io { socket: self.socket.clone(), source });
                }
            }
        }
    }

    async fn connect(&mut self) -> Result<Update, Error> {
        loop {
            // Watched before the attempt, so that a socket published right after it wakes the wait.
            let changes = changes(self.connector.dirs());
            match self.subscribe().await {
                Ok((link, data)) => {
                    self.cursor.subscribed(&data);
                    self.link = Some(link);
                    return Ok(Update::Subscribed(data));
                }
                Err(error) if may_pass(&error) => {}
                Err(error) => return Err(error),
            }
            // The wait holds nothing but the watch, and ends by itself when nobody is left to hear of it.
            let waited = tokio::task::spawn_blocking(move || changes.wait(Instant::now() + Self::LOOK)).await;
            waited.map_err(|error| self.failed(io::Error::other(error)))?;
        }
    }

    async fn subscribe(&mut self) -> Result<(Link, SubscribeData), Error> {
        let client = super::connect(self.connector.clone()).await?;
        self.socket = client.socket().to_owned();
        let (stream, conn) = client.into_parts();
        let mut link = Link::new(stream, conn).map_err(|source| self.failed(source))?;
        let id = link.conn().request(&Request::Subscribe(self.cursor.request()))?;
        let answer = tokio::time::timeout(crate::blocking::Client::TIMEOUT, async {
            loop {
                match link.next().await {
                    Ok(Some(Received::Response { id: got, answer })) if got == id => return Ok(answer),
                    Ok(Some(_)) => {}
                    Ok(None) => return Ok(Err(Failure::Lost { request: "subscribe".to_owned() })),
                    Err(source) => return Err(source),
                }
            }
        });
        let after = crate::blocking::Client::TIMEOUT;
        let answer = answer.await.map_err(|_| Error::Timeout {
            request: "subscribe".to_owned(),
            after,
            sent: true,
        })?;
        let data = answer.map_err(|source| self.failed(source))??;
        Ok((link, read("subscribe", &data)?))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { socket: self.socket.clone(), source }
    }
}
