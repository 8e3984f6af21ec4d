//! The requests that the window makes, and the words of their answers.

use gob_client::blocking::Client;
use gob_client::call::{self, Call};
use gob_client::protocol::answer::GraphOnDisk;
use gob_client::protocol::request::Wait;
use gob_client::protocol::{Env, RunRecord};
use gob_client::pulse::Deadline;
use gob_client::screen::said;
use gob_client::{Error, Name, Owner};

/// The default of `--owner` of gobctl: handed down, it would lend a worker its owner's name.
const OWNER: &str = "GOB_OWNER";

/// A request in the window's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ask {
    /// Ensures that a graph, or a worker that is there, runs.
    Start {
        name: Name,
        kind: Option<String>,
    },
    /// Makes a job and runs it.
    Add {
        command: Vec<String>,
        cwd: String,
        name: Option<Name>,
    },
    Stop {
        name: Name,
        force: bool,
    },
    Restart {
        name: Name,
    },
    Signal {
        name: Name,
        signal: String,
    },
    HandOver {
        name: Name,
        to: Owner,
    },
    Remove {
        name: Name,
    },
    Lease {
        name: Name,
    },
    Release {
        name: Name,
    },
    /// Requests the latest runs.
    Runs {
        name: Name,
    },
    /// Looks where a worker listens; an event tells what changed.
    Ports {
        name: Name,
    },
    /// Requests the graphs on disk.
    Graphs,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Something was done: a sentence, and the worker that it made or started, to be shown.
    Done { said: String, shows: Option<Name> },
    /// The latest runs of a worker, and whether there are older ones.
    Runs { name: Name, runs: Vec<RunRecord>, more: bool },
    /// The graphs on disk.
    Graphs(Vec<GraphOnDisk>),
}

/// Reads the answer to a request that was sent, if it has come.
pub(super) type Pending = Box<dyn FnMut(&mut Client) -> Result<Option<Answer>, Error> + Send>;

type Sent = (Pending, &'static str, Deadline);

/// Runs that are shown.
const RUNS: u32 = 20;

/// Sends a request.
pub(super) fn send(client: &mut Client, ask: Ask) -> Result<Sent, Error> {
    let done = |said| Answer::Done { said, shows: None };
    match ask {
        Ask::Start { name, kind } => {
            // With a kind it can only be a graph; a name alone may be any worker's.
            let (graph, name) = if kind.is_some() { (Some(name), None) } else { (None, Some(name)) };
            let (env, wait) = (Some(environment()), Some(Wait::Ready));
            pending(client, call::Start { graph, name, kind, env, wait, ..call::Start::default() }, began)
        }
        Ask::Add { command, cwd, name } => {
            let (env, wait) = (Some(environment()), Some(Wait::Spawned));
            pending(client, call::Add { command, cwd, name, env, wait, ..call::Add::default() }, began)
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
            let say = move |data: gob_client::protocol::answer::WorkerData| {
                done(said::signalled(&data.worker, &word))
            };
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
            let say = move |data: gob_client::protocol::answer::PortsData| {
                done(said::listens(&of, data.ports.len()))
            };
            pending(client, call::Ports { name: Some(name) }, say)
        }
        Ask::Graphs => pending(client, call::Graphs, |data| Answer::Graphs(data.graphs)),
    }
}

fn began(data: gob_client::protocol::answer::StartData) -> Answer {
    Answer::Done { said: said::started(&data), shows: Some(data.worker.name) }
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

/// Returns this window's environment, as far as the wire takes it: variables in UTF-8.
fn environment() -> Env {
    std::env::vars_os()
        .filter(|(name, _)| name != OWNER)
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}
