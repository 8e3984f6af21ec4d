//! The harness of the end-to-end tests: real binaries, real processes, and directories of its own for every test.
//!
//! A [`Gob`] is one user's whole world. Its binaries are linked into a directory of their own, with the fixture in the
//! place of the graph worker unless a test wants the real one, so that whatever is left at its end can be told by the path of
//! its program. On drop the supervisor is stopped, and a process that is still there fails the test.
//!
//! Nothing here waits for a length of time, but where time itself is what is tried: see [`wait`].

pub mod conn;
pub mod console;
pub mod ctl;
pub mod gob;
pub mod logseq;
pub mod process;
pub mod script;
pub mod terminal;
pub mod wait;
pub mod walk;

pub use conn::Conn;
pub use ctl::{Ctl, Output};
pub use gob::{Gob, Worker};
