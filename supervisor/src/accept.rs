//! Accepts connections. Checks the peer's user before the first byte is read, and survives a lack of
//! descriptors without spinning.

use crate::conn;
use crate::connection::Connection;
use crate::desk::Desk;
use crate::disks::Disks;
use crate::memory::{Memory, Share};
use crate::sys::fds::{self, Shares};
use crate::upgrade::{Fd, Inherited, Named, Unfit};
use gob_core::{ConnId, TurnedAway};
use gob_protocol::envelope;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::fs::File;
use std::io;
use std::rc::Rc;
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Pause after the kernel had no descriptor to give.
const BACKOFF: Duration = Duration::from_millis(100);

/// Connections that are turned away before that pause.
const AT_ONCE: usize = 16;

/// Connections beyond the bound for clients that ask at once: there is always room to list, to stop and to end.
const BRIEF: u64 = 4;

/// The running accepting task. A new listener replaces the old one.
pub(crate) struct Accepting {
    /// Its drop ends the task.
    stop: oneshot::Sender<()>,
    door: JoinHandle<Door>,
}

impl Accepting {
    /// Ends it; a client that comes from now on waits in the listener's queue.
    pub(crate) async fn rest(self) -> Option<Door> {
        drop(self.stop);
        // A panic is in the log.
        self.door.await.ok()
    }
}

async fn accept(
    mut door: Door,
    mut listeners: mpsc::Receiver<UnixListener>,
    mut stopped: oneshot::Receiver<()>,
) -> Door {
    loop {
        tokio::select! {
            biased;
            _ = &mut stopped => break,
            Some(next) = listeners.recv() => door.replace(next),
            accepted = door.listener.accept() => match accepted {
                Ok((stream, _)) => {
                    door.take(stream);
                }
                Err(e) => door.hold_out(&e).await,
            },
        }
    }
    while let Ok(next) = listeners.try_recv() {
        door.replace(next);
    }
    door
}

/// The listener and the state of accepting.
pub(crate) struct Door {
    listener: UnixListener,
    desk: Desk,
    disks: Disks,
    memory: Rc<Memory>,
    /// Closed for a moment to turn connections away when there are no descriptors.
    reserve: Option<File>,
    /// The number of open connections, and its limit.
    open: Rc<Cell<u64>>,
    /// The number of open connections beyond it.
    brief: Rc<Cell<u64>>,
    shares: Shares,
    /// The number of the latest connection.
    last: u64,
    /// A lack of descriptors was logged.
    is_out: bool,
}

/// A door as data.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DoorState {
    listener: Fd,
    last: u64,
}

impl Door {
    pub(crate) fn new(listener: UnixListener, desk: Desk, disks: Disks, memory: Rc<Memory>) -> Self {
        Self {
            listener,
            desk,
            disks,
            memory,
            reserve: reserve(),
            open: Rc::default(),
            brief: Rc::default(),
            shares: Shares::now(),
            last: 0,
            is_out: false,
        }
    }

    /// Returns what another program needs to go on with it.
    pub(crate) fn hand_over(&self, named: &mut Named) -> DoorState {
        DoorState { listener: named.name(&self.listener), last: self.last }
    }

    /// Goes on at the door of another program.
    pub(crate) fn resume(
        state: DoorState,
        (desk, disks, memory): (Desk, Disks, Rc<Memory>),
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        let listener = inherited.take(state.listener)?;
        let listener = UnixListener::from_std(listener.into())?;
        Ok(Self { last: state.last, ..Self::new(listener, desk, disks, memory) })
    }

    /// Accepts for as long as the supervisor lives, and serves the connections that there are.
    pub(crate) fn open(self, listeners: mpsc::Receiver<UnixListener>) -> Accepting {
        let all = self.desk.look(|shell| shell.connections());
        for (conn, connection) in all {
            connection.rewind();
            self.serve(conn, connection);
        }
        let (stop, stopped) = oneshot::channel();
        Accepting { stop, door: tokio::task::spawn_local(accept(self, listeners, stopped)) }
    }

