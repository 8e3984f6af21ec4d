//! The connections, as data: the bytes of each that were read and not taken, and those that were not sent.
//!
//! Owns both, and the socket. A task drives each connection (`conn`); the shell has the table, so that nothing of a
//! connection is known to its task alone. The one request that is taken while its directory is looked up stays here as the
//! line that it was.

use crate::outbound::{Outbound, Unsent};
use crate::sys::wire::Wire;
use crate::upgrade::Bytes;
use gob_core::ConnId;
use gob_protocol::envelope::{frame_too_long, parse_request};
use gob_protocol::limits::MAX_REQUEST_BYTES;
use gob_protocol::{Framer, Incoming, Rejected, Request};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::task::{Poll, ready};
use tokio::task::AbortHandle;

/// Bytes taken by one read.
const READ_BYTES: usize = 64 * 1024;

/// Every connection of the shell.
pub(crate) type Connections = HashMap<ConnId, Rc<Connection>>;

/// One client's connection.
pub(crate) struct Connection {
    pub(crate) wire: Wire,
    pub(crate) outbound: Outbound,
    inbound: RefCell<Inbound>,
    /// It is beyond the bound of connections.
    pub(crate) is_brief: bool,
    /// The task that drives it.
    task: RefCell<Option<AbortHandle>>,
}

/// The bytes of a client.
struct Inbound {
    framer: Framer,
    /// The line of the request whose directory is being looked up.
    resolving: Option<Vec<u8>>,
}

/// A request as it is read.
pub(crate) enum Taken {
    /// It has no directory, or a problem.
    Whole(Result<Incoming, Rejected>),
    /// It names a directory, to be replaced by its real path.
    NamesDir(Incoming),
    /// It begins the worker of a name, which may be a job.
    NamesWorker(Incoming),
}

/// The bytes of a connection, for another program that goes on with it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// Requests that were not taken, and the beginning of the next one.
    unread: Bytes,
    /// They begin within a line that is too long, of which the rest is dropped.
    drops_line: bool,
    /// Answers and events.
    unsent: Unsent,
    is_brief: bool,
}

impl Connection {
    pub(crate) fn new(wire: Wire, is_brief: bool) -> Self {
        let inbound = Inbound { framer: Framer::of_requests(MAX_REQUEST_BYTES), resolving: None };
        let (outbound, inbound) = (Outbound::new(), RefCell::new(inbound));
        Self { wire, outbound, inbound, is_brief, task: RefCell::default() }
    }

    /// Goes on where another program came to rest.
    pub(crate) fn resume(wire: Wire, pending: Pending) -> Self {
        let Pending { unread, drops_line, unsent, is_brief } = pending;
        let inbound = RefCell::new(Inbound::behind(&unread.0, drops_line));
        Self { wire, outbound: Outbound::resume(unsent), inbound, is_brief, task: RefCell::default() }
    }

    /// Notes the task that drives it from now on.
    pub(crate) fn is_driven_by(&self, task: AbortHandle) {
        *self.task.borrow_mut() = Some(task);
    }

    /// Ends the task that drives it; nothing more is read.
    pub(crate) fn rest(&self) {
        self.task.borrow().iter().for_each(AbortHandle::abort);
    }

    /// Returns whether no task drives it.
    pub(crate) fn rests(&self) -> bool {
        self.task.borrow().as_ref().is_none_or(AbortHandle::is_finished)
    }

    /// Has the request be read again whose directory was being looked up when its task ended.
    pub(crate) fn rewind(&self) {
        let inbound = &mut *self.inbound.borrow_mut();
        if inbound.resolving.is_some() {
            let (unread, drops_line) = inbound.unread();
            *inbound = Inbound::behind(&unread, drops_line);
            self.outbound.unasked();
        }
    }

