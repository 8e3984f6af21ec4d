//! The history of gob's workers and the definitions of its jobs, in one SQLite file of the state directory.
//!
//! The supervisor writes through a [`Handle`]: one bounded queue in front of one thread, so that neither a
//! slow disk nor a locked file delays it. The file is opened at the first record or question, and closed when
//! the queue has been empty for a while. A [`Reader`] opens the file for reading, makes nothing, and needs no
//! supervisor.
//!
//! The supervisor's core decides what is recorded. This crate decides how the file stays readable and
//! bounded, and what becomes of a file that is damaged, locked, deleted, or of another version.
//!
//! The durable queue is in the same file ([`gob_protocol::queue`] has its questions), and there this crate decides: which job is next,
//! who holds it, what became of it. What was answered is on the disk. The environment of a job is kept until it ends, and that of a
//! schedule until it is removed; the file holds none of any other worker.

mod error;
mod files;
mod forget;
#[cfg(feature = "write")]
mod jobs;
mod model;
mod queries;
mod read;
mod rows;
mod schema;
#[cfg(feature = "shared")]
pub mod shared;
#[cfg(feature = "write")]
#[cfg(test)]
mod tests;
#[cfg(feature = "write")]
mod write;

pub use error::StoreError;
pub use files::{FILE, Unfit, has_queue, is_own_file};
pub use forget::forget_all;
pub use model::{Definition, Definitions, Known, Page, Setup};
pub use read::{Reader, Supervisor};
#[cfg(feature = "write")]
pub use write::{
    Answer, Condition, Full, Handle, Health, Kept, Notice, Question, Record, Settings, Store, StoreState,
    Told, Unfinished,
};
