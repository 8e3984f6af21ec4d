//! One client's connection: turns bytes into requests. Reads, frames and parses; changes nothing and decides
//! nothing.
//!
//! Drives a [`Connection`], which has all of its bytes. Requests get their turn at the [`Desk`] as soon as they are read;
//! answers come back through the connection's queue.

use crate::connection::{Connection, Taken, dir_of};
use crate::desk::Desk;
use crate::disks::Disks;
use crate::memory::Share;
use crate::project;
use crate::shell::Shell;
use crate::sys::wire::Wire;
use gob_core::{BadRoot, Ban, Begins, ConnId, Input, TurnedAway, judge_root};
use gob_protocol::envelope::write_response;
use gob_protocol::{Incoming, Rejected};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;
use tokio::net::UnixStream;

/// Requests of one client before its answers are written and other clients get a turn. With more of them client and supervisor
/// wait for each other instead of working at the same time (ADR 6).
const TURN_REQUESTS: usize = 16;

/// After so many bytes of answers to one client others have their turn.
const TURN_BYTES: usize = 256 * 1024;

/// Time for which a connection beyond the bound may be idle.
const BRIEF_IDLE: Duration = Duration::from_secs(2);

/// Adds a client's connection; one beyond the bound is brief, and ends when it is idle and holds nothing. `None` when it is lost.
pub(crate) fn connect(
    conn: ConnId,
    pid: Option<i32>,
    is_brief: bool,
    stream: UnixStream,
    desk: &Desk,
) -> Option<Rc<Connection>> {
    let wire = Wire::new(stream).inspect_err(|error| tracing::warn!(%error, "a connection is lost")).ok()?;
    if desk.is_over() {
        return None;
    }
    let connection = Rc::new(Connection::new(wire, is_brief));
    desk.turn(|shell| shell.connected(conn, pid, Rc::clone(&connection)));
    Some(connection)
}

/// Serves a connection until its client is gone.
pub(crate) async fn serve(conn: ConnId, connection: Rc<Connection>, desk: Desk, disks: Disks, share: Share) {
    let _told = Told(&desk);
    // A connection ends for one reason, of no interest to others: its client is gone.
    read_requests(conn, &connection, &desk, &disks, share).await.unwrap_or_default();
    connection.outbound.close();
    if !desk.is_over() {
        desk.turn(|shell| shell.disconnected(conn));
    }
}

/// A panic in a task concerns only that task; a panic in a turn concerns the supervisor.
struct Told<'a>(&'a Desk);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.stir_if_broken();
        }
    }
}

async fn read_requests(
    conn: ConnId,
    connection: &Connection,
    desk: &Desk,
    disks: &Disks,
    mut share: Share,
) -> io::Result<()> {
    let (outbound, is_brief) = (&connection.outbound, connection.is_brief);
    // The request whose directory, or whose job's project file, was read.
    let mut resolved: Option<Ready> = None;
    loop {
        if desk.is_over() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if let Some(frames) = outbound.take_written() {
            desk.turn(|shell| shell.input(Input::Written { conn, frames }));
        }
        let may_answer = outbound.may_answer() && share.may_answer(outbound.bytes());
        if may_answer && (resolved.is_some() || outbound.may_read()) {
            let next = match resolved.take() {
                Some(ready) => Some(Next::Ready(ready)),
                None => connection.next_request().map(|taken| desk.look(|shell| next_of(conn, taken, shell))),
            };
            match next {
                Some(Next::Open(open)) => {
                    resolved = Some(open.settle(disks).await);
                    continue;
                }
                Some(Next::Ready(first)) => {
                    let more = take_turn(conn, connection, desk, first);
                    if let Some(open) = more.open {
                        resolved = Some(open.settle(disks).await);
                    }
                    share.waits(outbound.bytes());
                    if more.is_due_to_others {
                        tokio::task::yield_now().await;
                    }
                    continue;
                }
                None => {}
            }
        }
        // Requests that were read before are taken first.
        let may_read = may_answer && resolved.is_none() && outbound.may_read();
        if outbound.is_closed() || outbound.is_done() {
            return Ok(());
        }
        share.waits(outbound.bytes());
        if !share.holds(connection.give_back()) {
            refuse(connection, TurnedAway::Unfinished);
            return Ok(());
        }
        tokio::select! {
            biased;
            end = connection.read(), if may_read => {
                if end? {
                    outbound.end_of_requests();
                    // A client that has closed both directions can't be written to either.
                    if connection.wire.is_hung_up() {
                        return Ok(());
                    }
                }
            }
            ready = connection.wire.writable(), if !outbound.is_empty() => {
                ready?;
                connection.flush();
            }
            () = outbound.changed.rings() => {}
            () = async { tokio::time::sleep(BRIEF_IDLE).await }, if is_brief => {
                if outbound.is_answered() && !desk.look(|shell| shell.holds(conn)) {
                    refuse(connection, TurnedAway::NoRoom);
                    return Ok(());
                }
            }
        }
    }
}

/// Why a connection's turn ended; by default because no request was left.
#[derive(Default)]
struct TurnEnd {
    /// The next request needs something from a disk.
    open: Option<Open>,
    /// Other clients have their turn.
    is_due_to_others: bool,
}

