//! Typed requests: what PROTOCOL 5 offers, as methods of the blocking [`Client`].
//!
//! Each takes the protocol's own payload types and gives its data types, with the deadline that suits the request.

use crate::blocking::Client;
use crate::error::Error;
use crate::pages::Pages;
use crate::pulse::Deadline;
use gob_protocol::answer::{
    EmptyData, ListData, NukeData, PingData, ReloadData, RemovedData, ShutdownData, StartData, StopData,
    SubscribeData, WorkerData,
};
use gob_protocol::limits::{REQUEST_SLACK_MS, STOP_SLACK_MS};
use gob_protocol::request::{ByName, Force, HandOver, List, Restart, Signal, Start, Stop, Subscribe};
use gob_protocol::{Name, Owner, Request, Status, View};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::time::Duration;

/// Reads an answer's data.
///
/// # Errors
/// [`Error::Answer`] when it does not have the expected shape.
pub fn read<T: DeserializeOwned>(request: &str, data: &RawValue) -> Result<T, Error> {
    serde_json::from_str(data.get()).map_err(|source| Error::Answer { request: request.to_owned(), source })
}

/// The data of a response, with texts that may borrow from it.
///
/// # Errors
/// When it is not what the request's section in PROTOCOL.md says.
pub fn read_borrowed<'d, T: serde::Deserialize<'d>>(request: &str, data: &'d RawValue) -> Result<T, Error> {
    serde_json::from_str(data.get()).map_err(|source| Error::Answer { request: request.to_owned(), source })
}

/// Returns how long a client waits for the answer to a request (CLI, Defaults): for an ordinary one 10 s; for a start or
/// a restart as long as its own `timeout_ms` says, for a stop as long as its own `grace_ms`. What says nothing of the kind
/// goes by the worker's kind, which the supervisor knows, and is waited for as long as that lives.
#[must_use]
pub fn deadline_of(request: &Request) -> Deadline {
    let own = match request {
        Request::Start(start) => start.timeout_ms.map(|ms| ms.saturating_add(REQUEST_SLACK_MS)),
        Request::Stop(stop) if stop.force => Some(STOP_SLACK_MS),
        Request::Stop(stop) => stop.grace_ms.map(|ms| ms.saturating_add(STOP_SLACK_MS)),
        Request::Restart(restart) => restart.timeout_ms.map(|ms| ms.saturating_add(REQUEST_SLACK_MS)),
        // They stop every worker first.
        Request::Nuke(_) | Request::Shutdown(_) => None,
        // Much may have to be deleted.
        Request::GraphDelete(_) => None,
        Request::Hello(_)
        | Request::Ping
        | Request::Signal(_)
        | Request::HandOver(_)
        | Request::Lease(_)
        | Request::Release(_)
        | Request::List(_)
        | Request::Get(_)
        | Request::Graphs
        | Request::Reload
        | Request::Remove(_)
        | Request::Cleanup
        | Request::Subscribe(_)
        | Request::Unsubscribe
        | Request::Status => return Deadline::In(Client::TIMEOUT),
    };
    own.map_or(Deadline::WhileAlive, |ms| Deadline::In(Duration::from_millis(ms)))
}

impl Client {
    fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> Result<T, Error> {
        let data = self.call(request, deadline_of(request))?;
        read(request.type_name(), &data)
    }

    fn worker(&mut self, request: &Request) -> Result<View, Error> {
        self.ask::<WorkerData>(request).map(|data| data.worker)
    }

    /// `ping`.
    ///
    /// # Errors
    /// The supervisor's, a timeout, or a lost connection; so for all requests.
    pub fn ping(&mut self) -> Result<PingData, Error> {
        self.ask(&Request::Ping)
    }

