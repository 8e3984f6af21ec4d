//! The core's [`Input`]s and [`Effect`]s, as plain data.
//!
//! The shell reports the world as inputs and carries out effects in their order; it decides nothing.

use crate::failure::SpawnFailure;
use crate::ids::{ConnId, RunKey};
use crate::on_disk::{DeletePlan, FindGraphs, GraphSearch, NotDeleted, OnDisk};
use crate::parts::{ExaminePlan, Examined, Holder, Lost, Note, Orphan, SpawnPlan, Target};
use crate::record::{New, Unfit};
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use gob_config::Reading;
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::view::Port;
use gob_protocol::{Data, Event, Exit, Id, Lagged, Name, Receipt, Request, Status, WireError};

/// A reading of the configuration: the contents of each file, and every problem in it.
pub type Read = Box<Reading>;

/// One thing that happened, as the shell reports it.
#[derive(Debug, Clone)]
pub enum Input {
    /// A client connected; the kernel vouched for its user.
    Connected {
        /// The new connection.
        conn: ConnId,
        /// The client's process, where the kernel tells it.
        pid: Option<i32>,
    },
    /// A client asked for something.
    Request {
        /// The client's connection.
        conn: ConnId,
        /// The id that the client gave the request.
        id: Option<Id>,
        /// The request. A `root_dir` in it is a real path already.
        request: Request,
    },
    /// Event frames left the queue of a subscriber.
    Written {
        /// The client's connection.
        conn: ConnId,
        /// Their number since the last such input.
        frames: u32,
    },
    /// A connection ended.
    Disconnected {
        /// The connection that ended.
        conn: ConnId,
    },
    /// A run has a process.
    Spawned {
        /// The run.
        key: RunKey,
        /// The run's leader, which leads its own process group too.
        pid: i32,
        /// The port that stands for [`PORT_MARK`](crate::PORT_MARK) in its plan, where the plan needs one.
        port: Option<u16>,
        /// True if there was nothing of the run's graph before.
        new: New,
    },
    /// A run gets no process: its graph on disk does not fit the run.
    Unfit {
        /// The run.
        key: RunKey,
        /// Why.
        why: Unfit,
    },
    /// The answer to [`Effect::FindGraphs`].
    GraphsFound {
        /// The request that this search serves.
        search: GraphSearch,
        /// The graphs on disk.
        found: Vec<OnDisk>,
    },
    /// The answer to [`Effect::DeleteGraph`].
    GraphDeleted {
        /// The request that this search serves.
        search: GraphSearch,
        /// The deletion that was ordered.
        plan: Box<DeletePlan>,
        /// A remainder elsewhere that stays, or the reason why the graph was not deleted.
        result: Result<Option<String>, NotDeleted>,
    },
    /// True if descriptors are left for another run; those for requests and for the end are reserved.
    Room(bool),
    /// A run gets no process: another process holds the lock of its graph.
    Held {
        /// The run.
        key: RunKey,
        /// The process that holds it.
        holder: Holder,
    },
    /// One of the processes of [`Effect::EndOrphans`] has ended, or its pid belongs to another process by now.
    OrphanEnded {
        /// The run.
        key: RunKey,
        /// The process.
        pid: i32,
    },
    /// The answer to [`Effect::Examine`]: the processes that hold the run's graph without gob.
    Examined {
        /// The run.
        key: RunKey,
        /// The result.
        found: Examined,
    },
    /// Processes of this worker that an earlier supervisor started and that are still alive; empty when they are gone.
    Leftover {
        /// The worker's name.
        name: Name,
        /// Its processes.
        pids: Vec<i32>,
    },
    /// A run could not get a process.
    SpawnFailed {
        /// The run.
        key: RunKey,
        /// The step that failed, and its errno.
        why: SpawnFailure,
    },
    /// The answer to [`Effect::CallOff`]: the run gets no process.
    CalledOff {
        /// The run.
        key: RunKey,
    },
    /// The readiness check is satisfied.
    Ready {
        /// The run.
        key: RunKey,
        /// The worker's own report, or an empty one where the check reads none.
        handshake: Handshake,
        /// Ports on which the run's tree listens, where the check reads them.
        ports: Vec<Port>,
    },
    /// The readiness check can't be satisfied any more.
    NeverReady {
        /// The run.
        key: RunKey,
        /// Why.
        error: HandshakeError,
        /// The last lines that the run wrote.
        last_lines: Vec<String>,
    },
    /// The status of a run that is not ready yet: its own words, or the latest result of its probe.
    Told {
        /// The run.
        key: RunKey,
        /// The status, for people.
        status: String,
    },
    /// A process of the run sent a notification that its state depends on (sd_notify(3)).
    Notified {
        /// The run.
        key: RunKey,
        /// The notification.
        note: Note,
    },
    /// The answer to [`Effect::StopHttp`].
    StopAnswered {
        /// The run.
        key: RunKey,
        /// True if the worker accepted the request.
        taken: bool,
    },
    /// A liveness probe has an answer.
    Probed {
        /// The run.
        key: RunKey,
        /// The reason why the probe failed; `None` when the run is well.
        failure: Option<String>,
    },
    /// The leader of a run ended and was reaped. Its group was killed before, unless it had been asked to end.
    Exited {
        /// The run.
        key: RunKey,
        /// Its exit code or signal.
        exit: Exit,
    },
    /// The answer to [`Effect::Sweep`] and [`Effect::Linger`], after [`Input::Exited`]: nothing of the run's tree is left.
    Swept {
        /// The run.
        key: RunKey,
        /// The signals sent on the way.
        receipt: Receipt,
        /// The last lines that the run wrote.
        last_lines: Vec<String>,
        /// Another process listens on the run's port by now.
        port_taken: bool,
    },
    /// The answer to [`Effect::Census`]: the processes that are left of a run's tree.
    Surviving {
        /// The run.
        key: RunKey,
        /// The signals sent, and the survivors.
        receipt: Receipt,
    },
    /// The answer to [`Effect::Signal`].
    SignalSent {
        /// The run.
        key: RunKey,
        /// The signal's name.
        signal: String,
        /// The connection that asked for it.
        conn: ConnId,
        /// The id that the client gave the request.
        id: Option<Id>,
        /// The errno's name, when the signal could not be sent.
        errno: Option<String>,
    },
    /// A process that is not ours was found to hold a graph, or to hold it no longer.
    External {
        /// The worker at rest that serves the graph.
        name: Name,
        /// The process.
        pid: i32,
        /// The holder; `None` once the process is gone.
        holder: Option<Holder>,
    },
    /// The time of [`Effect::WakeAt`] has come.
    Due,
    /// The supervisor serves clients from now on; fed once.
    Begin,
    /// SIGHUP: the configuration is to be read again.
    Reread,
    /// The answer to [`Effect::ReadConfig`].
    Configured(Read),
    /// Files of the supervisor's own that had been removed exist again.
    Healed,
    /// Sockets of workers are gone, or may be.
    SocketsLost(Lost),
    /// The supervisor is to end in order: a signal, or its keeper died.
    Terminate,
}

