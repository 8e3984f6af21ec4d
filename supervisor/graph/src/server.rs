//! The main thread: accepts clients, keeps the socket published, ends in order after a signal.
//!
//! Owns the socket, the graph's lock and the list of connections. It sleeps in one `poll`: an idle worker
//! wakes up once a minute to check its socket, and on SIGURG, by which gob reports that the socket is gone.
//! Clients are served on threads of their own.

use crate::StartError;
use crate::connection;
use crate::limits::{
    ACCEPT_PAUSE, MAX_CONNECTIONS, REPUBLISH_FIRST, SOCKET_CHECK, STOP_DEAF, STOP_INTERRUPTED, STOP_PATIENCE,
};
use crate::lock::GraphLock;
use crate::log;
use crate::socket::{Socket, next_wait};
use crate::store::{Gone, Store};
use gob_protocol::envelope::write_response;
use gob_protocol::{ErrorCode, WireError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::Shutdown;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The signal that the socket may be gone. Its number is small and positive, as `signalfd_siginfo` has it.
const LOOK: Signal = Signal::SIGURG;

/// State that all connections share.
#[derive(Debug)]
pub(crate) struct Shared {
    /// The graph.
    pub(crate) store: Store,
    /// The start of the worker.
    pub(crate) started: Instant,
    /// No further request is begun.
    pub(crate) stopping: AtomicBool,
    /// Running requests end at their next check.
    pub(crate) interrupt: Arc<AtomicBool>,
    /// Readable after a request found that the graph is gone.
    over: EventFd,
    connections: Mutex<BTreeMap<u64, Arc<UnixStream>>>,
    ended: Condvar,
}

/// A worker that is ready to serve.
#[derive(Debug)]
pub(crate) struct Server {
    signals: SignalFd,
    socket: Socket,
    shared: Arc<Shared>,
    next_connection: u64,
    /// No connection is accepted while the process is out of descriptors.
    paused: bool,
    /// The socket is gone: the time of its next publication, and the wait after that if it fails.
    republish: Option<(Instant, Duration)>,
    /// Dropped last: while any part of the worker runs, the graph is taken.
    _lock: GraphLock,
}

/// Blocks the worker's signals for all later threads, and opens the descriptor that reports them.
///
/// # Errors
/// The error of the system.
pub(crate) fn block_signals() -> Result<SignalFd, StartError> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, LOOK] {
        signals.add(signal);
    }
    let made = signals
        .thread_block()
        .and_then(|()| SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK));
    made.map_err(|e| StartError::System { operation: "wait for signals", source: e.into() })
}

