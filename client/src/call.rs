//! Requests as types: a [`Call`] knows its name on the wire, the data that answers it and its time limit.
//!
//! Both transports have one method for all of them: `client.ask(call::Stop { … })`. A payload of the protocol is a call
//! itself; this module has a type for each request that has no payload, or shares one with others. A new request is one
//! `impl Call`.

use crate::conn::RequestId;
use crate::error::Error;
use crate::pulse::Deadline;
use gob_protocol::answer::{
    BlameData, CreateData, EmptyData, GraphDeleteData, GraphsData, HistoryData, ListData, LockAcquireData,
    LockBreakData, LockStatusData, NukeData, PingData, PortsData, QueueAddData, QueueClaimData, QueueJobData,
    QueueLaneData, QueueListData, ReloadData, RemovedData, RunsData, RunsDeleteData, ScheduleData,
    ScheduleListData, ScheduleRemoveData, ShutdownData, StartData, StopData, SubscribeData, WorkerData,
};
use gob_protocol::limits::{REQUEST_MS, REQUEST_SLACK_MS, STOP_SLACK_MS};
use gob_protocol::queue::LaneName;
pub use gob_protocol::request::{
    Add, Blame, GraphDelete, HandOver, History, List, LockAcquire, LockBreak, LockRelease, LockStatus, Ports,
    QueueAdd, QueueClaim, QueueFinish, QueueHeartbeat, QueueList, QueueRetry, QueueWidth, Restart, Runs,
    RunsDelete, ScheduleAdd, ScheduleList, ScheduleRemove, Signal, Start, Stop, Subscribe,
};
use gob_protocol::request::{ByJob, ByLane, ByName, Force};
use gob_protocol::{Name, Request};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::marker::PhantomData;
use std::time::Duration;

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

/// Asks whether the supervisor answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ping;

/// Lists the graphs on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graphs;

/// Makes the supervisor read the configuration again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reload;

/// Forgets all workers that are down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup;

/// Requests the supervisor's own health.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status;

/// Ends the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unsubscribe;

/// Requests the statistics of a worker's runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The worker.
    pub name: Name,
}

/// Makes a job, not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create(pub Add);

/// Requests one worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Get {
    /// The worker.
    pub name: Name,
}

/// Holds a worker until [`Release`], or until the connection ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The worker.
    pub name: Name,
}

/// Gives a lease back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The worker.
    pub name: Name,
}

/// Forgets a worker that is down, its logs included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remove {
    /// The worker.
    pub name: Name,
}

/// Requests one job of the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueGet {
    /// The job.
    pub job_id: Name,
}

/// Cancels a job that waits or runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueCancel {
    /// The job.
    pub job_id: Name,
}

/// Lets nothing of a lane be claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuePause {
    /// The lane.
    pub lane: LaneName,
}

/// Ends a pause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueResume {
    /// The lane.
    pub lane: LaneName,
}

/// Cancels the jobs of a lane that wait, as far as they are the requester's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueClear {
    /// The lane.
    pub lane: LaneName,
}

/// Ends all workers and removes gob's own files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nuke {
    /// Also ends live workers of other owners.
    pub force: bool,
}

/// Ends all workers and the supervisor; logs and history stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shutdown {
    /// Also ends live workers of other owners.
    pub force: bool,
}

/// Returns the time limit of a call that bounds its own work; otherwise the limit follows from the worker's
/// kind, which the supervisor knows.
fn bounded(own: Option<u64>, slack: u64) -> Deadline {
    own.map_or(Deadline::WhileAlive, |ms| Deadline::In(Duration::from_millis(ms.saturating_add(slack))))
}

