//! The upgrade in place: this process goes on with another program, and keeps its children, sockets, pipes, locks and all that it
//! was told (PROTOCOL 8, ADR 16).
//!
//! | step | file |
//! |---|---|
//! | the new program is tried as a child, on a copy of the state, while clients are served | `trial` |
//! | nothing is accepted or read any more; all threads come to rest | `rest` |
//! | the state is written and sealed, tried once more, and handed over by execveat(2) | `replace`, `state`, `named` |
//! | the new program takes it over | `resume` |
//! | the keeper is asked to go on with its new program; then the request is answered that the state carries | `keeper` |
//!
//! Until execveat has succeeded nothing is given away: whatever fails is answered `upgrade-failed`, and this program goes on.

mod fault;
mod keeper;
mod named;
mod replace;
mod rest;
mod resume;
mod state;
mod trial;

pub(crate) use keeper::bring_keeper;
pub(crate) use named::{Bytes, Fd, Inherited, Missing, Named};
pub(crate) use rest::Pause;
pub(crate) use resume::{Left, take, take_over};
pub(crate) use state::ShellState;
pub(crate) use state::write;
pub use trial::try_state;
pub(crate) use trial::{Candidate, Successor, Tester, Trial, open};

use std::io;

/// The reason why a program can't go on with a state.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// An operation failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The state is not whole.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// It is in another form, or has something that this program does not know.
    #[error("{0}")]
    Unknown(String),
}

impl From<String> for Unfit {
    fn from(why: String) -> Self {
        Self::Unknown(why)
    }
}

/// Returns the path of this program, also where its file was replaced since.
pub(crate) fn own_path() -> String {
    let path = std::fs::read_link("/proc/self/exe").unwrap_or_default();
    let path = path.to_string_lossy().into_owned();
    path.strip_suffix(" (deleted)").map(str::to_owned).unwrap_or(path)
}

/// Returns this program, as clients see it.
pub(crate) fn own_program() -> gob_protocol::answer::Program {
    gob_protocol::answer::Program { version: env!("CARGO_PKG_VERSION").to_owned(), exe: own_path() }
}
