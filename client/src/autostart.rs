//! Connects to the one supervisor, and starts it when none runs (ARCHITECTURE, Bird's eye).
//!
//! Owns nothing that outlives the call. The supervisor's own locks decide which one lives; the start lock
//! here only keeps a crowd of clients from starting a crowd of keepers. Nothing waits for a length of time: a
//! wait ends by the lock, the readiness pipe, or a change in the directories.

mod keeper;
mod lock;
mod unit;
mod watch;

use crate::blocking::socket::{NoConnection, connect};
use crate::error::Error;
use crate::holder::{Stopped, is_alive};
use gob_host::dirs::Dirs;
use gob_protocol::limits::{CONNECT_MS, START_LOCK_MS};
use serde::Deserialize;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
pub(crate) use watch::Changes;

/// The content of `$GOB_STATE_DIR/gobd.lock` about the supervisor that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct LockHolder {
    /// Its process id.
    pub pid: i32,
    /// Its life.
    #[serde(default)]
    pub instance: String,
    /// Its socket.
    pub socket: PathBuf,
}

impl LockHolder {
    /// Reads it; `None` when the file is missing, empty (an orderly exit), or garbage: it decides nothing.
    #[must_use]
    pub fn read(dirs: &Dirs) -> Option<Self> {
        let text = std::fs::read(dirs.lock_file()).ok()?;
        serde_json::from_slice(text.trim_ascii()).ok()
    }
}

/// A dying process that releases a lock causes no file event: time until the next check, in milliseconds.
pub(crate) const LOOK_MS: u64 = 100;

/// A callback for the subject of a wait; one line each.
pub type Notify<'a> = &'a dyn Fn(&str);

/// The parameters of reaching the supervisor.
pub(crate) struct Reach<'a> {
    pub(crate) dirs: &'a Dirs,
    pub(crate) autostart: bool,
    pub(crate) notify: Notify<'a>,
}

/// Pauses between the keepers that are started while another one holds the lock; each is twice as long as the one before.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

/// A connection and the path of its socket.
pub(crate) type Reached = (UnixStream, PathBuf);

impl Reach<'_> {
    /// Connects, starting the supervisor if requested and needed.
    pub(crate) fn connect(&self) -> Result<Reached, Error> {
        let deadline = after(CONNECT_MS);
        if let Some(reached) = self.try_connect(deadline)? {
            return Ok(reached);
        }
        if !self.autostart {
            return Err(Error::Nobody { socket: self.dirs.socket() });
        }
        self.start()
    }

    /// Tries the socket in the runtime directory, then the one in the lock file; `None` when neither has a
    /// listener.
    fn try_connect(&self, deadline: Instant) -> Result<Option<Reached>, Error> {
        let own = self.dirs.socket();
        if self.dirs.open_runtime()?.is_some()
            && let Some(stream) = attempt(&own, deadline)?
        {
            return Ok(Some((stream, own)));
        }
        let elsewhere =
            LockHolder::read(self.dirs).map(|holder| holder.socket).filter(|socket| *socket != own);
        match elsewhere {
            Some(socket) => Ok(attempt(&socket, deadline)?.map(|stream| (stream, socket))),
            None => Ok(None),
        }
    }

    fn start(&self) -> Result<Reached, Error> {
        self.dirs.check_owners(|name| std::env::var_os(name))?;
        self.dirs.create_runtime()?;
        let path = self.dirs.runtime.join("start.lock");
        let look = || self.try_connect(after(CONNECT_MS));
        let lock = match lock::take(&path, after(START_LOCK_MS), self.notify, look)? {
            lock::Taken::Lock(lock) => lock,
            lock::Taken::There(reached) => return Ok(reached),
        };
        let (begun, deadline) = (Instant::now(), after(CONNECT_MS));
        let (mut changes, mut pause) = (None, SHORTEST_PAUSE);
        let mut has_unit = unit::is_enabled_for(self.dirs);
        loop {
            if let Some(reached) = self.try_connect(deadline)? {
                drop(lock);
                return Ok(reached);
            }
            if Instant::now() >= deadline {
                return Err(silent(self.dirs, begun.elapsed()));
            }
            if std::mem::take(&mut has_unit) {
                match unit::start(deadline) {
                    Ok(()) => continue,
                    Err(said) => {
                        (self.notify)(&format!("its unit does not start, and it is started without: {said}"))
                    }
                }
            }
            match keeper::start(self.dirs, deadline)? {
                keeper::Outcome::Ready => {}
                // The keeper lost the lock. The winner gets ready, or is on its way out and the next round
                // starts another. The order is watch, check once more, wait, so that no change is missed.
                // Only a lost race pays for the watch: closing one takes the kernel some ten milliseconds.
                keeper::Outcome::Ceded => match &changes {
                    None => changes = Some(self::changes(self.dirs)),
                    Some(changes) => {
                        changes.wait(deadline.min(after(LOOK_MS)));
                        // A keeper that loses writes into the log, which is a change too.
                        rest(pause.min(deadline.saturating_duration_since(Instant::now())));
                        pause = (pause * 2).min(LONGEST_PAUSE);
                    }
                },
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "no event tells that another keeper may be tried")]
fn rest(pause: Duration) {
    std::thread::sleep(pause);
}

/// Returns the error for a supervisor that does not answer, with the reason as far as it is visible.
pub(crate) fn silent(dirs: &Dirs, waited: Duration) -> Error {
    let pid = LockHolder::read(dirs).map(|holder| holder.pid).filter(|pid| is_alive(*pid));
    Error::Silent { pid, stopped: Stopped::find(dirs), waited, log: dirs.daemon_log() }
}

/// Watches gob's directories from now on.
pub(crate) fn changes(dirs: &Dirs) -> watch::Changes {
    watch::Changes::of(&[&dirs.runtime, &dirs.state])
}

fn attempt(socket: &Path, deadline: Instant) -> Result<Option<UnixStream>, Error> {
    match connect(socket, deadline) {
        Ok(stream) => Ok(Some(stream)),
        Err(NoConnection::Nobody) => Ok(None),
        Err(NoConnection::Failed(source)) => Err(Error::Connect { socket: socket.to_owned(), source }),
        Err(NoConnection::Peer(uid)) => Err(Error::Peer { socket: socket.to_owned(), uid }),
    }
}

pub(crate) fn after(millis: u64) -> Instant {
    Instant::now() + Duration::from_millis(millis)
}
