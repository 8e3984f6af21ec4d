//! Effects: everything that the core has the shell do, as plain data.

use crate::chronicle::{Question, Recorded};
use crate::ids::{ConnId, RunKey};
use crate::on_disk::{DeletePlan, FindGraphs, GraphSearch};
use crate::parts::{ExaminePlan, Orphan, SpawnPlan};
use crate::target::Target;
use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use gob_config::History;
use gob_protocol::{Data, Event, Id, Lagged, Name, Status, WireError};

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
    /// Ask a run to end by an HTTP request; answered by `StopAnswered`.
    StopHttp {
        /// The run.
        key: RunKey,
        /// The server: `http://host:port`.
        endpoint: String,
        /// A method and a path, as in `POST /v1/shutdown`.
        request: String,
        /// Check first that the run's own tree listens there, and send nothing if it does not.
        look: bool,
        /// Time limit of the answer.
        limit_ms: u64,
    },
    /// Probe a run once, for its readiness or its liveness; answered by `Probed`, unless `EndProbe` comes.
    Probe {
        /// The run.
        key: RunKey,
        /// The place to probe.
        target: Target,
        /// The probe's deadline, counted from its begin.
        timeout_ms: u64,
        /// Only an answer of the run's own processes counts: an earlier process may still answer.
        its_own: bool,
        /// A failure that is later than this, or is another process's answer, also names the addresses on which the run
        /// listens. `None`: it never does.
        explain_after_ms: Option<u64>,
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
    /// Report the end of this process; answered by `HolderGone`.
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
    /// Read the last output of a run without processes; answered by `ReadOut`.
    ReadRest {
        /// The run.
        key: RunKey,
        /// It was ready: reports of its output that are under way change nothing any more.
        was_ready: bool,
    },
    /// Let go of the lock of the graph of a run without processes; answered by `Freed`.
    Free {
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
    /// Record something in the history; nothing waits for it.
    Record(Recorded),
    /// Ask the store; answered by `Stored`, in bounded time.
    Ask {
        /// The number of the question.
        ticket: u64,
        /// The question.
        question: Question,
    },
    /// Look where a run listens, after a pause and together with other runs whose time has come; answered by `Ports`. An earlier
    /// look of the same run that has not begun counts as this one, and is done at the earlier time.
    LookForPorts {
        /// The run.
        key: RunKey,
        /// The pause.
        after_ms: u64,
    },
    /// Look where these runs listen, in the first look that begins from now on; answered by `Ports`, in bounded time.
    FindPorts {
        /// The number of the request.
        ticket: u64,
        /// The runs.
        of: Vec<RunKey>,
    },
    /// Mark in the runtime directory that locks may be held; answered by `LocksMarked`, in bounded time.
    MarkLocks {
        /// The highest token that may be given once that is written; no mark before had a higher one.
        up_to: u64,
    },
    /// Remove that mark at the end of the process: no lock is held.
    UnmarkLocks,
    /// Mark that jobs may have numbers up to this one, for a supervisor whose store can tell none.
    MarkJobs {
        /// The number.
        up_to: u64,
    },
    /// Read the configuration; answered by `Configured`.
    ReadConfig,
    /// Use this database with other machines from here on; `None`: none any more.
    Share(Option<Box<gob_config::Shared>>),
    /// Keep the history, and jobs of the queue that have ended, within other bounds.
    BoundHistory {
        /// Runs of each worker, and their age.
        bounds: History,
        /// The age at which a job that has ended leaves the queue.
        keep_finished_ms: u64,
    },
    /// Delete the logs of a worker.
    Forget {
        /// The worker.
        name: Name,
    },
    /// Delete the logs of one run.
    ForgetRun(RunKey),
    /// Feed [`Input::Due`](crate::Input::Due) at this time instead of the one requested before; `None`: not at all.
    WakeAt(Option<u64>),
    /// Try the program to which the supervisor is to be upgraded; answered by `ProgramTried`, in bounded time.
    TryProgram {
        /// Its path; the one at which this program lies when absent.
        exe: Option<String>,
    },
    /// Replace this program by the one that was tried last, with the state; answered by `NotReplaced` in this program, in bounded
    /// time, or by `Upgraded` in the new one.
    Replace,
    /// Have the keeper go on with the program that belongs to this one; answered by `KeeperBrought`, in bounded time.
    BringKeeper,
    /// Everything is down and answered: end the process with code 0.
    Exit {
        /// Remove gob's own files too.
        nuke: bool,
        /// But keep the store: it has jobs of the queue that are not finished.
        keeps_queue: bool,
    },
}