    /// Serves a client. One that has the last descriptor is turned away, and false returned: nobody could be otherwise,
    /// where another thread took the reserve's for a moment.
    fn take(&mut self, stream: UnixStream) -> bool {
        self.reserve = self.reserve.take().or_else(reserve);
        if self.reserve.is_none() {
            refuse(&stream, TurnedAway::NoRoom);
            drop(stream);
            self.reserve = reserve();
            return false;
        }
        if std::mem::take(&mut self.is_out) {
            tracing::info!("connections are taken again");
        }
        let open = self.open.get();
        let full = open >= self.shares.most_connections()
            || (open >= self.shares.connections() && self.shares.is_short());
        let is_brief = full && self.brief.get() < BRIEF;
        if let Some(Admitted { pid }) = admit(&stream, full && !is_brief) {
            self.last += 1;
            let conn = ConnId(self.last);
            if let Some(connection) = conn::connect(conn, pid, is_brief, stream, &self.desk) {
                self.serve(conn, connection);
            }
        }
        true
    }

    fn serve(&self, conn: ConnId, connection: Rc<Connection>) {
        // A brief one does not take the place of another.
        let counted = Counted::one(if connection.is_brief { &self.brief } else { &self.open });
        let (desk, disks) = (self.desk.clone(), self.disks.clone());
        let share = Share::new(Rc::clone(&self.memory));
        let served = Rc::clone(&connection);
        let task = tokio::task::spawn_local(async move {
            conn::serve(conn, served, desk, disks, share).await;
            drop(counted);
        });
        connection.is_driven_by(task.abort_handle());
    }

    /// Without a free descriptor the kernel would offer the same connection for ever: the reserve is closed
    /// to turn it away, and then some that wait behind it.
    async fn hold_out(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.is_out, true) {
            tracing::warn!(%error, "cannot take connections");
        }
        for _ in 0..AT_ONCE {
            self.reserve.take();
            // The queue is empty, or no connection can be accepted even so.
            let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::ZERO, self.listener.accept()).await
            else {
                break;
            };
            if self.take(stream) {
                return;
            }
        }
        self.reserve = self.reserve.take().or_else(reserve);
        tokio::time::sleep(BACKOFF).await;
    }

    /// Connections in the queue of a deleted socket must not be lost with it.
    fn replace(&mut self, next: UnixListener) {
        let old = std::mem::replace(&mut self.listener, next);
        let Ok(old) = old.into_std() else { return };
        while let Ok((stream, _)) = old.accept() {
            let stream = stream.set_nonblocking(true).and_then(|()| UnixStream::from_std(stream));
            match stream {
                Ok(stream) => {
                    self.take(stream);
                }
                Err(error) => tracing::warn!(%error, "a connection is lost"),
            }
        }
    }
}

/// Opens a descriptor that is closed when one is needed.
fn reserve() -> Option<File> {
    File::open("/dev/null").ok()
}

/// One of the open connections.
struct Counted(Rc<Cell<u64>>);

impl Counted {
    fn one(of: &Rc<Cell<u64>>) -> Self {
        of.set(of.get() + 1);
        Self(Rc::clone(of))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

/// A client that was admitted.
struct Admitted {
    /// Its process id; `None` when the client is in another pid namespace.
    pid: Option<i32>,
}

/// Admits a client, or sends it the reason of the refusal.
fn admit(stream: &UnixStream, full: bool) -> Option<Admitted> {
    let peer = match stream.peer_cred() {
        Ok(peer) if peer.uid() == fds::uid() => peer,
        Ok(_) | Err(_) => {
            refuse(stream, TurnedAway::AnotherUser);
            return None;
        }
    };
    if full {
        refuse(stream, TurnedAway::NoRoom);
        return None;
    }
    Some(Admitted { pid: peer.pid() })
}

/// Writes the refusal in one line, if the socket takes it at once, and closes the connection.
fn refuse(stream: &UnixStream, why: TurnedAway) {
    let mut line = Vec::new();
    if envelope::write_response::<()>(&mut line, None, Err(&why.refusal())).is_ok() {
        stream.try_write(&line).unwrap_or_default();
    }
}
