//! The gob wire protocol, version 1: the messages between clients and the supervisor.
//!
//! `PROTOCOL.md` beside this crate is normative; its examples are tests of this crate. This crate holds the
//! types, the framing, the limits, the validated names and the worker's handshake. It has no I/O and no
//! clock.

pub mod answer;
mod bounded;
pub mod build;
pub mod cursor;
pub mod database;
pub mod env;
pub mod envelope;
pub mod error;
pub mod event;
pub mod exit;
pub mod frame;
pub mod handshake;
pub mod history;
pub mod limits;
pub mod lock;
pub mod logindex;
pub mod name;
pub mod queue;
pub mod request;
pub mod shell;
pub mod signal;
pub mod state;
pub mod suggest;
pub mod tag;
pub mod text;
pub mod time;
#[cfg(test)]
mod typescript;
pub mod view;

pub use answer::{Data, Outcome};
pub use cursor::Cursor;
pub use env::Env;
pub use envelope::{Id, Incoming, Rejected, Requests, ServerFrame};
pub use error::{ErrorCode, WireError};
pub use event::{Actor, Event, EventKind, Lagged};
pub use exit::{Exit, StartStep};
pub use frame::{FrameTooLong, Framer};
pub use history::{
    BlameEntry, ByOutcome, Change, Durations, HistoryEntry, Rate, RunOutcome, RunRecord, Stats,
};
pub use lock::{Lock, LockEnd, LockLink, LockMode, LockName, LockParty};
pub use name::{Name, NameError, Owner};
pub use queue::{Lane, LaneName, QueueCounts, QueueJob, QueueStatus, Schedule, ScheduleName};
pub use request::{Request, Wait};
pub use state::State;
pub use text::Text;
pub use time::Timestamp;
pub use view::{Leftover, ProcessId, Receipt, Signalled, Status, Survivor, View};
