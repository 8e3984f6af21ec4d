//! Requests as types: a [`Call`] knows its name on the wire, the data that answers it and its time limit.
//!
//! Both transports have one method for all of them: `client.ask(call::Stop { … })`. A payload of the protocol is a call
//! itself; the files of this module have a type for each request that has no payload, or shares one with others. A
//! new request is one line in the file of its subject.

use crate::conn::RequestId;
use crate::error::Error;
use crate::pulse::Deadline;
use gob_protocol::Request;
use gob_protocol::limits::REQUEST_MS;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::marker::PhantomData;
use std::time::Duration;

pub use graph::{GraphDelete, Graphs};
pub use history::{Blame, History, Runs, RunsDelete, Stats};
pub use lock::{LockAcquire, LockBreak, LockRelease, LockStatus};
pub use queue::{
    QueueAdd, QueueCancel, QueueClaim, QueueClear, QueueFinish, QueueGet, QueueHeartbeat, QueueList,
    QueuePause, QueueResume, QueueRetry, QueueWidth, ScheduleAdd, ScheduleList, ScheduleRemove,
};
pub use supervisor::{Nuke, Ping, Reload, Shutdown, Status, Subscribe, Unsubscribe, Upgrade};
pub use worker::{
    Add, Cleanup, Create, Get, HandOver, Lease, List, Ports, Release, Remove, Restart, Signal, Start, Stop,
};

/// A request that one type stands for.
pub trait Call {
    /// The request's type on the wire.
    const TYPE: &'static str;
    /// True where the request changes nothing, so that it may be sent before it is certain that a supervisor listens.
    const READS: bool = false;
    /// The data of its answer.
    type Data: DeserializeOwned;

    /// Returns the request in the wire's form.
    fn into_request(self) -> Request;

    /// Returns the time limit of the answer (CLI, Defaults).
    fn deadline(&self) -> Deadline {
        Deadline::In(Duration::from_millis(REQUEST_MS))
    }
}

/// Implements [`Call`] for a type, with further items of the trait in braces.
macro_rules! call {
    ($call:ident, $type:literal, $data:ty, |$this:ident| $request:expr $(, { $($more:item)* })?) => {
        impl Call for $call {
            const TYPE: &'static str = $type;
            type Data = $data;

            fn into_request(self) -> Request {
                let $this = self;
                $request
            }
            $($($more)*)?
        }
    };
}

// Below the macro, which they use.
mod graph;
mod history;
mod lock;
mod queue;
mod supervisor;
mod worker;

/// Returns the time limit of a call that bounds its own work; otherwise the limit follows from the worker's
/// kind, which the supervisor knows.
fn bounded(own: Option<u64>, slack: u64) -> Deadline {
    own.map_or(Deadline::WhileAlive, |ms| Deadline::In(Duration::from_millis(ms.saturating_add(slack))))
}

/// A call that was sent and is not answered yet.
#[derive(Debug)]
pub struct Sent<C> {
    pub(crate) id: RequestId,
    deadline: Deadline,
    of: PhantomData<fn(C)>,
}

impl<C> Clone for Sent<C> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<C> Copy for Sent<C> {}

impl<C: Call> Sent<C> {
    pub(crate) const fn new(id: RequestId, deadline: Deadline) -> Self {
        Self { id, deadline, of: PhantomData }
    }

    /// Returns the time limit of the call.
    #[must_use]
    pub const fn deadline(&self) -> Deadline {
        self.deadline
    }
}

/// The data that answers a call, as it came.
#[derive(Debug)]
pub struct Reply<C> {
    data: Box<RawValue>,
    of: PhantomData<fn(C)>,
}

impl<C: Call> Reply<C> {
    pub(crate) const fn new(data: Box<RawValue>) -> Self {
        Self { data, of: PhantomData }
    }

    /// Returns the JSON as it came.
    #[must_use]
    pub const fn data(&self) -> &RawValue {
        &self.data
    }

    /// Returns the JSON as it came, owned.
    #[must_use]
    pub fn into_data(self) -> Box<RawValue> {
        self.data
    }

    /// Reads the data.
    ///
    /// # Errors
    /// [`Error::Answer`] when it does not have the expected shape.
    pub fn read(&self) -> Result<C::Data, Error> {
        read(C::TYPE, &self.data)
    }

    /// Reads a part of the data, with texts that may borrow from it.
    ///
    /// # Errors
    /// As [`Reply::read`].
    pub fn read_as<'d, T: serde::Deserialize<'d>>(&'d self) -> Result<T, Error> {
        read(C::TYPE, &self.data)
    }
}

