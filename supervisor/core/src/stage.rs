//! Where a run stands: the rows of the lifecycle's table that have a run, and how far one on its way down has come.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use gob_config::kind::StopWay;
use gob_protocol::{Actor, Exit, Receipt, Survivor, WireError};
use serde::{Deserialize, Serialize};

/// Where a run stands: the rows of the lifecycle's table that have a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// It is found out who holds its graph; it has no process yet.
    Looking,
    /// Its spawn is under way.
    Preparing,
    /// It has a process, which is not ready yet.
    Starting,
    /// It is ready for use.
    Ready,
    /// Its liveness probe fails.
    Unhealthy,
    /// It is on its way down.
    Ending(End),
}

/// A run on its way down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) at: At,
    pub(crate) cause: Cause,
    /// The party that caused it.
    pub(crate) actor: Actor,
    /// How long the run had been ready.
    pub(crate) was_ready_ms: Option<u64>,
    /// How it was asked to end.
    pub(crate) asked: Asked,
    /// The reason to be shown, where the supervisor itself had one to stop it.
    pub(crate) why: Option<String>,
    /// Processes that could not be ended so far.
    pub(crate) stuck: Vec<Survivor>,
}

impl End {
    /// An end that was not asked for in any way yet.
    pub(crate) const fn new(at: At, cause: Cause, actor: Actor, was_ready_ms: Option<u64>) -> Self {
        Self { at, cause, actor, was_ready_ms, asked: Asked::Not, why: None, stuck: Vec::new() }
    }
}

/// How far an ending run has come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum At {
    /// It is to get no process any more; the answer of this is awaited. The grace may be over before it gets one.
    CallingOff { awaited: Awaited, overdue: bool },
    /// Its leader was asked to end, or ends by itself, and has its grace.
    Asked,
    /// Its leader is gone, and the rest of its tree has the rest of the grace.
    Lingering(Exit),
    /// Its leader and its tree are killed.
    Killing,
    /// Its leader is gone, and the rest of its tree is killed.
    Sweeping(Exit),
    /// Nothing is left of its processes; its last output is read, and the lock of its graph let go.
    Finishing(Box<Rest>),
    /// Nothing is left of it; it is found out whether it gave way to a process that gob did not start.
    Examining(Box<Ended>),
}

/// The last steps of a run without processes: the next starter, here or elsewhere, finds all of them done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rest {
    pub(crate) exit: Exit,
    /// The processes that were signalled on the way.
    pub(crate) receipt: Receipt,
    /// All of its output is read: the last lines are in `Run::last_lines`, and this tells whether another process listens on
    /// its port.
    pub(crate) port_taken: Option<bool>,
    /// The lock of its graph is free.
    pub(crate) is_free: bool,
}

/// An answer of the shell's that decides whether a run gets a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Awaited {
    Examined,
    Spawned,
}

/// The cause of a run's end. `Sequel` says what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Cause {
    /// It was asked for.
    Asked,
    /// It ended by itself.
    ByItself,
    /// It was ended by the supervisor, for it never will be ready, or is not well: its exit 0 cedes nothing.
    Unwell,
    /// It was ended by the supervisor, for it was not ready in time.
    TimedOut,
}

/// How far a run was asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Asked {
    /// Not at all: it ends by itself, or has no process yet.
    Not,
    /// By its HTTP request, which has no answer yet.
    Http,
    /// By its HTTP request, which it took.
    TakenHttp,
    /// By its signal.
    Signal,
    /// By its second signal.
    Twice,
}

impl Asked {
    /// The signal by which a run was asked so far.
    pub(crate) fn signal(self, way: &StopWay) -> String {
        let second = way.then.as_ref().filter(|_| self == Self::Twice);
        second.unwrap_or(&way.signal).clone()
    }
}

/// The outcome of a run of which nothing is left.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ended {
    pub(crate) exit: Exit,
    /// The processes that were signalled on the way.
    pub(crate) receipt: Receipt,
    /// The answer to requests that this run should have served.
    pub(crate) error: WireError,
}
