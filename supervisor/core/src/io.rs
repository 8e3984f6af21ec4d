//! What goes into the core and what comes out of it, as plain data.
//!
//! The shell turns the world into [`Input`]s and carries out [`Effect`]s in their order; it decides nothing.

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

/// What came of reading the configuration: what each file says, and everything that is wrong with it.
pub type Read = Box<Reading>;

/// What happened.
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
        /// Which client.
        conn: ConnId,
        /// What it calls the request.
        id: Option<Id>,
        /// What it wants. A `root_dir` in it is a real path already.
        request: Request,
    },
    /// Event frames left the queue of a subscriber.
    Written {
        /// Which client.
        conn: ConnId,
        /// How many since the last such input.
        frames: u32,
    },
    /// A connection ended.
    Disconnected {
        /// Which.
        conn: ConnId,
    },
    /// A run has a process.
    Spawned {
        /// Which run.
        key: RunKey,
        /// Its leader, which leads its own process group too.
        pid: i32,
        /// The port that stands for [`PORT_MARK`](crate::PORT_MARK) in its plan, where the plan needs one.
        port: Option<u16>,
        /// Whether there was nothing of its graph before.
        new: New,
    },
    /// A run gets no process: what is known of its graph on disk does not fit.
    Unfit {
        /// Which run.
        key: RunKey,
        /// Why.
        why: Unfit,
    },
    /// The answer to [`Effect::FindGraphs`].
    GraphsFound {
        /// Who asked for what.
        search: GraphSearch,
        /// What there is.
        found: Vec<OnDisk>,
    },
    /// The answer to [`Effect::DeleteGraph`].
    GraphDeleted {
        /// Who asked for what.
        search: GraphSearch,
        /// What was to be deleted.
        plan: Box<DeletePlan>,
        /// What stays elsewhere, or why it was not deleted.
        result: Result<Option<String>, NotDeleted>,
    },
    /// Whether there are descriptors left for another run; those for requests, and for the end, are kept.
    Room(bool),
    /// A run gets no process: somebody else holds the lock of its graph.
    Held {
        /// Which run.
        key: RunKey,
        /// Who.
        holder: Holder,
    },
    /// One of the processes of [`Effect::EndOrphans`] has ended, or was not the one that was found any more.
    OrphanEnded {
        /// The run.
        key: RunKey,
        /// The process.
        pid: i32,
    },
    /// The answer to [`Effect::Examine`]: who holds the run's graph without gob.
    Examined {
        /// Which run.
        key: RunKey,
        /// Who.
        found: Examined,
    },
    /// What is left of processes that an earlier supervisor started for this worker; nothing when they are gone.
    Leftover {
        /// The worker's name.
        name: Name,
        /// Its processes.
        pids: Vec<i32>,
    },
    /// A run could not get a process.
    SpawnFailed {
        /// Which run.
        key: RunKey,
        /// The step that failed, and its errno.
        why: SpawnFailure,
    },
    /// The answer to [`Effect::CallOff`]: the run gets no process.
    CalledOff {
        /// Which run.
        key: RunKey,
    },
    /// The readiness check is satisfied.
    Ready {
        /// Which run.
        key: RunKey,
        /// What is known of the worker now.
        handshake: Handshake,
        /// Ports on which its tree listens, where that was looked up.
        ports: Vec<Port>,
    },
    /// The readiness check never will be satisfied.
    NeverReady {
        /// Which run.
        key: RunKey,
        /// Why.
        error: HandshakeError,
        /// The last lines that the run wrote.
        last_lines: Vec<String>,
    },
    /// What a run that is not ready yet says of itself, or what its probe saw last.
    Told {
        /// Which run.
        key: RunKey,
        /// In words.
        status: String,
    },
    /// A process of the run said something that its state depends on (sd_notify(3)).
    Notified {
        /// Which run.
        key: RunKey,
        /// What.
        note: Note,
    },
    /// The answer to [`Effect::StopHttp`].
    StopAnswered {
        /// Which run.
        key: RunKey,
        /// Whether the worker took the request.
        taken: bool,
    },
    /// A liveness probe has an answer.
    Probed {
        /// Which run.
        key: RunKey,
        /// Why the probe failed; `None` when it is well.
        failure: Option<String>,
    },
    /// The leader of a run ended and was reaped. Its group was killed before, unless it had been asked to end.
    Exited {
        /// Which run.
        key: RunKey,
        /// How.
        exit: Exit,
    },
    /// The answer to [`Effect::Sweep`] and [`Effect::Linger`], after [`Input::Exited`]: nothing of the run's tree is left.
    Swept {
        /// Which run.
        key: RunKey,
        /// What was signalled on the way.
        receipt: Receipt,
        /// The last lines that the run wrote.
        last_lines: Vec<String>,
        /// The port that the run was given is somebody else's by now.
        port_taken: bool,
    },
    /// The answer to [`Effect::Census`]: what a run's tree still holds.
    Surviving {
        /// Which run.
        key: RunKey,
        /// What was signalled, and who is left.
        receipt: Receipt,
    },
    /// The answer to [`Effect::Signal`].
    SignalSent {
        /// Which run.
        key: RunKey,
        /// The signal's name.
        signal: String,
        /// The connection that asked for it.
        conn: ConnId,
        /// What its client calls the request.
        id: Option<Id>,
        /// The errno's name, when it could not be sent.
        errno: Option<String>,
    },
    /// A process that is not ours was found to hold a graph, or to hold it no longer.
    External {
        /// The worker at rest that serves the graph.
        name: Name,
        /// The process.
        pid: i32,
        /// Who holds it now.
        holder: Option<Holder>,
    },
    /// The time of [`Effect::WakeAt`] has come.
    Due,
    /// The supervisor serves; fed once.
    Begin,
    /// The configuration is to be read again, as a SIGHUP says.
    Reread,
    /// The answer to [`Effect::ReadConfig`].
    Configured(Read),
    /// Files of the supervisor's own that somebody had taken away are there again.
    Healed,
    /// Sockets that workers were given are gone, or may be.
    SocketsLost(Lost),
    /// The supervisor is to end in order: a signal, or its keeper died.
    Terminate,
}