call!(Ping, "ping", PingData, |_this| Request::Ping, {
    const READS: bool = true;
});
call!(Start, "start", StartData, |this| Request::Start(this), {
    fn deadline(&self) -> Deadline {
        bounded(self.timeout_ms, REQUEST_SLACK_MS)
    }
});
call!(Add, "add", StartData, |this| Request::Add(Box::new(this)), {
    // A run with a readiness check of its own is waited for as long as that allows.
    fn deadline(&self) -> Deadline {
        Deadline::WhileAlive
    }
});
call!(Create, "create", CreateData, |this| Request::Create(Box::new(this.0)));
call!(Stop, "stop", StopData, |this| Request::Stop(this), {
    fn deadline(&self) -> Deadline {
        bounded(if self.force { Some(0) } else { self.grace_ms }, STOP_SLACK_MS)
    }
});
call!(Restart, "restart", StopData, |this| Request::Restart(this), {
    fn deadline(&self) -> Deadline {
        bounded(self.timeout_ms, REQUEST_SLACK_MS)
    }
});
call!(Signal, "signal", WorkerData, |this| Request::Signal(this));
call!(HandOver, "hand_over", WorkerData, |this| Request::HandOver(this));
call!(Lease, "lease", WorkerData, |this| Request::Lease(ByName { name: this.name }));
call!(Release, "release", WorkerData, |this| Request::Release(ByName { name: this.name }));
call!(List, "list", ListData, |this| Request::List(this), {
    const READS: bool = true;
});
call!(Get, "get", WorkerData, |this| Request::Get(ByName { name: this.name }), {
    const READS: bool = true;
});
call!(Runs, "runs", RunsData, |this| Request::Runs(this), {
    const READS: bool = true;
});
call!(RunsDelete, "runs_delete", RunsDeleteData, |this| Request::RunsDelete(this));
call!(Stats, "stats", gob_protocol::Stats, |this| Request::Stats(ByName { name: this.name }), {
    const READS: bool = true;
});
call!(Blame, "blame", BlameData, |this| Request::Blame(this), {
    const READS: bool = true;
});
call!(History, "history", HistoryData, |this| Request::History(this), {
    const READS: bool = true;
});
call!(Ports, "ports", PortsData, |this| Request::Ports(this), {
    const READS: bool = true;
});
call!(Reload, "reload", ReloadData, |_this| Request::Reload);
call!(Graphs, "graphs", GraphsData, |_this| Request::Graphs);
call!(GraphDelete, "graph_delete", GraphDeleteData, |this| Request::GraphDelete(this), {
    // Much may have to be deleted.
    fn deadline(&self) -> Deadline {
        Deadline::WhileAlive
    }
});
call!(Remove, "remove", RemovedData, |this| Request::Remove(ByName { name: this.name }));
call!(Cleanup, "cleanup", RemovedData, |_this| Request::Cleanup);
call!(QueueAdd, "queue_add", QueueAddData, |this| Request::QueueAdd(Box::new(this)));
call!(QueueClaim, "queue_claim", QueueClaimData, |this| Request::QueueClaim(this), {
    fn deadline(&self) -> Deadline {
        let wait_ms = self.wait_ms.unwrap_or_default();
        Deadline::In(Duration::from_millis(wait_ms.saturating_add(REQUEST_MS)))
    }
});
call!(QueueHeartbeat, "queue_heartbeat", EmptyData, |this| Request::QueueHeartbeat(this));
call!(QueueFinish, "queue_finish", QueueJobData, |this| Request::QueueFinish(this));
call!(QueueGet, "queue_get", QueueJobData, |this| Request::QueueGet(ByJob { job_id: this.job_id }), {
    const READS: bool = true;
});
call!(QueueList, "queue_list", QueueListData, |this| Request::QueueList(this), {
    const READS: bool = true;
});
call!(QueueCancel, "queue_cancel", QueueJobData, |this| Request::QueueCancel(ByJob { job_id: this.job_id }));
call!(QueueRetry, "queue_retry", QueueJobData, |this| Request::QueueRetry(this));
call!(QueuePause, "queue_pause", QueueLaneData, |this| Request::QueuePause(ByLane { lane: this.lane }));
call!(QueueResume, "queue_resume", QueueLaneData, |this| Request::QueueResume(ByLane { lane: this.lane }));
call!(QueueClear, "queue_clear", QueueLaneData, |this| Request::QueueClear(ByLane { lane: this.lane }));
call!(QueueWidth, "queue_width", QueueLaneData, |this| Request::QueueWidth(this));
call!(ScheduleAdd, "schedule_add", ScheduleData, |this| Request::ScheduleAdd(Box::new(this)));
call!(ScheduleList, "schedule_list", ScheduleListData, |this| Request::ScheduleList(this), {
    const READS: bool = true;
});
call!(ScheduleRemove, "schedule_remove", ScheduleRemoveData, |this| Request::ScheduleRemove(this));
call!(Nuke, "nuke", NukeData, |this| Request::Nuke(Force { force: this.force }), {
    // Every worker is stopped first.
    fn deadline(&self) -> Deadline {
        Deadline::WhileAlive
    }
});
call!(Shutdown, "shutdown", ShutdownData, |this| Request::Shutdown(Force { force: this.force }), {
    // Every worker is stopped first.
    fn deadline(&self) -> Deadline {
        Deadline::WhileAlive
    }
});
call!(Subscribe, "subscribe", SubscribeData, |this| Request::Subscribe(this), {
    const READS: bool = true;
});
call!(Unsubscribe, "unsubscribe", EmptyData, |_this| Request::Unsubscribe);
call!(Status, "status", gob_protocol::Status, |_this| Request::Status, {
    const READS: bool = true;
});
call!(LockAcquire, "lock_acquire", LockAcquireData, |this| Request::LockAcquire(Box::new(this)), {
    // A claim is answered when the time of the claims is over; without a limit the lock is waited for.
    fn deadline(&self) -> Deadline {
        match self.token {
            Some(_) => Deadline::In(Duration::from_millis(REQUEST_MS)),
            None => bounded(self.timeout_ms.map(|ms| ms.max(REQUEST_MS)), REQUEST_SLACK_MS),
        }
    }
});
call!(LockRelease, "lock_release", EmptyData, |this| Request::LockRelease(this));
call!(LockStatus, "lock_status", LockStatusData, |this| Request::LockStatus(this), {
    const READS: bool = true;
});
call!(LockBreak, "lock_break", LockBreakData, |this| Request::LockBreak(this));

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
    use gob_protocol::{LockName, Owner};
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