/// Takes a request and those behind it, as far as one turn goes.
fn take_turn(conn: ConnId, connection: &Connection, desk: &Desk, first: Ready) -> TurnEnd {
    let outbound = &connection.outbound;
    let before = outbound.bytes();
    connection.resolved();
    desk.turn(|shell| {
        shell.take_request(conn, first.request, first.ban);
        for _ in 1..TURN_REQUESTS {
            if outbound.bytes().saturating_sub(before) > TURN_BYTES {
                break;
            }
            if !outbound.may_read() {
                return TurnEnd::default();
            }
            match connection.next_request().map(|taken| next_of(conn, taken, shell)) {
                Some(Next::Ready(Ready { request, ban })) => {
                    connection.resolved();
                    shell.take_request(conn, request, ban);
                }
                Some(Next::Open(open)) => return TurnEnd { open: Some(open), is_due_to_others: false },
                None => return TurnEnd::default(),
            }
        }
        TurnEnd { open: None, is_due_to_others: true }
    })
}

/// Sends the error that ends the connection.
fn refuse(connection: &Connection, why: TurnedAway) {
    let error = why.refusal();
    connection.outbound.reply(|line| write_response::<()>(line, None, Err(&error)).unwrap_or_default());
    connection.flush();
}

/// The next request of a connection.
enum Next {
    Ready(Ready),
    Open(Open),
}

/// A request that can be taken.
struct Ready {
    request: Result<Incoming, Rejected>,
    ban: Option<Ban>,
}

/// A request that needs something from a disk first.
enum Open {
    /// It names a directory.
    Dir(Incoming),
    /// It may begin a job, of which a project file may say something.
    Job(Incoming, Begins),
}

fn next_of(conn: ConnId, taken: Taken, shell: &Shell) -> Next {
    match taken {
        Taken::Whole(request) => Next::Ready(Ready { request, ban: None }),
        Taken::NamesDir(incoming) => Next::Open(Open::Dir(incoming)),
        Taken::NamesWorker(incoming) => match shell.begins(conn, &incoming.request) {
            Some(job) => Next::Open(Open::Job(incoming, job)),
            None => Next::Ready(Ready { request: Ok(incoming), ban: None }),
        },
    }
}

impl Open {
    async fn settle(self, disks: &Disks) -> Ready {
        let (incoming, job) = match self {
            Self::Job(incoming, job) => (incoming, Some(job)),
            Self::Dir(incoming) => match resolve_dir(incoming, disks).await {
                Ok(incoming) => {
                    let job = Begins::of_add(&incoming.request);
                    (incoming, job)
                }
                rejected => return Ready { request: rejected, ban: None },
            },
        };
        let ban = match job {
            Some(job) => Some(project::ban(job, disks).await),
            None => None,
        };
        Ready { request: Ok(incoming), ban }
    }
}

/// Replaces the directory in a request by its real path, which is part of a worker's identity. The resolution may hang on a dead mount, so
/// it runs off this thread and delays only this connection.
async fn resolve_dir(mut incoming: Incoming, disks: &Disks) -> Result<Incoming, Rejected> {
    let Some((field, dir)) = dir_of(&mut incoming.request) else { return Ok(incoming) };
    let place = std::mem::take(dir);
    let resolved = disks.ask(&place, vec![place.clone()], {
        let place = place.clone();
        move |at| {
            at.enter("find", &place).map_err(BadRoot::Silent)?;
            real_path(Path::new(&place))
        }
    });
    match resolved.await.map_err(BadRoot::Silent).and_then(|path| path) {
        Ok(path) => {
            *dir = path;
            Ok(incoming)
        }
        Err(bad) => Err(Rejected { id: incoming.id, error: Box::new(bad.refusal(field)) }),
    }
}

/// Returns the real path of a directory that may not exist yet: the real path of its existing part, and the
/// rest as given.
pub(crate) fn real_path(path: &Path) -> Result<String, BadRoot> {
    if !path.is_absolute() {
        return Err(BadRoot::Relative);
    }
    let unresolved = |e: &io::Error| BadRoot::Unresolved(e.to_string());
    let mut missing = PathBuf::new();
    let mut there = path;
    let real = loop {
        match there.canonicalize() {
            Ok(real) => break real,
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let (Some(parent), Some(name)) = (there.parent(), there.file_name()) else {
                    return Err(unresolved(&e));
                };
                missing =
                    if missing.as_os_str().is_empty() { name.into() } else { Path::new(name).join(missing) };
                there = parent;
            }
            Err(e) => return Err(unresolved(&e)),
        }
    };
    let whole = if missing.as_os_str().is_empty() { real } else { real.join(missing) };
    let bytes = whole.as_os_str().len();
    judge_root(whole.into_os_string().into_string().ok(), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_directory_has_a_real_path() {
        assert_eq!(real_path(Path::new("/proc/self/../nothing/here")).unwrap(), "/proc/nothing/here");
        assert_eq!(real_path(Path::new("/")).unwrap(), "/");
        assert!(real_path(Path::new("relative")).is_err());
    }
}
