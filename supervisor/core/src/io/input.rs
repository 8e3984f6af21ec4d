//! Inputs: everything that the shell reports to the core, as plain data.

use crate::ban::Ban;
use crate::chronicle::{NoAnswer, SharedNews, Stored};
use crate::failure::SpawnFailure;
use crate::ids::{ConnId, RunKey};
use crate::on_disk::{DeletePlan, GraphSearch, NotDeleted, OnDisk};
use crate::parts::{Examined, Holder, Lost, Note, PortsSeen};
use crate::record::{New, Unfit};
use crate::target::{Answered, Missed};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_config::Reading;
use gob_protocol::answer::{KeeperUpgrade, Program};
use gob_protocol::handshake::{Handshake, HandshakeError};
use gob_protocol::view::Port;
use gob_protocol::{Exit, Id, Leftover, Name, Receipt, Request};

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
    /// The umask of a client's process, before a request of it that may begin a job.
    Umask {
        /// The client's connection.
        conn: ConnId,
        /// The umask.
        umask: u32,
    },
    /// The word of the project file in a job's directory, before a request of the client that may begin that job.
    ProjectFile {
        /// The client's connection.
        conn: ConnId,
        /// The job, and whether it must not run.
        ban: Ban,
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
    /// The answer to [`Effect::FindGraphs`](crate::Effect::FindGraphs).
    GraphsFound {
        /// The request that this search serves.
        search: GraphSearch,
        /// The graphs on disk.
        found: Vec<OnDisk>,
    },
    /// The answer to [`Effect::DeleteGraph`](crate::Effect::DeleteGraph).
    GraphDeleted {
        /// The request that this search serves.
        search: GraphSearch,
        /// The deletion that was ordered.
        plan: Box<DeletePlan>,
        /// A remainder elsewhere that stays, or the reason why the graph was not deleted.
        result: Result<Option<String>, NotDeleted>,
    },
    /// The database that several machines share has news.
    Shared(SharedNews),
    /// The answer to [`Effect::Ask`](crate::Effect::Ask).
    Stored {
        /// The number of the question.
        ticket: u64,
        /// The answer.
        answer: Result<Stored, NoAnswer>,
    },
    /// The answer to [`Effect::MarkLocks`](crate::Effect::MarkLocks); else the reason why it is not written.
    LocksMarked(Result<(), String>),
    /// True if descriptors are left for another run; those for requests and for the end are reserved.
    Room(bool),
    /// A run gets no process: another process holds the lock of its graph.
    Held {
        /// The run.
        key: RunKey,
        /// The process that holds it.
        holder: Holder,
    },
    /// One of the processes of [`Effect::EndOrphans`](crate::Effect::EndOrphans) has ended, or its pid belongs to another process by now.
    OrphanEnded {
        /// The run.
        key: RunKey,
        /// The process.
        pid: i32,
    },
    /// The answer to [`Effect::Examine`](crate::Effect::Examine): the processes that hold the run's graph without gob.
    Examined {
        /// The run.
        key: RunKey,
        /// The result.
        found: Examined,
    },
    /// The processes of earlier supervisors that are still there, all of them.
    Leftovers(Vec<Leftover>),
    /// A run could not get a process.
    SpawnFailed {
        /// The run.
        key: RunKey,
        /// The step that failed, and its errno.
        why: SpawnFailure,
    },
    /// The answer to [`Effect::CallOff`](crate::Effect::CallOff): the run gets no process.
    CalledOff {
        /// The run.
        key: RunKey,
    },
    /// A run says that it is ready.
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
    /// The status of a run that is not ready yet, in its own words.
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
    /// The answer to [`Effect::StopHttp`](crate::Effect::StopHttp).
    StopAnswered {
        /// The run.
        key: RunKey,
        /// True if the worker accepted the request.
        taken: bool,
    },
    /// The answer to [`Effect::Probe`](crate::Effect::Probe).
    Probed {
        /// The run.
        key: RunKey,
        /// The outcome.
        found: Result<Answered, Box<Missed>>,
    },
    /// The leader of a run ended and was reaped. Its group was killed before, unless it had been asked to end.
    Exited {
        /// The run.
        key: RunKey,
        /// Its exit code or signal.
        exit: Exit,
    },
    /// The answer to [`Effect::Sweep`](crate::Effect::Sweep) and [`Effect::Linger`](crate::Effect::Linger), after [`Input::Exited`]: nothing of the run's tree is left.
    Swept {
        /// The run.
        key: RunKey,
        /// The signals sent on the way.
        receipt: Receipt,
    },
    /// The answer to [`Effect::ReadRest`](crate::Effect::ReadRest): all output of the run is read.
    ReadOut {
        /// The run.
        key: RunKey,
        /// The last lines that the run wrote.
        last_lines: Vec<String>,
        /// Another process listens on the run's port by now.
        port_taken: bool,
    },
    /// The answer to [`Effect::Free`](crate::Effect::Free): the lock of the run's graph is free, or its disk does
    /// not answer.
    Freed {
        /// The run.
        key: RunKey,
    },
    /// The answer to [`Effect::Census`](crate::Effect::Census): the processes that are left of a run's tree.
    Surviving {
        /// The run.
        key: RunKey,
        /// The signals sent, and the survivors.
        receipt: Receipt,
    },
    /// The answer to [`Effect::Signal`](crate::Effect::Signal).
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
    /// The end of a process that [`Effect::Follow`](crate::Effect::Follow) named.
    HolderGone {
        /// The worker whose graph it held.
        name: Name,
        /// The process.
        pid: i32,
    },
    /// The answer to [`Effect::LookForPorts`](crate::Effect::LookForPorts) and [`Effect::FindPorts`](crate::Effect::FindPorts), one
    /// for all that a look has answered.
    Ports(Box<PortsSeen>),
    /// The time of [`Effect::WakeAt`](crate::Effect::WakeAt) has come.
    Due,
    /// The supervisor serves clients from now on; fed once.
    Begin,
    /// SIGHUP: the configuration is to be read again.
    Reread,
    /// The answer to [`Effect::ReadConfig`](crate::Effect::ReadConfig).
    Configured(Read),
    /// Files of the supervisor's own that had been removed exist again.
    Healed,
    /// Sockets of workers are gone, or may be.
    SocketsLost(Lost),
    /// The answer to [`Effect::TryProgram`](crate::Effect::TryProgram): the program that runs, where the new one can take over; else
    /// the reason why it can't.
    ProgramTried(Result<Program, String>),
    /// The answer to [`Effect::Replace`](crate::Effect::Replace): the program that ran goes on, for this reason.
    NotReplaced(String),
    /// This is the new program, after [`Effect::Replace`](crate::Effect::Replace) of the one before it; fed behind
    /// [`Core::resume`](crate::Core::resume).
    Upgraded(Program),
    /// Whether the programs of these runs were replaced on disk since they began.
    Programs(Vec<(RunKey, bool)>),
    /// The answer to [`Effect::BringKeeper`](crate::Effect::BringKeeper).
    KeeperBrought(KeeperUpgrade),
    /// The supervisor is to end in order: a signal, or its keeper died.
    Terminate,
}
