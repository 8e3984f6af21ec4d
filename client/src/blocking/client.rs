//! A connection to the supervisor after its hello.

use super::link::Link;
use crate::call::{Call, List, Reply, Sent, Subscribe};
use crate::error::Error;
use crate::pages::{Paged, Pages, line_of};
use crate::pulse::{Deadline, ahead};
use crate::ssh::{Address, Process};
use gob_protocol::answer::{ListData, ServerInfo, SubscribeData};
use gob_protocol::limits::REQUEST_MS;
use gob_protocol::{Name, Owner, View};
use std::convert::Infallible;
use std::ops::ControlFlow;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A connection to the supervisor after its hello.
#[derive(Debug)]
pub struct Client {
    pub(super) link: Link,
    pub(super) server: ServerInfo,
    pub(super) owner: Owner,
    pub(super) features: Vec<String>,
    /// The subscription's filter, for the pages that a snapshot leaves out.
    pub(crate) subscribed: Subscribe,
    /// The other machine, and the ssh that carries the connection to it.
    pub(super) way: Option<(Address, Arc<Process>)>,
}

impl Client {
    /// Time limit of an ordinary request.
    pub const TIMEOUT: Duration = Duration::from_millis(REQUEST_MS);

    /// Returns the supervisor's description of itself.
    #[must_use]
    pub const fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// Returns whether the supervisor has an addition after version 1.0 of the protocol, such as `jobs`.
    #[must_use]
    pub fn has_feature(&self, feature: &str) -> bool {
        self.features.iter().any(|has| has == feature)
    }