/// What the shell is to do.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Answer a request.
    Reply {
        /// To whom.
        conn: ConnId,
        /// What the client calls its request.
        id: Option<Id>,
        /// The answer.
        result: Result<Data, Box<WireError>>,
    },
    /// Answer `status`, adding what only the shell can measure.
    ReplyStatus {
        /// To whom.
        conn: ConnId,
        /// What the client calls its request.
        id: Option<Id>,
        /// What the core knows.
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
        /// For whom.
        conn: ConnId,
        /// The frame.
        frame: Box<Lagged>,
    },
    /// Start a process; answered by `Spawned`, `SpawnFailed`, `Held` or `Unfit`, once the disks that it needs have answered.
    Spawn(Box<SpawnPlan>),
    /// Start it no more; answered by `CalledOff`, unless what answers [`Effect::Spawn`] is on its way already.
    CallOff {
        /// Which run.
        key: RunKey,
    },
    /// Write the record of the graph that this run serves, now and when nothing is left of the run.
    Remember {
        /// Which run.
        key: RunKey,
    },
    /// Look which graphs there are on disk; answered by `GraphsFound`.
    FindGraphs(Box<FindGraphs>),
    /// Delete a graph; answered by `GraphDeleted`.
    DeleteGraph {
        /// Who asked for it.
        search: GraphSearch,
        /// What.
        plan: Box<DeletePlan>,
    },
    /// Ask a run's tree to end: this signal and then SIGCONT to its group; to each of its processes once its leader is gone.
    Terminate {
        /// Which run.
        key: RunKey,
        /// The signal's name.
        signal: String,
    },
    /// Ask a run to end by an HTTP request, which has one second; answered by `StopAnswered`.
    StopHttp {
        /// Which run.
        key: RunKey,
        /// Where: `http://host:port`.
        endpoint: String,
        /// What: a method and a path, as in `POST /v1/shutdown`.
        request: String,
        /// Nobody knows yet whether it is the run that listens there: only then it is asked.
        look: bool,
    },
    /// Look whether a run is ready, again and again until it is or `EndProbe` comes; answered by `Ready`.
    Probe {
        /// Which run.
        key: RunKey,
        /// At what.
        target: Target,
    },
    /// Look once whether a run is well; answered by `Probed`.
    ProbeOnce {
        /// Which run.
        key: RunKey,
        /// At what.
        target: Target,
        /// How long that may take.
        timeout_ms: u64,
    },
    /// Look who holds a run's graph without gob, and take a dead process's lock file away; answered by `Examined`.
    Examine {
        /// Which run.
        key: RunKey,
        /// Where to look.
        plan: Box<ExaminePlan>,
    },
    /// Send a signal to each of these processes that still is the one that was found, and tell when it has ended; answered by
    /// `OrphanEnded` for each, or by `Examined` where they can't be told.
    EndOrphans {
        /// Which run.
        key: RunKey,
        /// Whom.
        orphans: Vec<Orphan>,
        /// Where they were found.
        plan: Box<ExaminePlan>,
        /// The signal's name.
        signal: String,
    },
    /// Tell when this process is gone; answered by `External` without a holder.
    Follow {
        /// The worker whose graph it holds.
        name: Name,
        /// Its process id.
        pid: i32,
    },
    /// Look no longer.
    EndProbe {
        /// Which run.
        key: RunKey,
    },
    /// The leader is gone and the rest of its tree has the rest of the grace: ask those that were not asked yet, and tell
    /// when nothing is left; answered by `Swept`.
    Linger {
        /// Which run.
        key: RunKey,
        /// The signal's name.
        signal: String,
    },
    /// Kill whatever of a run's tree is alive, leader included, until nothing is left; answered by `Swept`.
    Sweep {
        /// Which run.
        key: RunKey,
    },
    /// Say what is left of a run's tree; answered by `Surviving`.
    Census {
        /// Which run.
        key: RunKey,
    },
    /// Send a signal to a run's leader; answered by `SignalSent` where somebody waits to hear of it.
    Signal {
        /// Which run.
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
        /// Which worker.
        name: Name,
    },
    /// Feed [`Input::Due`] at this time, and at no earlier one that was asked for before; `None`: not at all.
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
