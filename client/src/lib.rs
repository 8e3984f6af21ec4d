//! The client's side of gob: reaches the one supervisor of this user, starts it when none runs, and talks to
//! it.
//!
//! | module | what it is |
//! |---|---|
//! | [`conn`] | one connection without any I/O: ids, framing, what is unanswered |
//! | [`blocking`] | the same over a blocking socket, with deadlines and auto-start |
//! | [`pulse`] | how long an answer is waited for, and whether the supervisor still lives; pure |
//! | [`call`] | the requests of PROTOCOL 5 as types with their answers and deadlines |
//! | [`lock`] | named locks as guards |
//! | [`ssh`] | the supervisor of another machine, over OpenSSH |
//! | [`subscription`] | events across connections, with gaps told |
//! | `tokio` | the client and the subscription for programs with a runtime; feature `tokio` |
//! | [`screen`] | workers and the supervisor in the words that surfaces show; pure |
//! | `surface` | the threads, forms and commands of a surface that stays open; feature `surface` |
//! | [`model`] | every worker as of the last event; pure |
//! | [`endpoint`] | a connection to a worker itself |
//! | [`logs`] | what workers wrote, read from the files |
//! | [`file_lock`] | locks as files, which programs without gob share; needs no supervisor |
//! | [`holder`] | the process that holds a lock, and whether it is stopped |
//! | [`host`] | gob's directories, sibling programs, and what else all of its programs agree on |

pub mod autostart;
pub mod blocking;
pub mod call;
pub mod conn;
pub mod endpoint;
pub mod error;
pub mod file_lock;
pub mod holder;
mod impostor;
pub mod lock;
pub mod logs;
pub mod model;
mod pages;
pub mod pulse;
pub mod screen;
pub mod ssh;
pub mod subscription;
#[cfg(feature = "surface")]
pub mod surface;
#[cfg(feature = "tokio")]
pub mod tokio;

pub use error::Error;
pub use gob_host as host;
pub use gob_host::dirs::{self, Dirs};
pub use gob_protocol as protocol;
pub use gob_protocol::{Name, Owner, Request, View};