    /// Returns the owner that the connection is bound to.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Returns its socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        self.link.path()
    }

    /// Sends a call and reads the data of its answer, within the call's own time limit.
    ///
    /// # Errors
    /// The supervisor's, [`Error::Timeout`] at the deadline, [`Error::Stalled`], or a lost connection.
    pub fn ask<C: Call>(&mut self, call: C) -> Result<C::Data, Error> {
        let deadline = call.deadline();
        self.call(call, deadline)?.read()
    }

    /// Sends a call and waits for its answer.
    ///
    /// # Errors
    /// As [`Client::send`] and [`Client::wait`].
    pub fn call<C: Call>(&mut self, call: C, deadline: impl Into<Deadline>) -> Result<Reply<C>, Error> {
        let sent = self.send(call)?;
        self.wait(sent, deadline)
    }

    /// Queues a call; it goes out with the next wait. Any number may be open at once.
    ///
    /// # Errors
    /// `frame-too-long`.
    pub fn send<C: Call>(&mut self, call: C) -> Result<Sent<C>, Error> {
        let deadline = call.deadline();
        Ok(Sent::new(self.link.conn().request(&call.into_request())?, deadline))
    }

    /// Waits for the answer to a call.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn wait<C: Call>(&mut self, sent: Sent<C>, deadline: impl Into<Deadline>) -> Result<Reply<C>, Error> {
        Ok(Reply::new(self.link.wait(sent.id, deadline.into())??))
    }

    /// As [`Client::wait`], calling `tick` at intervals with the time since the wait began.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn wait_ticking<C: Call>(
        &mut self,
        sent: Sent<C>,
        deadline: impl Into<Deadline>,
        every: Duration,
        tick: &mut dyn FnMut(Duration),
    ) -> Result<Reply<C>, Error> {
        let mut goes_on = |waited| {
            tick(waited);
            ControlFlow::<Infallible>::Continue(())
        };
        let ControlFlow::Continue(reply) = self.wait_while(sent, deadline, every, &mut goes_on)?;
        Ok(reply)
    }

    /// As [`Client::wait_ticking`], until `tick` breaks; the answer can be waited for again then.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn wait_while<C: Call, B>(
        &mut self,
        sent: Sent<C>,
        deadline: impl Into<Deadline>,
        every: Duration,
        tick: &mut dyn FnMut(Duration) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, Reply<C>>, Error> {
        Ok(match self.link.wait_while(sent.id, deadline.into(), Some((every, tick)))? {
            ControlFlow::Continue(answer) => ControlFlow::Continue(Reply::new(answer?)),
            ControlFlow::Break(why) => ControlFlow::Break(why),
        })
    }

    /// Requests the workers that pass every filter, by name, page after page.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn list(&mut self, filter: List) -> Result<Vec<View>, Error> {
        let first = self.ask(filter.clone())?;
        self.rest_of_list(filter, first)
    }

    /// Collects the pages that follow the first one of a list. With a `limit` there are none.
    fn rest_of_list(&mut self, mut filter: List, first: ListData) -> Result<Vec<View>, Error> {
        let ListData { workers: mut all, mut next } = first;
        // A page that does not advance ends it.
        while filter.limit.is_none() && next.is_some() && next > filter.after {
            filter.after = next;
            let page = self.ask(filter.clone())?;
            all.extend(page.workers);
            next = page.next;
        }
        Ok(all)
    }

    /// Returns the whole list that begins with the answer to `filter`: most often that is all.
    ///
    /// # Errors
    /// As [`Client::list`].
    pub fn whole_list(&mut self, filter: &List, first: Reply<List>) -> Result<Reply<List>, Error> {
        #[derive(serde::Deserialize)]
        struct Next {
            next: Option<Name>,
        }
        if first.read_as::<Next>()?.next.is_none() || filter.limit.is_some() {
            return Ok(first);
        }
        let workers = self.rest_of_list(filter.clone(), first.read()?)?;
        serde_json::value::to_raw_value(&ListData { workers, next: None })
            .map(Reply::new)
            .map_err(|source| Error::Answer { request: List::TYPE.to_owned(), source })
    }

    /// Subscribes to events, which [`Client::next_event`] returns. A snapshot that comes in pages is collected.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub fn subscribe(&mut self, subscribe: Subscribe) -> Result<SubscribeData, Error> {
        let data = self.ask(subscribe.clone())?;
        self.subscribed = subscribe;
        let pages = Pages::of_answer(&self.subscribed, data);
        self.collect(pages)
    }

    /// Returns the next event of the subscription as it came, or `lagged` with its whole snapshot; `None` at
    /// the deadline or the connection's end. The pages of a snapshot are requested regardless of the
    /// deadline, each for [`Client::TIMEOUT`].
    ///
    /// # Errors
    /// When the socket fails, or a page can't be had.
    pub fn next_event(&mut self, deadline: Option<Instant>) -> Result<Option<String>, Error> {
        let Some(line) = self.link.next_event(deadline)? else { return Ok(None) };
        self.whole(line).map(Some)
    }

    /// Returns the next event of the subscription that has come, without a wait for one. The pages of a snapshot are
    /// requested as by [`Client::next_event`].
    ///
    /// # Errors
    /// As [`Client::next_event`].
    pub fn arrived_event(&mut self) -> Result<Option<String>, Error> {
        let Some(line) = self.link.arrived_event()? else { return Ok(None) };
        self.whole(line).map(Some)
    }

    /// Returns whether an event has come in beside an answer: the socket need not be readable for it.
    #[must_use]
    pub fn has_event(&self) -> bool {
        self.link.has_event()
    }

    /// Returns the answer to a call if it has come, without a wait for it. Sends what is queued.
    ///
    /// # Errors
    /// The supervisor's, or a lost connection.
    pub fn arrived_answer<C: Call>(&mut self, sent: Sent<C>) -> Result<Option<Reply<C>>, Error> {
        Ok(self.link.arrived_answer(sent.id)?.transpose()?.map(Reply::new))
    }

    /// Returns a frame as it came, or `lagged` with its whole snapshot.
    fn whole(&mut self, line: String) -> Result<String, Error> {
        match Pages::of_frame(&self.subscribed, &line) {
            Some(pages) => line_of(&self.collect(pages)?),
            None => Ok(line),
        }
    }

    /// Requests the missing pages of a snapshot. Events that come meanwhile stay behind it.
    pub(crate) fn collect<T: Paged>(&mut self, mut pages: Pages<T>) -> Result<T, Error> {
        loop {
            match pages {
                Pages::Whole(message) => return Ok(message),
                Pages::More(rest) => {
                    let page = self.ask(rest.request())?;
                    pages = rest.take(page);
                }
            }
        }
    }

    /// Waits until the supervisor closes the connection, as at its exit; false after `timeout`.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn wait_for_end(&mut self, timeout: Duration) -> Result<bool, Error> {
        self.link.wait_for_end(ahead(timeout))
    }

    /// Returns whether the connection has ended.
    #[must_use]
    pub const fn has_ended(&self) -> bool {
        self.link.has_ended()
    }

    /// Returns the address of the other machine where the connection to it has ended for a reason that is none of its
    /// supervisor's: the network, sshd, ssh itself. Waits 2 s for the end of ssh at most.
    #[must_use]
    pub fn lost_way(&self) -> Option<&Address> {
        let (address, ssh) = self.way.as_ref().filter(|_| self.has_ended())?;
        ssh.has_failed().then_some(address)
    }

    /// Returns the socket, to notice its end while no answer is awaited.
    #[must_use]
    pub fn as_fd(&self) -> BorrowedFd<'_> {
        self.link.as_fd()
    }

    /// Gives the descriptors and the connection's state away, for another transport to go on with.
    #[cfg(feature = "tokio")]
    pub(crate) fn into_parts(self) -> (super::link::Ends, crate::conn::Connection) {
        self.link.into_parts()
    }
}
