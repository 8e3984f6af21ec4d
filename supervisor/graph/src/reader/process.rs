//! A reader: answers the queries of its worker, one after another, until the worker has ended.
//!
//! Owns one connection, opened read-only, whose memory is bounded and which makes no file. It reads no clock:
//! the worker kills it in time. It ignores signals to the worker's process group.

use super::{DATA, ERROR};
use crate::limits::{MAX_READER_BYTES, MAX_READER_REQUEST};
use crate::log;
use crate::requests::query::{Query, run};
use crate::store::sandbox;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;
use rusqlite::Connection;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;

/// Serves the worker at the other end of standard input.
#[must_use]
pub fn serve(graph: &Path) -> ExitCode {
    match serve_until_the_end(graph) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            log::line(format_args!("a reader of {} ended: {e}", graph.display()));
            ExitCode::FAILURE
        }
    }
}

fn serve_until_the_end(graph: &Path) -> io::Result<()> {
    let mut ignored = SigSet::empty();
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGURG] {
        ignored.add(signal);
    }
    ignored.thread_block()?;
    bound_memory()?;
    let mut worker = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let watched = worker.try_clone()?;
    std::thread::Builder::new().name("end".to_owned()).spawn(move || end_with(watched.as_fd()))?;
    let mut lines = BufReader::new(worker.try_clone()?);
    let (mut line, mut db) = (Vec::new(), None);
    loop {
        line.clear();
        (&mut lines).take(MAX_READER_REQUEST).read_until(b'\n', &mut line)?;
        if line.last() != Some(&b'\n') {
            return Ok(());
        }
        let query: Query = serde_json::from_slice(&line).map_err(io::Error::from)?;
        let (kind, answer) = answer(&mut db, graph, &query)?;
        let length = answer.len() as u64;
        worker.write_all(&[kind])?;
        worker.write_all(&length.to_le_bytes())?;
        worker.write_all(&answer)?;
    }
}

fn answer(db: &mut Option<Connection>, graph: &Path, query: &Query) -> io::Result<(u8, Vec<u8>)> {
    let mut data = Vec::new();
    let opened = match db.take() {
        Some(open) => Ok(open),
        None => sandbox::open(graph).map_err(crate::requests::Refusal::from),
    };
    let done = opened.and_then(|open| run(db.insert(open), query, &mut data));
    match done {
        Ok(()) => Ok((DATA, data)),
        Err(refusal) => Ok((ERROR, serde_json::to_vec(refusal.error())?)),
    }
}

/// Bounds the memory that SQLite does not count.
fn bound_memory() -> io::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_AS)?;
    Ok(setrlimit(Resource::RLIMIT_AS, MAX_READER_BYTES.min(hard), hard)?)
}

/// Ends this process when the other end is closed, whatever SQLite does at the time.
fn end_with(worker: BorrowedFd<'_>) {
    loop {
        let mut fds = [PollFd::new(worker, PollFlags::empty())];
        let polled = poll(&mut fds, PollTimeout::NONE);
        let [fd] = fds;
        if polled.is_ok() && fd.any() == Some(true) {
            if let Err(e) = nix::sys::signal::kill(Pid::this(), Signal::SIGKILL) {
                log::line(format_args!("a reader cannot end itself: {e}"));
            }
            return;
        }
    }
}
