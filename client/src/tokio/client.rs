//! Requests over one connection, from any number of tasks at once.

use super::link::Link;
use crate::blocking::Connector;
use crate::call::{Call, List, Reply};
use crate::conn::{Answer, Failure, Received, RequestId};
use crate::error::Error;
use crate::pulse::{Beat, Deadline, Pulse};
use gob_protocol::answer::{ListData, ServerInfo};
use gob_protocol::{Owner, Request, View};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Requests that wait for the task to take them. The supervisor does not read on with this many unanswered.
const QUEUE: usize = gob_protocol::limits::MAX_UNANSWERED;

struct Ask {
    request: Request,
    deadline: Deadline,
    reply: oneshot::Sender<Result<Answer, Error>>,
}

/// A handle to a connection after its hello. Clones share it; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Client {
    asks: mpsc::Sender<Ask>,
    server: ServerInfo,
    owner: Owner,
}

impl Client {
    /// Connects, starting the supervisor if the connector allows it, and says hello. Must be called on a
    /// runtime: a task on it moves the bytes.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect(connector: Connector) -> Result<Self, Error> {
        Self::over(super::connect(connector).await?)
    }

    /// Goes on with a connection that was made without a runtime, such as one over a pair of pipes.
    ///
    /// # Errors
    /// When the runtime can't take its descriptors.
    pub fn over(client: crate::blocking::Client) -> Result<Self, Error> {
        let (server, owner) = (client.server().clone(), client.owner().clone());
        let path = client.socket().to_owned();
        let (ends, conn) = client.into_parts();
        let link = Link::new(ends, conn).map_err(|source| Error::Io { socket: path, source })?;
        let (asks, queue) = mpsc::channel(QUEUE);
        // The task ends by itself when the last handle or the connection does.
        drop(tokio::spawn(drive(link, queue)));
        Ok(Self { asks, server, owner })
    }

    /// Returns the supervisor's description of itself.
    #[must_use]
    pub const fn server(&self) -> &ServerInfo {
        &self.server
    }

    /// Returns the owner that the connection is bound to.
    #[must_use]
    pub const fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Returns whether the connection is known to have ended. Requests on it fail from then on.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.asks.is_closed()
    }

    /// Sends a call and reads the data of its answer, within the call's own time limit.
    ///
    /// # Errors
    /// As [`Client::call`], and when the data has another shape.
    pub async fn ask<C: Call>(&self, call: C) -> Result<C::Data, Error> {
        let deadline = call.deadline();
        self.call(call, deadline).await?.read()
    }

    /// Sends a call and waits for its answer. Dropping the future gives up the answer, not the work.
    ///
    /// # Errors
    /// The supervisor's, [`Error::Timeout`] at the deadline, [`Error::Stalled`], or a lost connection.
    pub async fn call<C: Call>(&self, call: C, deadline: impl Into<Deadline>) -> Result<Reply<C>, Error> {
        let (request, deadline) = (call.into_request(), deadline.into());
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.asks.send(Ask { request, deadline, reply }).await.map_err(|_| lost(C::TYPE))?;
            answer.await.map_err(|_| lost(C::TYPE))?
        };
        let answer = match deadline {
            Deadline::In(after) => tokio::time::timeout(after, exchange)
                .await
                .map_err(|_| Error::Timeout { request: C::TYPE.to_owned(), after, sent: true })?,
            Deadline::WhileAlive => exchange.await,
        };
        Ok(Reply::new(answer??))
    }

    /// Requests the workers that pass every filter, by name, page after page.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn list(&self, filter: List) -> Result<Vec<View>, Error> {
        let mut filter = filter;
        let mut all = Vec::new();
        loop {
            let ListData { workers, next } = self.ask(filter.clone()).await?;
            all.extend(workers);
            // With a `limit` there is one page, and a page that does not advance is the last.
            if filter.limit.is_some() || next.is_none() || next <= filter.after {
                return Ok(all);
            }
            filter.after = next;
        }
    }
}

fn lost(request: &str) -> Error {
    Error::Lost { request: request.to_owned() }
}

/// Moves requests and answers until the connection or the last handle is gone. Events are not subscribed to
/// here.
async fn drive(mut link: Link, mut queue: mpsc::Receiver<Ask>) {
    let (mut open, mut pulse) = (Open::default(), Pulse::default());
    loop {
        let now = Instant::now();
        let until = match open.patient().then(|| pulse.step(now, link.conn().unanswered())) {
            Some(Beat::Wait(until)) => Some(until),
            Some(Beat::Ping) => {
                if let Ok(ping) = link.conn().request(&Request::Ping) {
                    pulse.asked(ping, now);
                }
                continue;
            }
            Some(Beat::Stalled) => {
                // This process may have been stopped itself: the answers of that time are still unread.
                let late = tokio::time::timeout(Duration::ZERO, link.next()).await;
                match late {
                    Ok(Ok(Some(received))) => open.take(received, &mut pulse),
                    Ok(Ok(None) | Err(_)) => return,
                    Err(_) => {
                        open.give_up();
                        pulse.begin(now);
                    }
                }
                continue;
            }
            None => None,
        };
        let beat = async {
            match until {
                Some(until) => tokio::time::sleep_until(until.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            ask = queue.recv() => {
                let Some(Ask { request, deadline, reply }) = ask else { return };
                if deadline == Deadline::WhileAlive && !open.patient() {
                    pulse.begin(now);
                }
                match link.conn().request(&request) {
                    Ok(id) => open.insert(id, Waiter { request: request.type_name(), deadline, reply }),
                    Err(error) => {
                        reply.send(Ok(Err(Failure::Refused(error)))).ok();
                    }
                }
            }
            received = link.next() => match received {
                Ok(Some(received)) => open.take(received, &mut pulse),
                // Dropping the senders tells all waiting callers that the connection is lost.
                Ok(None) | Err(_) => return,
            },
            () = beat => {}
        }
    }
}

struct Waiter {
    request: &'static str,
    deadline: Deadline,
    reply: oneshot::Sender<Result<Answer, Error>>,
}

/// The waiters, by the request that each has sent.
#[derive(Default)]
struct Open(BTreeMap<RequestId, Waiter>);

impl Open {
    fn insert(&mut self, id: RequestId, waiter: Waiter) {
        self.0.insert(id, waiter);
    }

    /// Returns whether a caller waits for as long as the supervisor lives.
    fn patient(&self) -> bool {
        self.0.values().any(|waiter| waiter.deadline == Deadline::WhileAlive && !waiter.reply.is_closed())
    }

    fn take(&mut self, received: Received, pulse: &mut Pulse) {
        match received {
            Received::Response { id, .. } if pulse.answered(id) => {}
            Received::Response { id, answer } => {
                if let Some(waiter) = self.0.remove(&id) {
                    // Where the future was dropped the answer goes nowhere.
                    waiter.reply.send(Ok(answer)).ok();
                }
            }
            Received::Event(_) | Received::Unassigned(_) | Received::Dropped(_) => {}
        }
    }

    /// Fails all callers that wait for as long as the supervisor lives: it does not seem to.
    fn give_up(&mut self) {
        for (id, waiter) in std::mem::take(&mut self.0) {
            if waiter.deadline == Deadline::WhileAlive {
                let stalled = Error::Stalled { request: waiter.request.to_owned(), silent: Pulse::SILENCE };
                waiter.reply.send(Err(stalled)).ok();
            } else {
                self.0.insert(id, waiter);
            }
        }
    }
}