    /// `start`: ensures that a worker runs.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn start(&mut self, start: Start) -> Result<StartData, Error> {
        self.ask(&Request::Start(start))
    }

    /// `stop`: ends a worker and its whole tree.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn stop(&mut self, stop: Stop) -> Result<StopData, Error> {
        self.ask(&Request::Stop(stop))
    }

    /// `restart`.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn restart(&mut self, restart: Restart) -> Result<StopData, Error> {
        self.ask(&Request::Restart(restart))
    }

    /// `signal`: sends a signal (`HUP`, `SIGHUP` or `1`) to a worker's leader.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn signal(&mut self, name: Name, signal: &str) -> Result<View, Error> {
        self.worker(&Request::Signal(Signal { name, signal: signal.to_owned() }))
    }

    /// `hand_over`: makes somebody else the owner.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn hand_over(&mut self, name: Name, to: Owner) -> Result<View, Error> {
        self.worker(&Request::HandOver(HandOver { name, to }))
    }

    /// `lease`: holds a worker until [`Client::release`] or until this connection ends.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn lease(&mut self, name: Name) -> Result<View, Error> {
        self.worker(&Request::Lease(ByName { name }))
    }

    /// `release`: gives a lease back.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn release(&mut self, name: Name) -> Result<View, Error> {
        self.worker(&Request::Release(ByName { name }))
    }

    /// `list`: the workers that pass every filter, by name.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn list(&mut self, filter: List) -> Result<Vec<View>, Error> {
        let first = self.ask(&Request::List(filter.clone()))?;
        self.rest_of_list(filter, first)
    }

    /// Collects the pages that follow the first one of a list. Where a `limit` was asked for there are none.
    fn rest_of_list(&mut self, mut filter: List, first: ListData) -> Result<Vec<View>, Error> {
        let ListData { workers: mut all, mut next } = first;
        // A page that leads nowhere ends it.
        while filter.limit.is_none() && next.is_some() && next > filter.after {
            filter.after = next;
            let page: ListData = self.ask(&Request::List(filter.clone()))?;
            all.extend(page.workers);
            next = page.next;
        }
        Ok(all)
    }

    /// The whole list, where `data` is the answer to `list` with this filter: most often that is all.
    ///
    /// # Errors
    /// As [`Client::list`].
    pub fn whole_list(&mut self, filter: &List, data: Box<RawValue>) -> Result<Box<RawValue>, Error> {
        #[derive(serde::Deserialize)]
        struct Next {
            next: Option<Name>,
        }
        if read::<Next>("list", &data)?.next.is_none() || filter.limit.is_some() {
            return Ok(data);
        }
        let workers = self.rest_of_list(filter.clone(), read("list", &data)?)?;
        serde_json::value::to_raw_value(&ListData { workers, next: None })
            .map_err(|source| Error::Answer { request: "list".to_owned(), source })
    }

    /// `get`: one worker.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn get(&mut self, name: Name) -> Result<View, Error> {
        self.worker(&Request::Get(ByName { name }))
    }

    /// `status`: the supervisor's own health.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn status(&mut self) -> Result<Status, Error> {
        self.ask(&Request::Status)
    }

    /// `reload`: reads the configuration again; gives the keys that changed.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn reload(&mut self) -> Result<Vec<String>, Error> {
        self.ask::<ReloadData>(&Request::Reload).map(|data| data.changed)
    }

    /// `remove`: forgets a worker that is down.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn remove(&mut self, name: Name) -> Result<Vec<Name>, Error> {
        self.ask::<RemovedData>(&Request::Remove(ByName { name })).map(|data| data.removed)
    }

    /// `cleanup`: forgets all workers that are down.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn cleanup(&mut self) -> Result<Vec<Name>, Error> {
        self.ask::<RemovedData>(&Request::Cleanup).map(|data| data.removed)
    }

    /// `nuke`: ends everything and removes gob's own files.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn nuke(&mut self, force: bool) -> Result<NukeData, Error> {
        self.ask(&Request::Nuke(Force { force }))
    }

    /// `shutdown`: ends everything, keeps logs and history.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn shutdown(&mut self, force: bool) -> Result<ShutdownData, Error> {
        self.ask(&Request::Shutdown(Force { force }))
    }

    /// `subscribe`: events follow, see [`Client::next_event`]. A snapshot that comes in pages is collected.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn subscribe(&mut self, subscribe: Subscribe) -> Result<SubscribeData, Error> {
        let data = self.ask(&Request::Subscribe(subscribe.clone()))?;
        self.subscribed = subscribe;
        let pages = Pages::of_answer(&self.subscribed, data);
        self.collect(pages)
    }

    /// `unsubscribe`.
    ///
    /// # Errors
    /// As [`Client::ping`].
    pub fn unsubscribe(&mut self) -> Result<(), Error> {
        self.ask::<EmptyData>(&Request::Unsubscribe).map(|EmptyData {}| ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_asked_for_bounds_what_goes_by_the_kind() {
        let name = Name::any("draft").unwrap();
        let seconds = |seconds| Deadline::In(Duration::from_secs(seconds));
        let start = |timeout_ms| Request::Start(Start { timeout_ms, ..Start::default() });
        assert_eq!(deadline_of(&start(None)), Deadline::WhileAlive);
        assert_eq!(deadline_of(&start(Some(3_000))), seconds(5));
        let stop = |force, grace_ms| Request::Stop(Stop { name: name.clone(), force, grace_ms });
        assert_eq!(deadline_of(&stop(false, None)), Deadline::WhileAlive);
        assert_eq!(deadline_of(&stop(false, Some(60_000))), seconds(67));
        assert_eq!(deadline_of(&stop(true, None)), seconds(7));
        assert_eq!(deadline_of(&Request::Shutdown(Force { force: false })), Deadline::WhileAlive);
        assert_eq!(deadline_of(&Request::Ping), seconds(10));
    }
}
