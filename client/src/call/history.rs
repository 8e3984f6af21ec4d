//! Requests about the history of workers.

use super::Call;
use gob_protocol::answer::{BlameData, HistoryData, RunsData, RunsDeleteData};
use gob_protocol::request::ByName;
pub use gob_protocol::request::{Blame, History, Runs, RunsDelete};
use gob_protocol::{Name, Request};

/// Requests the statistics of a worker's runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// The worker.
    pub name: Name,
}

call!(Runs, "runs", RunsData, |this| Request::Runs(this), {
    const READS: bool = true;
});
call!(RunsDelete, "runs_delete", RunsDeleteData, |this| Request::RunsDelete(this));
call!(Stats, "stats", gob_protocol::Stats, |this| Request::Stats(ByName { name: this.name }), {
    const READS: bool = true;
});
call!(Blame, "blame", BlameData, |this| Request::Blame(this), {
    const READS: bool = true;
});
call!(History, "history", HistoryData, |this| Request::History(this), {
    const READS: bool = true;
});
