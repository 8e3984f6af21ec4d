//! Data of successful responses (PROTOCOL 4, 5).

mod graph;
mod history;
mod lock;
mod queue;
mod supervisor;
mod worker;

use crate::history::Stats;
use crate::view::Status;
use serde::{Deserialize, Serialize};

pub use graph::{GraphDeleteData, GraphOnDisk, GraphsData};
pub use history::{BlameData, HistoryData, RunsData, RunsDeleteData};
pub use lock::{LockAcquireData, LockBreakData, LockStatusData};
pub use queue::{
    QueueAddData, QueueClaimData, QueueJobData, QueueLaneData, QueueListData, QueueOutcome, ScheduleData,
    ScheduleListData, ScheduleRemoveData,
};
pub use supervisor::{
    HelloData, KeeperUpgrade, NukeData, PingData, Program, ReloadData, ServerDirs, ServerInfo, ShutdownData,
    SubscribeData, UpgradeData,
};
pub use worker::{
    CreateData, ListData, Outcome, PortsData, RemovedData, StartData, StopData, WorkerData, WorkerPort,
};

/// Data of any successful response.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[expect(missing_docs, reason = "each variant is the data of the requests that its type names")]
pub enum Data {
    Hello(Box<HelloData>),
    Ping(PingData),
    Start(Box<StartData>),
    Create(Box<CreateData>),
    Stop(Box<StopData>),
    Worker(Box<WorkerData>),
    List(ListData),
    Removed(RemovedData),
    Graphs(GraphsData),
    GraphDelete(GraphDeleteData),
    Runs(RunsData),
    RunsDelete(RunsDeleteData),
    Stats(Box<Stats>),
    Blame(BlameData),
    History(HistoryData),
    QueueAdd(Box<QueueAddData>),
    QueueJob(Box<QueueJobData>),
    QueueClaim(Box<QueueClaimData>),
    QueueList(Box<QueueListData>),
    QueueLane(Box<QueueLaneData>),
    Schedule(Box<ScheduleData>),
    ScheduleList(ScheduleListData),
    ScheduleRemove(ScheduleRemoveData),
    Ports(PortsData),
    Nuke(NukeData),
    Shutdown(ShutdownData),
    Upgrade(Box<UpgradeData>),
    Reload(ReloadData),
    Subscribe(SubscribeData),
    Status(Box<Status>),
    LockAcquire(LockAcquireData),
    LockStatus(LockStatusData),
    LockBreak(LockBreakData),
    Empty(EmptyData),
}

/// Data without fields, as of `unsubscribe`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EmptyData {}
