//! Probes from outside whether a run is ready or well, and requests its end by HTTP.
//!
//! Owns the running probes, keyed by run, and the socket for notifications. Each probe is a task of its own
//! on the loop's runtime, so that a worker that does not answer costs only itself. Decides nothing:
//! the core asks for each single probe, with its target and its limits, and receives the answer. A run's output is watched elsewhere
//! (`output::watch`).

pub(crate) mod http;
mod listeners;
mod lookout;
pub(crate) mod notify;
mod ports;
mod probe;
pub(crate) mod sockets;

pub(crate) use listeners::Wanted;
pub(crate) use ports::{NoPort, Ports, PortsState, with_port};
pub(crate) use probe::Look;
pub(crate) use sockets::Tree;

use crate::disks::Disks;
use crate::mailbox::Post;
use crate::program;
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use gob_core::{Answered, Miss, Missed, Note, PortsSeen, RunKey};
use gob_protocol::handshake::Handshake;
use gob_protocol::view::Port;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::io;
use std::os::unix::net::UnixDatagram;
use std::rc::Rc;
use std::time::Duration;
use tokio::task::JoinHandle;

/// A result.
pub(crate) enum Found {
    /// The address of a run that reported its port alone is known.
    Ready { key: RunKey, handshake: Handshake, ports: Vec<Port> },
    /// A probe has its answer.
    Probed { key: RunKey, found: Result<Answered, Box<Missed>> },
    /// The request to end was accepted, or not.
    StopAnswered { key: RunKey, taken: bool },
    /// It was looked where runs listen.
    Ports(Box<PortsSeen>),
    /// A process sent a notification.
    Notified { pid: i32, note: Note, status: Option<String> },
}

/// Returns whether a run reported its port alone, so that it may be at either address of the loopback
/// interface.
pub(crate) fn is_anywhere(handshake: &Handshake) -> bool {
    handshake.by_port && handshake.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with(ANYWHERE))
}

/// Beginning of the endpoint of a run that reported its port alone.
pub(crate) const ANYWHERE: &str = "http://localhost:";

/// The machine's refusal as a failure of a probe.
pub(crate) fn machine(error: io::Error) -> Miss {
    Miss::Machine(program::errno(&error))
}

/// The tasks of the probes.
pub(crate) struct Readiness {
    found: Post<Found>,
    looks: sockets::Looks,
    lookout: lookout::Lookout,
    probes: HashMap<RunKey, JoinHandle<()>>,
    /// The listeners for notifications: on the present socket, and on the one before it.
    listeners: VecDeque<Listener>,
    /// Runs that are ready, and of which it is looked where they listen.
    locating: BTreeMap<RunKey, Handshake>,
    /// Nothing is listened to.
    rests: bool,
}

/// A socket for notifications, and the task that listens on it.
struct Listener {
    heard: Rc<notify::Heard>,
    task: JoinHandle<()>,
}

/// All that is under way about readiness, as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ReadinessState {
    /// The sockets for notifications, the present one first.
    sockets: Vec<Fd>,
    locating: Vec<(RunKey, Located)>,
}

/// The handshake of a run that reported its port alone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Located {
    version: Option<String>,
    endpoint: Option<String>,
    meta: serde_json::Map<String, serde_json::Value>,
}

/// A deleted socket is listened to until its successor is deleted too: processes that connected to it may
/// still send.
const LISTENERS: usize = 2;

impl Readiness {
    /// Creates it without probes; results go to `found`.
    pub(crate) fn new(found: Post<Found>, disks: Disks) -> Self {
        let looks = sockets::Looks::new(disks);
        let lookout = lookout::Lookout::new();
        let (listeners, locating) = (VecDeque::new(), BTreeMap::new());
        Self { found, looks, lookout, probes: HashMap::new(), listeners, locating, rests: false }
    }

    /// Listens for notifications on this socket, which does not block.
    pub(crate) fn listen(&mut self, socket: UnixDatagram) -> io::Result<()> {
        let heard = Rc::new(notify::Heard::on(socket)?);
        let task = tokio::task::spawn_local(notify::listen(Rc::clone(&heard), self.found.clone()));
        self.listeners.push_front(Listener { heard, task });
        self.listeners.drain(LISTENERS.min(self.listeners.len())..).for_each(|old| old.task.abort());
        Ok(())
    }

