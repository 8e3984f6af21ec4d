//! The outcome of one decision about a run, and the facts that it is given beside the run. `Worker` alone interprets it.

use crate::failure::Unclear;
use crate::ids::RunKey;
use crate::making::Subject;
use crate::parts::Holder;
use crate::run::Run;
use crate::spec::Spec;
use crate::stage::{Cause, Ended};
use alloc::boxed::Box;
use gob_protocol::{Actor, EventKind, Exit, Owner, Receipt, WireError};

/// Facts about a worker that a decision about its run may read.
#[derive(Debug)]
pub(crate) struct Given<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) owner: &'a Owner,
    /// The port of its last run that was ready, if no run since then has failed to be.
    pub(crate) last_port: Option<u16>,
    /// How many runs in a row lost their port to another program.
    pub(crate) lost_ports: u32,
    pub(crate) sequel: Sequel,
}

impl<'a> Given<'a> {
    /// The run as its plan sees it.
    pub(crate) fn subject(&self, run: &'a Run) -> Subject<'a> {
        let RunKey { name, run: number } = &run.key;
        Subject {
            name,
            run: *number,
            port: run.port,
            last_port: self.last_port,
            spec: self.spec,
            owner: self.owner,
        }
    }
}

/// The sequel of a run, as things are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Sequel {
    /// It stays down, as was asked.
    Rest,
    /// The run that waits for its end.
    Next,
    /// The restart policy decides. `unwell`: the supervisor ended it, so its exit 0 cedes nothing.
    Policy { unwell: bool },
    /// The worker is failed.
    Fail,
}

impl Sequel {
    /// Tells whether the run ended by itself, so that the restart policy judges its exit.
    pub(crate) const fn is_unasked(self) -> bool {
        matches!(self, Self::Policy { unwell: false })
    }
}

/// How an ending run is treated until it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// It is asked to end within so many milliseconds, or its kind's grace.
    Ask(Option<u64>),
    /// It ends by itself, within its kind's grace.
    Let,
}

/// The outcome of a decision.
#[derive(Debug)]
pub(crate) enum Step {
    /// Nothing else follows.
    Stay,
    /// An event tells the worker as it is now.
    Tell(EventKind, Actor),
    /// It has a process.
    Started,
    /// It serves, for the first time.
    Ready,
    /// It is not well; it is ended for that, or not.
    Unhealthy { ended: bool },
    /// It is ended.
    End { cause: Cause, manner: Manner },
    /// It never will be ready: waiting requests are answered, and it is ended.
    Refuse(Box<WireError>),
    /// The examination of its graph's holders failed, for this reason; it gets no process.
    Unclear(Unclear),
    /// It was stopped before it had a process, and gets none.
    CalledOff,
    /// It gets no process.
    NoProcess(Exit, Box<WireError>),
    /// Nothing is left of it, and its sequel follows.
    Over(Box<Ended>),
    /// Nothing is left of it, and no run follows beside what was found.
    GiveUp(Box<WireError>, Receipt),
    /// A living process that is not ours serves the graph; the receipt is that of the run before it, where there was one.
    Cede { holder: Box<Holder>, before: Option<Receipt> },
    /// Another program has its port: another run follows at once.
    AnotherPort,
    /// The lock of its graph stays busy without a process that has it.
    Busy(Box<WireError>),
    /// Processes of it could not be ended for too long.
    Stuck { receipt: Receipt, is_news: bool },
}
