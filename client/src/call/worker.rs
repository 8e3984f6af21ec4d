//! Requests about workers and jobs.

use super::{Call, bounded};
use crate::pulse::Deadline;
use gob_protocol::answer::{CreateData, ListData, PortsData, RemovedData, StartData, StopData, WorkerData};
use gob_protocol::limits::{REQUEST_SLACK_MS, STOP_SLACK_MS};
use gob_protocol::request::ByName;
pub use gob_protocol::request::{Add, HandOver, List, Ports, Restart, Signal, Start, Stop};
use gob_protocol::{Name, Request};

/// Forgets all workers that are down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cleanup;

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
call!(Ports, "ports", PortsData, |this| Request::Ports(this), {
    const READS: bool = true;
});
call!(Remove, "remove", RemovedData, |this| Request::Remove(ByName { name: this.name }));
call!(Cleanup, "cleanup", RemovedData, |_this| Request::Cleanup);
