//! The harness of the end-to-end tests: real binaries, real processes, and directories of its own for every test.
//!
//! A [`Gob`] is one user's whole world. Its binaries are linked into a directory of their own, with the
//! fixture in the place of the graph worker unless a test needs the real one, so that processes left at its
//! end are known by the path of their program. On drop the supervisor is stopped, and a process that is still
//! there fails the test.
//!
//! No helper waits for a length of time, except where time itself is under test: see [`wait`].

pub mod conn;
pub mod console;
pub mod ctl;
pub mod dice;
pub mod gob;
pub mod logseq;
pub mod manager;
pub mod picture;
pub mod postgres;
pub mod process;
pub mod program;
pub mod require;
pub mod screen;
pub mod script;
pub mod terminal;
pub mod there;
pub mod wait;
pub mod walk;

pub use conn::Conn;
pub use ctl::{Ctl, Output};
pub use gob::{Gob, Worker};
