//! The requests that a surface makes, and the words of their answers.

use crate::blocking::Client;
use crate::call::{self, Call};
use crate::pulse::Deadline;
use crate::screen::said;
use crate::{Error, Name, Owner};
use gob_protocol::answer::{GraphOnDisk, LockStatusData, QueueListData, StartData};
use gob_protocol::request::Wait;
use gob_protocol::{Env, RunRecord};

/// The default of `--owner` of gobctl: handed down, it would lend a worker its owner's name.
const OWNER: &str = "GOB_OWNER";

/// A request in a surface's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Ensures that a graph, or a worker that is there, runs.
    Start {
        /// The graph or worker.
        name: Name,
        /// The graph's kind.
        kind: Option<String>,
    },
    /// Makes a job and runs it; in this program's environment where it has none of its own.
    Add(Box<call::Add>),
    /// Ends a worker and its tree, at once if forced.
    Stop {
        /// The worker.
        name: Name,
        /// Without asking it first.
        force: bool,
    },
    /// Ends a worker and starts it anew.
    Restart {
        /// The worker.
        name: Name,
    },
    /// Sends a signal to a worker's leader.
    Signal {
        /// The worker.
        name: Name,
        /// The signal: `HUP`.
        signal: String,
    },
    /// Makes another owner the owner.
    HandOver {
        /// The worker.
        name: Name,
        /// The new owner.
        to: Owner,
    },
    /// Forgets a worker, its logs included.
    Remove {
        /// The worker.
        name: Name,
    },
    /// Takes a lease, which the connection carries until it is given back.
    Lease {
        /// The worker.
        name: Name,
    },
    /// Gives a lease back.
    Release {
        /// The worker.
        name: Name,
    },
    /// Requests the latest runs.
    Runs {
        /// The worker.
        name: Name,
    },
    /// Looks where a worker listens; an event tells what changed.
    Ports {
        /// The worker.
        name: Name,
    },
    /// Requests the graphs on disk.
    Graphs,
    /// Requests the named locks.
    Locks,
    /// Requests the lanes of the queue, and its latest jobs.
    Queue,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Something was done.
    Done {
        /// In a sentence.
        said: String,
        /// The worker that it made or started, to be shown.
        shows: Option<Name>,
        /// The surface holds a lease on it now.
        holds: bool,
    },
    /// The latest runs of a worker.
    Runs {
        /// The worker.
        name: Name,
        /// Its runs, newest first.
        runs: Vec<RunRecord>,
        /// There are older ones.
        more: bool,
    },
    /// The graphs on disk.
    Graphs(Vec<GraphOnDisk>),
    /// The named locks.
    Locks(LockStatusData),
    /// The lanes, and jobs of the queue.
    Queue(QueueListData),
}

/// Reads the answer to a request that was sent, if it has come.
pub(super) type Pending = Box<dyn FnMut(&mut Client) -> Result<Option<Answer>, Error> + Send>;

type Sent = (Pending, &'static str, Deadline);

/// Runs that are shown.
const RUNS: u32 = 20;
/// Jobs of the queue that are shown.
const JOBS: u32 = 100;

/// Sends a request.
pub(super) fn send(client: &mut Client, ask: Ask) -> Result<Sent, Error> {
    let done = |said| Answer::Done { said, shows: None, holds: false };
    match ask {
        Ask::Start { name, kind } => {
            // With a kind it can only be a graph; a name alone may be any worker's.
            let (graph, name) = if kind.is_some() { (Some(name), None) } else { (None, Some(name)) };
            let (env, wait) = (Some(environment()), Some(Wait::Ready));
            pending(client, call::Start { graph, name, kind, env, wait, ..call::Start::default() }, |data| {
                began(data, false)
            })
        }
        Ask::Add(add) => {
            let holds = add.lease;
            let env = add.env.clone().or_else(|| Some(environment()));
            let add = call::Add { env, ..*add };
            pending(client, add, move |data| began(data, holds))
        }
        Ask::Stop { name, force } => {
            pending(client, call::Stop { name, force, grace_ms: None }, move |data| {
                done(said::stopped(&data))
            })
        }
        Ask::Restart { name } => {
            let env = Some(environment());
            let restart = call::Restart { name, env, grace_ms: None, wait: None, timeout_ms: None };
            pending(client, restart, move |data| done(said::restarted(&data)))
        }
        Ask::Signal { name, signal } => {
            let word = signal.clone();
            let say =
                move |data: gob_protocol::answer::WorkerData| done(said::signalled(&data.worker, &word));
            pending(client, call::Signal { name, signal }, say)
        }
        Ask::HandOver { name, to } => {
            pending(client, call::HandOver { name, to }, move |data| done(said::handed_over(&data.worker)))
        }
        Ask::Remove { name } => {
            pending(client, call::Remove { name }, move |data| done(said::removed(&data.removed)))
        }
        Ask::Lease { name } => {
            pending(client, call::Lease { name }, move |data| done(said::leased(&data.worker)))
        }
        Ask::Release { name } => {
            pending(client, call::Release { name }, move |data| done(said::released(&data.worker)))
        }
        Ask::Runs { name } => {
            let of = name.clone();
            pending(client, call::Runs { name, limit: Some(RUNS), before: None }, |data| Answer::Runs {
                name: of,
                runs: data.runs,
                more: data.more,
            })
        }
        Ask::Ports { name } => {
            let of = name.clone();
            let say = move |data: gob_protocol::answer::PortsData| done(said::listens(&of, data.ports.len()));
            pending(client, call::Ports { name: Some(name) }, say)
        }
        Ask::Graphs => pending(client, call::Graphs, |data| Answer::Graphs(data.graphs)),
        Ask::Locks => pending(client, call::LockStatus::default(), Answer::Locks),
        Ask::Queue => pending(
            client,
            call::QueueList { limit: Some(JOBS), ..call::QueueList::default() },
            Answer::Queue,
        ),
    }
}

fn began(data: StartData, holds: bool) -> Answer {
    Answer::Done { said: said::started(&data), shows: Some(data.worker.name), holds }
}

fn pending<C: Call + 'static>(
    client: &mut Client,
    call: C,
    say: impl FnOnce(C::Data) -> Answer + Send + 'static,
) -> Result<Sent, Error> {
    let sent = client.send(call)?;
    let mut say = Some(say);
    let read = move |client: &mut Client| {
        let Some(reply) = client.arrived_answer(sent)? else { return Ok(None) };
        let data = reply.read()?;
        Ok(say.take().map(|say| say(data)))
    };
    Ok((Box::new(read), C::TYPE, sent.deadline()))
}

/// Returns this program's environment, as far as the wire takes it: variables in UTF-8.
fn environment() -> Env {
    std::env::vars_os()
        .filter(|(name, _)| name != OWNER)
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