/// Reads the data of an answer to a request of this type.
///
/// # Errors
/// [`Error::Answer`] when it does not have the expected shape.
pub fn read<'d, T: serde::Deserialize<'d>>(request: &str, data: &'d RawValue) -> Result<T, Error> {
    serde_json::from_str(data.get()).map_err(|source| Error::Answer { request: request.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use gob_protocol::{LaneName, LockName, Name, Owner};
    use serde_json::json;

    fn name() -> Name {
        Name::any("draft").unwrap()
    }

    fn add() -> Add {
        Add { command: vec!["true".to_owned()], cwd: "/".to_owned(), ..Add::default() }
    }

    fn check<C: Call>(call: C, seen: &mut Vec<&'static str>) {
        assert_eq!(C::TYPE, call.into_request().type_name());
        seen.push(C::TYPE);
    }

    #[test]
    fn every_request_of_the_protocol_but_hello_is_a_call() {
        let mut seen = vec!["hello"];
        check(Ping, &mut seen);
        check(Start::default(), &mut seen);
        check(add(), &mut seen);
        check(Create(add()), &mut seen);
        check(Stop { name: name(), force: false, grace_ms: None }, &mut seen);
        let restart = Restart { name: name(), env: None, grace_ms: None, wait: None, timeout_ms: None };
        check(restart, &mut seen);
        check(Signal { name: name(), signal: "HUP".to_owned() }, &mut seen);
        check(HandOver { name: name(), to: Owner::cli() }, &mut seen);
        check(Lease { name: name() }, &mut seen);
        check(Release { name: name() }, &mut seen);
        check(List::default(), &mut seen);
        check(Get { name: name() }, &mut seen);
        check(Runs { name: name(), limit: None, before: None }, &mut seen);
        check(RunsDelete { name: name(), run: 1 }, &mut seen);
        check(Stats { name: name() }, &mut seen);
        check(Blame { name: name(), limit: None, before: None }, &mut seen);
        let after = gob_protocol::Cursor { instance: "i".to_owned(), seq: 1 };
        check(History { after, limit: None }, &mut seen);
        check_queue(&mut seen);
        check(Ports::default(), &mut seen);
        check(Reload, &mut seen);
        check(Graphs, &mut seen);
        check(GraphDelete { graph: name(), root_dir: None }, &mut seen);
        check(Remove { name: name() }, &mut seen);
        check(Cleanup, &mut seen);
        check(Nuke { force: true }, &mut seen);
        check(Shutdown { force: true }, &mut seen);
        check(Upgrade::default(), &mut seen);
        check(Subscribe::default(), &mut seen);
        check(Unsubscribe, &mut seen);
        check(Status, &mut seen);
        let lock = || LockName::new("build").unwrap();
        check(LockAcquire::new(lock()), &mut seen);
        check(LockRelease { lock: lock(), token: 1 }, &mut seen);
        check(LockStatus::default(), &mut seen);
        check(LockBreak { lock: lock() }, &mut seen);
        assert_eq!(seen, Request::TYPES);
    }

    fn check_queue(seen: &mut Vec<&'static str>) {
        let (lane, job_id, worker_id) = (LaneName::new("ci").unwrap(), name(), "host-1".to_owned());
        let add = json!({"lane": "ci", "command": ["true"], "cwd": "/"});
        check(serde_json::from_value::<QueueAdd>(add).unwrap(), seen);
        check(QueueClaim { lane: lane.clone(), worker_id: worker_id.clone(), wait_ms: None }, seen);
        let (id, attempt) = (job_id.clone(), None);
        check(QueueHeartbeat { job_id: id.clone(), worker_id: worker_id.clone(), attempt }, seen);
        check(QueueFinish { job_id: id, worker_id, success: true, error: None, attempt }, seen);
        check(QueueGet { job_id: job_id.clone() }, seen);
        check(QueueList::default(), seen);
        check(QueueCancel { job_id: job_id.clone() }, seen);
        check(QueueRetry { job_id, env: None }, seen);
        check(QueuePause { lane: lane.clone() }, seen);
        check(QueueResume { lane: lane.clone() }, seen);
        check(QueueClear { lane: lane.clone() }, seen);
        check(QueueWidth { lane, width: 1 }, seen);
        let every = json!({"lane": "ci", "command": ["true"], "cwd": "/", "interval_ms": 1000});
        check(serde_json::from_value::<ScheduleAdd>(every).unwrap(), seen);
        check(ScheduleList::default(), seen);
        check(ScheduleRemove { name: gob_protocol::queue::ScheduleName::new("ci").unwrap() }, seen);
    }

    #[test]
    fn a_call_is_waited_for_as_long_as_it_bounds_its_own_work() {
        let seconds = |seconds| Deadline::In(Duration::from_secs(seconds));
        let start = |timeout_ms| Start { timeout_ms, ..Start::default() };
        assert_eq!(start(None).deadline(), Deadline::WhileAlive);
        assert_eq!(start(Some(3_000)).deadline(), seconds(5));
        let stop = |force, grace_ms| Stop { name: name(), force, grace_ms };
        assert_eq!(stop(false, None).deadline(), Deadline::WhileAlive);
        assert_eq!(stop(false, Some(60_000)).deadline(), seconds(67));
        assert_eq!(stop(true, Some(60_000)).deadline(), seconds(7));
        assert_eq!(Shutdown { force: false }.deadline(), Deadline::WhileAlive);
        assert_eq!(Ping.deadline(), seconds(10));
    }
}