    /// Reads once; true at the end of the stream. Cancel safe.
    pub(crate) async fn read(&self) -> io::Result<bool> {
        thread_local! {
            /// Shared by all connections: it holds bytes only between a read and the framer.
            static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READ_BYTES]);
        }
        poll_fn(|cx| {
            BUFFER.with_borrow_mut(|buffer| {
                let len = ready!(self.wire.poll_read(cx, buffer))?;
                if let Some(read) = buffer.get_mut(..len) {
                    self.inbound.borrow_mut().framer.extend(read);
                    // A request may carry the secrets of a client's environment.
                    read.fill(0);
                }
                Poll::Ready(Ok(len == 0))
            })
        })
        .await
    }

    /// Takes the next whole request.
    pub(crate) fn next_request(&self) -> Option<Taken> {
        let Inbound { framer, resolving } = &mut *self.inbound.borrow_mut();
        let Ok(line) = framer.next_frame()? else {
            self.outbound.asked();
            return Some(Taken::Whole(Err(Rejected { id: None, error: Box::new(frame_too_long()) })));
        };
        self.outbound.asked();
        let mut parsed = parse_request(line);
        let names_dir = parsed.as_mut().is_ok_and(|incoming| dir_of(&mut incoming.request).is_some());
        let names_worker = parsed.as_ref().is_ok_and(|incoming| begins_by_name(&incoming.request));
        Some(match parsed {
            Ok(incoming) if names_dir => {
                *resolving = Some(line.to_vec());
                Taken::NamesDir(incoming)
            }
            Ok(incoming) if names_worker => {
                *resolving = Some(line.to_vec());
                Taken::NamesWorker(incoming)
            }
            parsed => Taken::Whole(parsed),
        })
    }

    /// Notes that the request whose directory, or whose job's project file, was read goes to the core.
    pub(crate) fn resolved(&self) {
        if let Some(mut line) = self.inbound.borrow_mut().resolving.take() {
            line.fill(0);
            // Else the compiler may leave out what it sees nobody read.
            std::hint::black_box(&mut line);
        }
    }

    /// Writes as much as the socket takes right now. Returns false when nothing is left or the client does not read any
    /// more.
    pub(crate) fn flush(&self) -> bool {
        self.outbound.flush(&self.wire)
    }

    /// Frees the memory of requests that are done; returns the bytes that unfinished ones hold.
    pub(crate) fn give_back(&self) -> usize {
        let framer = &mut self.inbound.borrow_mut().framer;
        framer.give_back();
        framer.held_bytes()
    }

    /// Returns the bytes that nobody has dealt with. Its task must have ended.
    pub(crate) fn pending(&self) -> Pending {
        let (unread, drops_line) = self.inbound.borrow().unread();
        let (unread, unsent) = (Bytes(unread), self.outbound.hand_over());
        Pending { unread, drops_line, unsent, is_brief: self.is_brief }
    }
}

impl Inbound {
    fn behind(unread: &[u8], drops_line: bool) -> Self {
        let mut framer = Framer::of_requests(MAX_REQUEST_BYTES).within_dropped_line(drops_line);
        framer.extend(unread);
        Self { framer, resolving: None }
    }

    /// Returns the bytes that were not taken, and whether they begin within a line that is dropped.
    fn unread(&self) -> (Vec<u8>, bool) {
        let mut unread = Vec::new();
        if let Some(line) = &self.resolving {
            unread.extend_from_slice(line);
            unread.push(b'\n');
        }
        let (rest, drops_line) = self.framer.unread();
        unread.extend_from_slice(rest);
        (unread, drops_line)
    }
}

/// Tells whether a request begins a worker of which it has no more than the name.
#[expect(clippy::wildcard_enum_match_arm, reason = "most requests begin nothing")]
fn begins_by_name(request: &Request) -> bool {
    match request {
        Request::Start(start) => start.graph.is_none() && start.root_dir.is_none(),
        Request::Restart(_) => true,
        _other => false,
    }
}

