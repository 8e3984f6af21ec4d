//! Data of successful responses (PROTOCOL 4, 5).

use crate::cursor::Cursor;
use crate::history::{BlameEntry, HistoryEntry, RunRecord, Stats};
use crate::lock::{Lock, LockName, LockParty};
use crate::name::{Name, Owner};
use crate::queue::{Lane, QueueJob, Schedule, ScheduleName};
use crate::time::Timestamp;
use crate::view::{Receipt, State, Status, View};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Data of `hello`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloData {
    /// The protocol of this connection from now on.
    pub protocol: u32,
    /// The answering supervisor.
    pub server: ServerInfo,
    /// The owner that the connection is bound to.
    pub owner: Owner,
    /// Features added after version 1.0.
    pub features: Vec<String>,
}

/// The supervisor's description of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The supervisor's version.
    pub version: String,
    /// The supervisor's process id.
    pub pid: i32,
    /// New for every life of a supervisor.
    pub instance: String,
    /// The start of this life.
    pub started_at: crate::time::Timestamp,
    /// The supervisor's directories, which a client with other variables would not find; later than version
    /// 1.0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dirs: Option<Arc<ServerDirs>>,
    /// Files of the supervisor's configuration that are not in effect; later than version 1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub config_invalid: Vec<String>,
}

/// The directories of a supervisor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerDirs {
    /// The home directory that the supervisor was started with, if any.
    pub home: Option<String>,
    /// Lock, journal, logs.
    pub state: String,
    /// Graphs without a directory of their own.
    pub data: String,
    /// The file `config.toml`, existing or not; null where no path could be named.
    pub config: Option<String>,
}

/// Data of `ping`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PingData {
    /// Always true.
    pub pong: bool,
    /// Time since the supervisor started.
    pub uptime_ms: u64,
}

/// How a start was satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A process was spawned, and the requester owns it.
    Started,
    /// The worker ran already.
    Reused,
    /// The worker ran already without an owner; the requester owns it now.
    TakenOver,
    /// The worker runs, held by a process that is not ours.
    External,
}

/// Data of `start`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartData {
    /// The worker.
    pub worker: View,
    /// How the start was satisfied.
    pub outcome: Outcome,
    /// The graph was new to gob.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
}

/// Data of `create`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateData {
    /// The job.
    pub worker: View,
    /// There was no such job before.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub created: bool,
}

/// Data of `stop` and `restart`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopData {
    /// The worker afterwards.
    pub worker: View,
    /// Proof of the stop.
    pub receipt: Receipt,
}

/// Data of `get`, `signal`, `hand_over`, `lease`, `release`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerData {
    /// The worker afterwards.
    pub worker: View,
}

/// Data of `list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListData {
    /// The workers, ordered by name.
    pub workers: Vec<View>,
    /// More workers exist: those after this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Name>,
}

/// Data of `remove` and `cleanup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedData {
    /// The workers that were removed.
    pub removed: Vec<Name>,
}

/// A graph on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphOnDisk {
    /// The graph's name.
    pub graph: Name,
    /// The kind that served it last, if known.
    pub kind: Option<String>,
    /// The real path of its root.
    pub root_dir: String,
    /// The graph's own directory.
    pub path: String,
    /// The bytes of the files there, where they could be counted in time.
    pub size_bytes: Option<u64>,
    /// The last use, if known.
    pub last_used_at: Option<Timestamp>,
    /// The state of its worker, if it has one.
    pub state: Option<State>,
}

/// Data of `graphs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphsData {
    /// The graphs, ordered by name and root.
    pub graphs: Vec<GraphOnDisk>,
}

/// Data of `graph_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphDeleteData {
    /// The directory that was deleted.
    pub deleted: String,
    /// Data outside of that directory, which gob did not make and does not delete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

/// Data of `runs`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsData {
    /// The runs, newest first.
    pub runs: Vec<RunRecord>,
    /// There are older ones.
    pub more: bool,
}

/// Data of `runs_delete`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunsDeleteData {
    /// The runs that were deleted.
    pub removed: Vec<u64>,
}

/// Data of `blame`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlameData {
    /// The changes, newest first.
    pub entries: Vec<BlameEntry>,
    /// The place to go on before, where there are older ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
}