    /// Ends the listening, unless a message that was received waits for room in the loop's queue; false then.
    pub(crate) fn rest(&mut self) -> bool {
        self.rests = self.listeners.iter().all(|listener| !listener.heard.is_telling());
        if self.rests {
            self.listeners.iter().for_each(|listener| listener.task.abort());
        }
        self.rests
    }

    /// Listens again.
    pub(crate) fn go_on(&mut self) {
        if !std::mem::take(&mut self.rests) {
            return;
        }
        for listener in &mut self.listeners {
            let heard = Rc::clone(&listener.heard);
            listener.task = tokio::task::spawn_local(notify::listen(heard, self.found.clone()));
        }
    }

    /// Returns what another program needs to go on with it; probes are begun anew.
    pub(crate) fn hand_over(&self, named: &mut Named) -> ReadinessState {
        let located = |handshake: &Handshake| {
            let Handshake { version, endpoint, by_port: _, meta } = handshake.clone();
            Located { version, endpoint, meta }
        };
        ReadinessState {
            sockets: self.listeners.iter().map(|listener| named.name(&*listener.heard)).collect(),
            locating: self
                .locating
                .iter()
                .map(|(key, handshake)| (key.clone(), located(handshake)))
                .collect(),
        }
    }

    /// Listens where another program did. Returns the runs that it was looking for.
    pub(crate) fn resume(
        &mut self,
        state: ReadinessState,
        inherited: &mut Inherited,
    ) -> Result<Vec<(RunKey, Handshake)>, Unfit> {
        // The present one last: each comes before those that are there.
        for socket in state.sockets.into_iter().rev() {
            self.listen(inherited.take(socket)?.into())?;
        }
        let located = state.locating.into_iter().map(|(key, Located { version, endpoint, meta })| {
            (key, Handshake { version, endpoint, by_port: true, meta })
        });
        Ok(located.collect())
    }

    /// Probes a run once, unless [`Readiness::end_probe`] comes first. Processes of the run carry the tag.
    pub(crate) fn probe(&mut self, key: RunKey, look: Look, tree: Tree) {
        let (found, looks, of) = (self.found.clone(), self.looks.clone(), key.clone());
        let task = tokio::task::spawn_local(async move {
            let seen = probe::once(&look, tree, &looks).await;
            found.send(Found::Probed { key: of, found: seen }).await;
        });
        if let Some(old) = self.probes.insert(key, task) {
            old.abort();
        }
    }

    /// Finds the address of the loopback interface on which a run listens that reported its port alone; it is
    /// ready already.
    pub(crate) fn locate(&mut self, key: RunKey, handshake: Handshake, tree: Tree) {
        self.locating.insert(key.clone(), handshake.clone());
        let (found, looks) = (self.found.clone(), self.looks.clone());
        tokio::task::spawn_local(async move {
            let (handshake, ports) = probe::located(handshake, tree, &looks).await;
            found.send(Found::Ready { key, handshake, ports }).await;
        });
    }

    /// Notes that a run was located.
    pub(crate) fn located(&mut self, key: &RunKey) {
        self.locating.remove(key);
    }

    /// Looks where a run listens, after so long.
    pub(crate) fn look_later(&mut self, wanted: Wanted, after: Duration) {
        self.lookout.later(wanted, after, &self.looks, &self.found);
    }

    /// Looks where these runs listen, in the first look that begins from now on.
    pub(crate) fn look_now(&mut self, ticket: u64, of: Vec<Wanted>) {
        self.lookout.now(ticket, of, &self.looks, &self.found);
    }

    /// Ends a probe, or forgets one that has its answer.
    pub(crate) fn end_probe(&mut self, key: &RunKey) {
        if let Some(task) = self.probes.remove(key) {
            task.abort();
        }
    }

    /// Requests a run's end by an HTTP request, such as `POST /v1/shutdown`; with `of`, only if a process of
    /// that tree listens there.
    pub(crate) fn stop(
        &self,
        key: RunKey,
        endpoint: String,
        request: String,
        of: Option<Tree>,
        limit: Duration,
    ) {
        let (found, looks) = (self.found.clone(), self.looks.clone());
        tokio::task::spawn_local(async move {
            let asked = probe::ask_to_end(&endpoint, &request, of, &looks);
            let answer = tokio::time::timeout(limit, asked).await;
            let taken = matches!(answer, Ok(Ok(200..=299)));
            if !taken {
                tracing::info!(worker = %key.name, run = key.run, %endpoint, %request, ?answer, "not taken");
            }
            found.send(Found::StopAnswered { key, taken }).await;
        });
    }
}