/// Returns the directory in a request, and its field, where it names one that is part of a worker's identity, by its real path.
#[expect(clippy::wildcard_enum_match_arm, reason = "most requests name no directory")]
pub(crate) fn dir_of(request: &mut Request) -> Option<(&'static str, &mut String)> {
    match request {
        Request::Start(start) => start.root_dir.as_mut().map(|dir| ("root_dir", dir)),
        Request::GraphDelete(delete) => delete.root_dir.as_mut().map(|dir| ("root_dir", dir)),
        Request::Add(add) | Request::Create(add) => Some(("cwd", &mut add.cwd)),
        Request::QueueAdd(add) => Some(("cwd", &mut add.cwd)),
        Request::ScheduleAdd(add) => Some(("cwd", &mut add.cwd)),
        _other => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    const PING: &str = "{\"id\":1,\"type\":\"ping\"}\n";
    const START: &str = "{\"id\":2,\"type\":\"start\",\"payload\":{\"graph\":\"g\",\"root_dir\":\"/r\"}}\n";
    const BEGIN: &str = "{\"id\":3,\"ty";

    /// A connection in a table, and its client.
    fn connected() -> (Connections, Rc<Connection>, UnixStream) {
        let (client, server) = UnixStream::pair().unwrap();
        server.set_nonblocking(true).unwrap();
        let stream = tokio::net::UnixStream::from_std(server).unwrap();
        let connection = Rc::new(Connection::new(Wire::new(stream).unwrap(), false));
        (HashMap::from([(ConnId(1), Rc::clone(&connection))]), connection, client)
    }

    fn on_runtime(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn every_byte_that_was_read_and_not_taken_is_found_in_the_table() {
        on_runtime(async {
            let (table, connection, mut client) = connected();
            let unread =
                |table: &Connections| String::from_utf8(table[&ConnId(1)].pending().unread.0).unwrap();
            client.write_all(format!("{PING}{START}{PING}{BEGIN}").as_bytes()).unwrap();
            assert!(!connection.read().await.unwrap());
            assert_eq!(unread(&table), format!("{PING}{START}{PING}{BEGIN}"));
            assert!(matches!(connection.next_request(), Some(Taken::Whole(Ok(_)))));
            assert_eq!(unread(&table), format!("{START}{PING}{BEGIN}"));
            assert!(matches!(connection.next_request(), Some(Taken::NamesDir(_))));
            assert_eq!(unread(&table), format!("{START}{PING}{BEGIN}"), "its directory is being looked up");
            connection.resolved();
            assert_eq!(unread(&table), format!("{PING}{BEGIN}"));
            assert!(matches!(connection.next_request(), Some(Taken::Whole(Ok(_)))));
            assert!(connection.next_request().is_none());
            assert_eq!(unread(&table), BEGIN);
        });
    }

    #[test]
    fn a_line_that_is_too_long_is_known_to_be_dropped() {
        on_runtime(async {
            let (table, connection, mut client) = connected();
            client.set_nonblocking(true).unwrap();
            let (line, mut sent) = (vec![b'x'; MAX_REQUEST_BYTES + 10], 0);
            let refused = loop {
                sent += client.write(&line[sent..]).unwrap_or(0);
                connection.read().await.unwrap();
                if let Some(refused) = connection.next_request() {
                    break refused;
                }
            };
            assert!(matches!(refused, Taken::Whole(Err(_))));
            assert!(table[&ConnId(1)].pending().drops_line);
        });
    }

    #[test]
    fn every_byte_that_was_not_sent_is_found_in_the_table() {
        on_runtime(async {
            let (table, connection, mut client) = connected();
            let frames: Vec<Vec<u8>> = (0..200_u8).map(|byte| vec![byte; 5_000]).collect();
            for (number, frame) in frames.iter().enumerate() {
                if number % 2 == 0 {
                    connection.outbound.reply(|out| out.extend_from_slice(frame));
                } else {
                    connection.outbound.event(frame.as_slice().into());
                }
            }
            assert!(connection.flush(), "the socket takes a part");
            let unsent = table[&ConnId(1)].pending().unsent.chunks;
            let unsent: Vec<u8> = unsent.into_iter().flat_map(|chunk| chunk.bytes.0).collect();
            assert_eq!(unsent.len(), connection.outbound.bytes());
            let all = frames.concat();
            let mut sent = vec![0; all.len() - unsent.len()];
            assert!(!sent.is_empty() && !unsent.is_empty());
            client.read_exact(&mut sent).unwrap();
            assert!([sent, unsent].concat() == all, "each byte is in one place");
        });
    }
}
