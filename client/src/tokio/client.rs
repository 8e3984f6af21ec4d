//! Requests over one connection, from any number of tasks at once.

use super::link::Link;
use crate::blocking::Connector;
use crate::conn::{Answer, Failure, Received, RequestId};
use crate::error::Error;
use crate::pulse::{Beat, Deadline, Pulse};
use crate::requests::{deadline_of, read};
use gob_protocol::answer::{ListData, PingData, ServerInfo, StartData, StopData, WorkerData};
use gob_protocol::request::{ByName, List, Restart, Start, Stop};
use gob_protocol::{Name, Owner, Request, Status, View};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
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

/// A handle to a connection on which hello was said. Clones share it; it ends with the last of them.
#[derive(Debug, Clone)]
pub struct Client {
    asks: mpsc::Sender<Ask>,
    server: ServerInfo,
    owner: Owner,
}

impl Client {
    /// Connects, starting the supervisor if the connector says so, and says hello. Has to be called on a runtime: a
    /// task on it moves the bytes.
    ///
    /// # Errors
    /// As [`Connector::connect`].
    pub async fn connect(connector: Connector) -> Result<Self, Error> {
        let client = super::connect(connector).await?;
        let (server, owner) = (client.server().clone(), client.owner().clone());
        let path = client.socket().to_owned();
        let (stream, conn) = client.into_parts();
        let link = Link::new(stream, conn).map_err(|source| Error::Io { socket: path, source })?;
        let (asks, queue) = mpsc::channel(QUEUE);
        // The task ends by itself when the last handle or the connection does.
        drop(tokio::spawn(drive(link, queue)));
        Ok(Self { asks, server, owner })
    }

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

    /// Sends one request and waits for its data as it came. Dropping the future gives up the answer, not the work.
    ///
    /// # Errors
    /// The supervisor's, [`Error::Timeout`] at the deadline, [`Error::Stalled`], or a lost connection.
    pub async fn call(
        &self,
        request: Request,
        deadline: impl Into<Deadline>,
    ) -> Result<Box<RawValue>, Error> {
        let (name, deadline) = (request.type_name(), deadline.into());
        let (reply, answer) = oneshot::channel();
        let exchange = async {
            self.asks.send(Ask { request, deadline, reply }).await.map_err(|_| lost(name))?;
            answer.await.map_err(|_| lost(name))?
        };
        let answer = match deadline {
            Deadline::In(after) => tokio::time::timeout(after, exchange)
                .await
                .map_err(|_| Error::Timeout { request: name.to_owned(), after, sent: true })?,
            Deadline::WhileAlive => exchange.await,
        };
        Ok(answer??)
    }

    /// Sends one request and reads its data, with the deadline that suits the request.
    ///
    /// # Errors
    /// As [`Client::call`], and when the data has another shape.
    pub async fn ask<T: DeserializeOwned>(&self, request: Request) -> Result<T, Error> {
        let (name, deadline) = (request.type_name(), deadline_of(&request));
        let data = self.call(request, deadline).await?;
        read(name, &data)
    }

    /// `ping`.
    ///
    /// # Errors
    /// As [`Client::ask`]; so for all requests.
    pub async fn ping(&self) -> Result<PingData, Error> {
        self.ask(Request::Ping).await
    }

    /// `start`: ensures that a worker runs.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn start(&self, start: Start) -> Result<StartData, Error> {
        self.ask(Request::Start(start)).await
    }

    /// `stop`: ends a worker and its whole tree.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn stop(&self, stop: Stop) -> Result<StopData, Error> {
        self.ask(Request::Stop(stop)).await
    }

    /// `restart`.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn restart(&self, restart: Restart) -> Result<StopData, Error> {
        self.ask(Request::Restart(restart)).await
    }

    /// `lease`: holds a worker until [`Client::release`] or until the connection ends.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn lease(&self, name: Name) -> Result<View, Error> {
        self.ask::<WorkerData>(Request::Lease(ByName { name })).await.map(|data| data.worker)
    }

    /// `release`: gives a lease back.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn release(&self, name: Name) -> Result<View, Error> {
        self.ask::<WorkerData>(Request::Release(ByName { name })).await.map(|data| data.worker)
    }

    /// `list`: the workers that pass every filter, by name.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn list(&self, filter: List) -> Result<Vec<View>, Error> {
        let mut filter = filter;
        let mut all = Vec::new();
        loop {
            let ListData { workers, next } = self.ask(Request::List(filter.clone())).await?;
            all.extend(workers);
            // Where a `limit` was asked for there is one page, and one that leads nowhere is the last.
            if filter.limit.is_some() || next.is_none() || next <= filter.after {
                return Ok(all);
            }
            filter.after = next;
        }
    }

    /// `get`: one worker.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn get(&self, name: Name) -> Result<View, Error> {
        self.ask::<WorkerData>(Request::Get(ByName { name })).await.map(|data| data.worker)
    }

    /// `status`: the supervisor's own health.
    ///
    /// # Errors
    /// As [`Client::ask`].
    pub async fn status(&self) -> Result<Status, Error> {
        self.ask(Request::Status).await
    }
}

fn lost(request: &str) -> Error {
    Error::Lost { request: request.to_owned() }
}

/// Moves requests and answers until the connection or the last handle is gone. Events are not asked for here.
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
                // What came while this process was stopped itself is still to be read.
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
                    Err(error) => drop(reply.send(Ok(Err(Failure::Refused(error))))),
                }
            }
            received = link.next() => match received {
                Ok(Some(received)) => open.take(received, &mut pulse),
                // Dropping the senders tells all who wait that the connection is lost.
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

/// Who waits for which answer.
#[derive(Default)]
struct Open(BTreeMap<RequestId, Waiter>);

impl Open {
    fn insert(&mut self, id: RequestId, waiter: Waiter) {
        self.0.insert(id, waiter);
    }

    /// Whether anybody waits for as long as the supervisor lives.
    fn patient(&self) -> bool {
        self.0.values().any(|waiter| waiter.deadline == Deadline::WhileAlive && !waiter.reply.is_closed())
    }

    fn take(&mut self, received: Received, pulse: &mut Pulse) {
        match received {
            Received::Response { id, .. } if pulse.answered(id) => {}
            Received::Response { id, answer } => {
                if let Some(waiter) = self.0.remove(&id) {
                    // Nobody waits any more where the future was dropped.
                    drop(waiter.reply.send(Ok(answer)));
                }
            }
            Received::Event(_) | Received::Unassigned(_) | Received::Dropped(_) => {}
        }
    }

    /// Tells all who wait for as long as the supervisor lives that it does not seem to.
    fn give_up(&mut self) {
        for (id, waiter) in std::mem::take(&mut self.0) {
            if waiter.deadline == Deadline::WhileAlive {
                let stalled = Error::Stalled { request: waiter.request.to_owned(), silent: Pulse::SILENCE };
                drop(waiter.reply.send(Err(stalled)));
            } else {
                self.0.insert(id, waiter);
            }
        }
    }
}