/// One thing that the shell is to do.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Answer a request.
    Reply {
        /// The client's connection.
        conn: ConnId,
        /// The id that the client gave the request.
        id: Option<Id>,
        /// The answer.
        result: Result<Data, Box<WireError>>,
    },
    /// Answer `status`, adding what only the shell can measure.
    ReplyStatus {
        /// The client's connection.
        conn: ConnId,
        /// The id that the client gave the request.
        id: Option<Id>,
        /// The core's part of the answer.
        status: Box<Status>,
    },
    /// Queue an event for subscribers.
    Publish {
        /// The event; `owned` in its view is to be set for each of the two groups.
        event: Rc<Event>,
        /// Subscribers who may stop the worker.
        owned: Vec<ConnId>,
        /// Subscribers who may not.
        others: Vec<ConnId>,
    },
    /// Queue the frame that stands for missed events.
    Lagged {
        /// The subscriber.
        conn: ConnId,
        /// The frame.
        frame: Box<Lagged>,
    },
    /// Start a process; answered by `Spawned`, `SpawnFailed`, `Held` or `Unfit`, once the disks that it needs have answered.
    Spawn(Box<SpawnPlan>),
    /// Cancel a spawn; answered by `CalledOff`, unless an answer to [`Effect::Spawn`] is on its way already.
    CallOff {
        /// The run.
        key: RunKey,
    },
    /// Write the record of the graph that this run serves, now and when nothing is left of the run.
    Remember {
        /// The run.
        key: RunKey,
    },
    /// Find the graphs on disk; answered by `GraphsFound`.
    FindGraphs(Box<FindGraphs>),
    /// Delete a graph; answered by `GraphDeleted`.
    DeleteGraph {
        /// The request that this deletion serves.
        search: GraphSearch,
        /// The directories and files to delete.
        plan: Box<DeletePlan>,
    },
    /// Ask a run's tree to end: this signal and then SIGCONT to its group; to each of its processes once its leader is gone.
    Terminate {
        /// The run.
        key: RunKey,
        /// The signal's name.
        signal: String,
    },
    /// Ask a run to end by an HTTP request, which has one second; answered by `StopAnswered`.
    StopHttp {
        /// The run.
        key: RunKey,
        /// The server: `http://host:port`.
        endpoint: String,
        /// A method and a path, as in `POST /v1/shutdown`.
        request: String,
        /// Check first that the run's own tree listens there, and send nothing if it does not.
        look: bool,
    },
    /// Probe a run's readiness until it is ready or `EndProbe` comes; answered by `Ready`.
    Probe {
        /// The run.
        key: RunKey,
        /// The place to probe.
        target: Target,
    },
    /// Probe once whether a run is well; answered by `Probed`.
    ProbeOnce {
        /// The run.
        key: RunKey,
        /// The place to probe.
        target: Target,
        /// The probe's deadline, counted from its begin.
        timeout_ms: u64,
    },
    /// Examine who holds a run's graph without gob, and remove the lock file of a dead process; answered by `Examined`.
    Examine {
        /// The run.
        key: RunKey,
        /// The places to read.
        plan: Box<ExaminePlan>,
    },
    /// Send a signal to each of these processes, if its pid still is the same process, and report its end; answered by
    /// `OrphanEnded` for each, or by `Examined` where the processes can't be told apart.
    EndOrphans {
        /// The run.
        key: RunKey,
        /// The processes.
        orphans: Vec<Orphan>,
        /// The examination that found them.
        plan: Box<ExaminePlan>,
        /// The signal's name.
        signal: String,
    },
    /// Report the end of this process; answered by `External` without a holder.
    Follow {
        /// The worker whose graph it holds.
        name: Name,
        /// Its process id.
        pid: i32,
    },
    /// Stop probing.
    EndProbe {
        /// The run.
        key: RunKey,
    },
    /// Ask the processes that outlived the leader and were not asked yet to end within the rest of the grace, and report
    /// when none is left; answered by `Swept`.
    Linger {
        /// The run.
        key: RunKey,
        /// The signal's name.
        signal: String,
    },
    /// Kill all processes of a run's tree, its leader included, until none is left; answered by `Swept`.
    Sweep {
        /// The run.
        key: RunKey,
    },
    /// Report the processes that are left of a run's tree; answered by `Surviving`.
    Census {
        /// The run.
        key: RunKey,
    },
    /// Send a signal to a run's leader; answered by `SignalSent` where a request waits for it.
    Signal {
        /// The run.
        key: RunKey,
        /// The signal's name.
        signal: String,
        /// The request that asked for it.
        asked_by: Option<(ConnId, Option<Id>)>,
    },
    /// Read the configuration; answered by `Configured`.
    ReadConfig,
    /// Delete the logs of a worker.
    Forget {
        /// The worker.
        name: Name,
    },
    /// Feed [`Input::Due`] at this time instead of the one requested before; `None`: not at all.
    WakeAt(Option<u64>),
    /// Everything is down and answered: end the process with code 0.
    Exit {
        /// Remove gob's own files too.
        nuke: bool,
    },
}

/// The effects of the input that is being applied; there are none between two inputs, so they are no part of the state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Out(Vec<Effect>);

impl PartialEq for Out {
    fn eq(&self, other: &Self) -> bool {
        self.0.is_empty() && other.0.is_empty()
    }
}

impl Out {
    pub(crate) fn push(&mut self, effect: Effect) {
        self.0.push(effect);
    }

    pub(crate) fn take(&mut self) -> Vec<Effect> {
        core::mem::take(&mut self.0)
    }

    #[cfg(test)]
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Effect> {
        self.0.iter()
    }
}
