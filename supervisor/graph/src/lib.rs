//! gob-graph-worker: a property graph in one SQLite file, served as JSON lines on a Unix socket.
//!
//! `REQUESTS.md` beside this crate is the contract with clients. A request passes: bytes → frame → `Request`
//! → `requests::*` → `Store` → data → the connection writes it. [`run`] is the whole life of a worker: take
//! the graph's lock, open its file, publish the socket, write the handshake, serve, close everything in
//! order.

pub mod args;
mod cancel;
mod connection;
mod input;
pub mod limits;
mod lock;
mod log;
mod output;
mod pool;
pub mod reader;
mod requests;
mod server;
mod socket;
pub mod store;
mod told;

use args::Args;
use gob_protocol::Name;
use serde_json::json;
use socket::Watch;
use std::io::{self, Write as _};
use std::process::ExitCode;

/// The reason why a worker could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another process has the graph, or its lock can't be taken.
    #[error(transparent)]
    Lock(#[from] lock::LockError),
    /// The graph's file can't be used.
    #[error(transparent)]
    Store(#[from] store::StoreError),
    /// The socket can't be published.
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    /// Another system call failed.
    #[error("cannot {operation}: {source}")]
    System {
        /// The operation.
        operation: &'static str,
        /// The cause.
        source: io::Error,
    },
}

/// Serves one graph until it is stopped.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    match start(args) {
        Ok(server) => match server.serve() {
            Ok(()) => ExitCode::SUCCESS,
            Err(gone) => {
                log::line(format_args!(
                    "graph-gone: {gone}; put the file back, then start {} again",
                    args.graph
                ));
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            let said = format!("{error}{}", way_out(&error, &args.graph));
            log::line(format_args!("cannot serve {}: {said}", args.graph));
            handshake(&json!({"ready": false, "error": said}));
            ExitCode::FAILURE
        }
    }
}

/// Returns how a graph can be served again whose file can't be used. Without its file the supervisor would refuse it
/// too, so that a removal of the file alone is no way.
fn way_out(error: &StartError, graph: &Name) -> String {
    match error {
        StartError::Store(error) if error.wants_another_file() => format!(
            "; put the graph's file there, such as from a backup, and start again; or, to begin anew, which deletes \
             what is there: gobctl graphs delete {}",
            graph.as_argument()
        ),
        StartError::Store(_) | StartError::Lock(_) | StartError::Socket(_) | StartError::System { .. } => {
            String::new()
        }
    }
}

fn start(args: &Args) -> Result<server::Server, StartError> {
    // Called before any thread exists, so that every thread inherits the mask and only the signalfd receives
    // the signals.
    let signals = server::block_signals()?;
    nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
    let directory = args.graph_directory();
    let lock = lock::GraphLock::take(&directory, args.graph.as_str())?;
    let store = store::Store::open(&directory, args.synchronous)?;
    let is_leader = nix::unistd::getpgrp() == nix::unistd::getpid();
    let is_told = told::by_gob(&args.socket, std::env::var_os("GOB_SOCKET").as_deref(), is_leader);
    let socket = socket::Socket::publish(&args.socket, if is_told { Watch::Told } else { Watch::Own })?;
    let ready = json!({
        "ready": true,
        "version": env!("CARGO_PKG_VERSION"),
        "pid": std::process::id(),
        "endpoint": format!("unix:{}", args.socket.display()),
        "target": {"graph": args.graph.as_str(), "path": store.path().display().to_string()},
    });
    let server = server::Server::new(signals, lock, store, socket)?;
    handshake(&ready);
    Ok(server)
}

/// Writes the handshake, the one line of standard output. A closed standard output is no error.
fn handshake(line: &serde_json::Value) {
    let mut out = io::stdout().lock();
    if let Err(e) = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush()) {
        log::line(format_args!("nobody reads the handshake: {e}"));
    }
}
