//! The client for programs with a tokio runtime: the same [`crate::conn::Connection`], moved by a task.
//!
//! The blocking [`Connector`] finds the supervisor, and starts it, on a thread of its own. Works on a
//! current-thread runtime and on a multi-threaded one; both need I/O and time enabled.
//!
//! ```no_run
//! use gob_client::blocking::Connector;
//! use gob_client::protocol::request::List;
//! use gob_client::{Dirs, Owner};
//!
//! # async fn run() -> Result<(), gob_client::Error> {
//! let connector = Connector::new(Dirs::from_env()?, Owner::new("desktop").unwrap());
//! let client = gob_client::tokio::Client::connect(connector).await?;
//! for worker in client.list(List::default()).await? {
//!     assert!(!worker.name.as_str().is_empty());
//! }
//! # Ok(())
//! # }
//! ```

mod client;
mod link;
mod lock;
mod subscription;

pub use client::Client;
pub use lock::{LockGuard, lock};
pub use subscription::Subscription;

use crate::blocking::{self, Connector};
use crate::error::Error;
use ::tokio::sync::oneshot;
use std::io;

/// Connects and says hello without blocking the runtime.
async fn connect(connector: Connector) -> Result<blocking::Client, Error> {
    let socket = connector.dirs().socket();
    let connected = beside(move || connector.connect()).await;
    connected.unwrap_or_else(|source| Err(Error::Connect { socket, source }))
}

/// Does work that blocks on a thread of its own. Where there is none to be had, tokio's `spawn_blocking` panics; this is
/// an error.
async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> io::Result<T> {
    let (done, result) = oneshot::channel();
    std::thread::Builder::new().name("gob-client".to_owned()).spawn(move || drop(done.send(work())))?;
    result.await.map_err(|_| io::Error::other("the thread panicked"))
}

#[cfg(test)]
#[path = "tokio/tests.rs"]
mod tests;
