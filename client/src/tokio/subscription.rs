//! The reconnecting subscription without blocking; see [`crate::subscription`].

use super::link::Link;
use crate::blocking::Connector;
use crate::call::{Call, List, Reply};
use crate::conn::{Answer, Failure, Received, RequestId};
use crate::error::Error;
use crate::pages::{Pages, Rest, line_of};
use crate::subscription::{Cursor, Update, may_pass};
use gob_protocol::answer::SubscribeData;
use gob_protocol::event::Lagged;
use gob_protocol::request::Subscribe;
use std::collections::VecDeque;
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
    /// The requested page.
    rest: Option<Asked>,
    /// The frames behind a snapshot whose pages are waited for.
    behind: VecDeque<String>,
}

/// A requested page of a `lagged` snapshot.
#[derive(Debug)]
struct Asked {
    id: RequestId,
    rest: Box<Rest<Lagged>>,
    until: Instant,
}

impl Subscription {
    /// Time between checks of a directory without events.
    const LOOK: Duration = Duration::from_secs(5);

    /// Creates a subscription that is not connected yet; see [`crate::subscription::Subscription::new`].
    #[must_use]
    pub fn new(connector: Connector, filter: Subscribe) -> Self {
        let socket = connector.dirs().socket();
        Self {
            connector,
            cursor: Cursor::new(filter),
            link: None,
            socket,
            rest: None,
            behind: VecDeque::new(),
        }
    }

    /// Waits for the next update. Cancel safe while connected; otherwise a drop cancels an attempt to
    /// connect.
    ///
    /// # Errors
    /// As [`crate::subscription::Subscription::next`].
    pub async fn next(&mut self) -> Result<Update, Error> {
        loop {
            let Some(link) = &mut self.link else { return self.connect().await };
            if self.rest.is_none()
                && let Some(line) = self.behind.pop_front()
            {
                if let Some(update) = self.take(line)? {
                    return Ok(update);
                }
                continue;
            }
            let received = match (link.next(), &self.rest) {
                (next, None) => next.await,
                // Without its pages the snapshot is requested anew, on another connection.
                (next, Some(rest)) => match tokio::time::timeout_at(rest.until.into(), next).await {
                    Ok(received) => received,
                    Err(_) => Ok(None),
                },
            };
            match received {
                Ok(Some(Received::Event(line))) => self.behind.push_back(line),
                Ok(Some(Received::Response { id, answer })) => {
                    if let Some(update) = self.page(id, answer)? {
                        return Ok(update);
                    }
                }
                Ok(Some(Received::Unassigned(_) | Received::Dropped(_))) => {}
                Ok(None) => return Ok(self.disconnected()),
                Err(source) => {
                    self.disconnected();
                    return Err(self.failed(source));
                }
            }
        }
    }

    fn disconnected(&mut self) -> Update {
        (self.link, self.rest) = (None, None);
        self.behind.clear();
        Update::Disconnected
    }

    /// Takes a frame; one with pages to come is kept until they are there.
    fn take(&mut self, line: String) -> Result<Option<Update>, Error> {
        match Pages::of_frame(&self.cursor.request(), &line) {
            Some(pages) => self.collect(pages),
            None => Ok(Some(self.frame(line))),
        }
    }

    fn frame(&mut self, line: String) -> Update {
        self.cursor.frame(&line);
        Update::Frame(line)
    }

    /// Takes an answer, which may be the requested page.
    fn page(&mut self, id: RequestId, answer: Answer) -> Result<Option<Update>, Error> {
        let Some(Asked { rest, .. }) = self.rest.take_if(|asked| asked.id == id) else { return Ok(None) };
        match answer {
            Ok(page) => {
                let pages = rest.take(Reply::<List>::new(page).read()?);
                self.collect(pages)
            }
            Err(failure) => {
                let (update, error) = (self.disconnected(), Error::from(failure));
                if may_pass(&error) { Ok(Some(update)) } else { Err(error) }
            }
        }
    }

    /// Requests the next page, or hands the whole snapshot out.
    fn collect(&mut self, pages: Pages<Lagged>) -> Result<Option<Update>, Error> {
        match (pages, &mut self.link) {
            (Pages::Whole(lagged), _) => Ok(Some(self.frame(line_of(&lagged)?))),
            (Pages::More(rest), Some(link)) => {
                let id = link.conn().request(&rest.request().into_request())?;
                let until = Instant::now() + crate::blocking::Client::TIMEOUT;
                self.rest = Some(Asked { id, rest, until });
                Ok(None)
            }
            (Pages::More(_), None) => Ok(Some(self.disconnected())),
        }
    }

    async fn connect(&mut self) -> Result<Update, Error> {
        loop {
            // Watched before the attempt, so that a socket published right after it wakes the wait.
            let changes = self.connector.changes();
            match self.subscribe().await {
                Ok((link, data)) => {
                    self.cursor.subscribed(&data);
                    self.link = Some(link);
                    return Ok(Update::Subscribed(data));
                }
                Err(error) if may_pass(&error) => {}
                Err(error) => return Err(error),
            }
            // The wait holds only the watch, and ends by itself when its receiver is gone.
            let waited = super::beside(move || changes.wait(Instant::now() + Self::LOOK)).await;
            waited.map_err(|error| self.failed(error))?;
        }
    }

    async fn subscribe(&mut self) -> Result<(Link, SubscribeData), Error> {
        // An attempt that was given up may have left some.
        self.behind.clear();
        let client = super::connect(self.connector.waiting(None)).await?;
        self.socket = client.socket().to_owned();
        let (ends, conn) = client.into_parts();
        let mut link = Link::new(ends, conn).map_err(|source| self.failed(source))?;
        let filter = self.cursor.request();
        let answer = self.answer(&mut link, filter.clone()).await?;
        let mut pages = Pages::of_answer(&filter, answer);
        loop {
            match pages {
                Pages::Whole(data) => return Ok((link, data)),
                Pages::More(rest) => {
                    let page = self.answer(&mut link, rest.request()).await?;
                    pages = rest.take(page);
                }
            }
        }
    }

    /// Waits for the answer to one call; events that come before it stay behind it.
    async fn answer<C: Call>(&mut self, link: &mut Link, call: C) -> Result<C::Data, Error> {
        let id = link.conn().request(&call.into_request())?;
        let lost = || Failure::Lost { request: C::TYPE.to_owned() };
        let answer = tokio::time::timeout(crate::blocking::Client::TIMEOUT, async {
            loop {
                match link.next().await {
                    Ok(Some(Received::Response { id: got, answer })) if got == id => return Ok(answer),
                    Ok(Some(Received::Event(line))) => self.behind.push_back(line),
                    Ok(Some(_)) => {}
                    Ok(None) => return Ok(Err(lost())),
                    Err(source) => return Err(source),
                }
            }
        });
        let after = crate::blocking::Client::TIMEOUT;
        let request = C::TYPE.to_owned();
        let answer = answer.await.map_err(|_| Error::Timeout { request, after, sent: true })?;
        Reply::<C>::new(answer.map_err(|source| self.failed(source))??).read()
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Io { socket: self.socket.clone(), source }
    }
}