/// Data of `history`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryData {
    /// The changes, oldest first.
    pub entries: Vec<HistoryEntry>,
    /// The place to go on after, where there are later ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Cursor>,
    /// Changes after the place are kept no longer, or were lost.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub gap: bool,
    /// The history does not know the instance.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub unknown: bool,
}

/// How a `queue_add` was satisfied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum QueueOutcome {
    /// The job is new.
    Added,
    /// A job with the same key waits or runs.
    Reused,
}

/// Data of `queue_add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueAddData {
    /// The job.
    pub job: QueueJob,
    /// How the request was satisfied.
    pub outcome: QueueOutcome,
}

/// Data of `queue_get`, `queue_finish`, `queue_cancel` and `queue_retry`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueJobData {
    /// The job afterwards.
    pub job: QueueJob,
}

/// Data of `queue_claim`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueClaimData {
    /// The claimed job; null where there was none in time.
    pub job: Option<QueueJob>,
}

/// Data of `queue_list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueListData {
    /// Those that run, then those that wait by lane and in the order of claims, then those that ended, newest first.
    pub jobs: Vec<QueueJob>,
    /// The lane that was asked for, else all; on the first page only.
    pub lanes: Vec<Lane>,
    /// More jobs exist: those after this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Data of `queue_pause`, `queue_resume`, `queue_clear` and `queue_width`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueLaneData {
    /// The lane afterwards.
    pub lane: Lane,
    /// The number of jobs that `queue_clear` cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cancelled: Option<u64>,
}

/// Data of `schedule_add`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleData {
    /// The schedule.
    pub schedule: Schedule,
}

/// Data of `schedule_list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleListData {
    /// The schedules, ordered by name.
    pub schedules: Vec<Schedule>,
}

/// Data of `schedule_remove`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRemoveData {
    /// The schedule that was removed.
    pub removed: ScheduleName,
}

/// Data of `ports`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortsData {
    /// The listening sockets, by worker, port, protocol and address.
    pub ports: Vec<WorkerPort>,
    /// There are more than one answer has room for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

/// One socket on which a worker's tree listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerPort {
    /// The worker.
    pub name: Name,
    /// The port.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
    /// The local address, without the port: `127.0.0.1`, `0.0.0.0`, `::`.
    pub address: String,
    /// The process that listens: the leader where it is one of several, else the one of the lowest number.
    pub pid: i32,
}

/// Data of `nuke`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NukeData {
    /// The workers that were stopped.
    pub stopped: Vec<Name>,
    /// The workers whose files were removed.
    pub removed: Vec<Name>,
    /// Jobs of the queue that were not finished and are kept.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unfinished: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Data of `shutdown`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShutdownData {
    /// The workers that were stopped.
    pub stopped: Vec<Name>,
}

/// Data of `reload`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReloadData {
    /// Keys whose value changed, those of new and removed tables among them.
    pub changed: Vec<String>,
    /// Kinds and graphs that the configuration mentions for the first time, as `kind.NAME` and `graph.NAME`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Kinds and graphs that it mentions no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
}

/// Data of `subscribe`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubscribeData {
    /// The last published event; the first one that follows is later.
    pub seq: u64,
    /// The supervisor's life that `seq` belongs to.
    pub instance: String,
    /// Events between `since` and now were lost; a snapshot stands in for them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
    /// The snapshot, where it was requested or needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workers: Option<Vec<View>>,
    /// The snapshot has more workers: `list` returns those after this name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<Name>,
}

/// Data of `lock_acquire`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockAcquireData {
    /// The lock.
    pub lock: LockName,
    /// The fencing token: higher than those of all earlier holders of any lock.
    pub token: u64,
    /// The end of the holder's time; null where it asked for none.
    pub expires_at: Option<Timestamp>,
}

/// Data of `lock_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockStatusData {
    /// The locks, ordered by name.
    pub locks: Vec<Lock>,
}

/// Data of `lock_break`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LockBreakData {
    /// The parties that held the lock.
    pub broken: Vec<LockParty>,
}

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
pub struct EmptyData {}