impl Server {
    /// Puts the parts together.
    ///
    /// # Errors
    /// The error of the system.
    pub(crate) fn new(
        signals: SignalFd,
        lock: GraphLock,
        store: Store,
        socket: Socket,
    ) -> Result<Self, StartError> {
        let over = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK);
        let over = over.map_err(|e| StartError::System { operation: "make an event", source: e.into() })?;
        let shared = Shared {
            over,
            store,
            started: Instant::now(),
            stopping: AtomicBool::new(false),
            interrupt: Arc::new(AtomicBool::new(false)),
            connections: Mutex::new(BTreeMap::new()),
            ended: Condvar::new(),
        };
        let shared = Arc::new(shared);
        Ok(Self { signals, socket, shared, next_connection: 0, paused: false, republish: None, _lock: lock })
    }

    /// Serves until a signal, then closes everything in order.
    ///
    /// # Errors
    /// Ends early when the graph is not in its place any more.
    pub(crate) fn serve(mut self) -> Result<(), Gone> {
        while !self.wait_and_handle() {}
        self.stop().map_or(Ok(()), Err)
    }

    /// Runs one turn of the loop; true when it is time to stop.
    fn wait_and_handle(&mut self) -> bool {
        let mut timeout = if self.paused { ACCEPT_PAUSE } else { SOCKET_CHECK };
        if let Some((due, _)) = self.republish {
            // poll rounds down and would return too early, hence one millisecond more.
            let left = due.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            timeout = timeout.min(left);
        }
        let listening = if self.paused { PollFlags::empty() } else { PollFlags::POLLIN };
        let changes = self.socket.changes();
        let watching = if changes.is_some() { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut fds = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(changes.unwrap_or(self.signals.as_fd()), watching),
            PollFd::new(self.socket.listener(), listening),
            PollFd::new(self.shared.over.as_fd(), PollFlags::POLLIN),
        ];
        let polled = poll(&mut fds, PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX));
        let [signal, change, client, over] = fds.map(|fd| fd.any().unwrap_or(false));
        // An idle graph is checked once a minute, too.
        let store = &self.shared.store;
        if over || (polled == Ok(0) && (store.gone().is_some() || store.is_overwritten())) {
            return true;
        }
        let told = match signal.then(|| self.signals.read_signal()) {
            Some(Ok(Some(info))) if info.ssi_signo != LOOK as u32 => return true,
            Some(Ok(Some(_))) => true,
            Some(Ok(None) | Err(_)) | None => false,
        };
        self.paused = false;
        if change {
            self.socket.clear_changes();
        }
        if client {
            self.accept();
        }
        self.shared.store.end_idle_readers();
        if told || change || polled == Ok(0) || self.republish.is_some() {
            self.keep_published();
        }
        false
    }

    fn accept(&mut self) {
        loop {
            match self.socket.accept() {
                Ok(Some(stream)) => self.admit(stream),
                Ok(None) => return,
                Err(e) => {
                    log::line(format_args!("cannot accept a client: {e}"));
                    self.paused = true;
                    return;
                }
            }
        }
    }

    fn admit(&mut self, stream: UnixStream) {
        let ours = nix::unistd::geteuid().as_raw();
        match getsockopt(&stream, PeerCredentials) {
            Ok(peer) if peer.uid() == ours => {}
            Ok(peer) => {
                let message = format!("this graph belongs to user {ours}, you are user {}", peer.uid());
                return turn_away(&stream, &WireError::new(ErrorCode::PermissionDenied, message));
            }
            Err(e) => return log::line(format_args!("cannot tell who the client is: {e}")),
        }
        let shared = &self.shared;
        if shared.connections().len() >= MAX_CONNECTIONS {
            let error = WireError::new(ErrorCode::Busy, format!("{MAX_CONNECTIONS} clients are connected"));
            let details = json!({"limit": "connections", "value": MAX_CONNECTIONS});
            return turn_away(&stream, &error.hint("try again").details(details));
        }
        let number = self.next_connection;
        self.next_connection += 1;
        let stream = Arc::new(stream);
        shared.connections().insert(number, Arc::clone(&stream));
        let serving = Arc::clone(shared);
        let client = Arc::clone(&stream);
        let spawned = thread::Builder::new().name(format!("client {number}")).spawn(move || {
            // Leaves the list even when the request's code panics.
            let left = Leave { shared: &serving, number };
            if let Err(e) = connection::serve(&serving, &client) {
                log::line(format_args!("client {number}: {e}"));
            }
            drop(left);
        });
        if let Err(e) = spawned {
            shared.leave(number);
            let error = WireError::new(ErrorCode::Busy, format!("cannot start a thread: {e}"));
            turn_away(&stream, &error.details(json!({"limit": "threads"})));
        }
    }

    /// Publishes the socket again after a loss: not at once, since the program that removes the directory is
    /// likely still at work, then soon, and once a minute in the end.
    fn keep_published(&mut self) {
        if self.socket.is_published() {
            self.republish = None;
            return;
        }
        let (due, wait) = *self.republish.get_or_insert((Instant::now() + REPUBLISH_FIRST, REPUBLISH_FIRST));
        if Instant::now() < due {
            return;
        }
        // Connections in the queue of the old socket must not be lost with it.
        self.accept();
        match self.socket.publish_again() {
            Ok(()) => {
                log::line(format_args!("published {} again", self.socket.path().display()));
                self.republish = None;
            }
            Err(e) => {
                log::line(format_args!("the socket is gone: {e}"));
                self.republish = Some((Instant::now() + wait, next_wait(wait)));
            }
        }
    }

    /// Ends the worker in order; returns the file that changed under it, if any.
    fn stop(self) -> Option<Gone> {
        let shared = &self.shared;
        self.socket.remove();
        shared.stopping.store(true, Ordering::Relaxed);
        for client in shared.connections().values() {
            // Ends the wait for further requests; the running one goes on and its response is still written.
            drop(client.shutdown(Shutdown::Read));
        }
        if !shared.wait_for_all(STOP_DEAF) {
            for client in shared.connections().values().filter(|client| !connection::is_ready(client)) {
                drop(client.shutdown(Shutdown::Both));
            }
        }
        if !shared.wait_for_all(STOP_PATIENCE) {
            shared.interrupt.store(true, Ordering::Relaxed);
            if !shared.wait_for_all(STOP_INTERRUPTED) {
                log::line(format_args!("{} clients did not end in time", shared.connections().len()));
            }
        }
        let gone = shared.store.finish();
        if gone.is_some() {
            // Closing would delete the log at the path, which may be another graph's by now.
            std::mem::forget(self.shared);
        }
        gone
    }
}

impl Shared {
    fn connections(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<UnixStream>>> {
        // The map changes by single insertions and removals: a panic elsewhere can't have torn it.
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the worker because the graph is gone.
    pub(crate) fn end(&self) {
        if let Err(e) = self.over.write(1) {
            log::line(format_args!("cannot end the worker: {e}"));
        }
    }

    fn leave(&self, number: u64) {
        self.connections().remove(&number);
        self.ended.notify_all();
    }

    /// Waits until no client is left; false after `patience`.
    fn wait_for_all(&self, patience: Duration) -> bool {
        let connections = self.connections();
        let waited = self.ended.wait_timeout_while(connections, patience, |left| !left.is_empty());
        let (left, _) = waited.unwrap_or_else(PoisonError::into_inner);
        left.is_empty()
    }
}

struct Leave<'a> {
    shared: &'a Shared,
    number: u64,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        self.shared.leave(self.number);
    }
}

/// Writes the reason, without waiting for a client that does not read, and closes the connection.
fn turn_away(stream: &UnixStream, error: &WireError) {
    let mut line = Vec::new();
    if write_response::<()>(&mut line, None, Err(error)).is_ok() && stream.set_nonblocking(true).is_ok() {
        drop((&*stream).write(&line));
    }
}
