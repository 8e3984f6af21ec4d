//! Requests about graphs on disk.

use super::Call;
use crate::pulse::Deadline;
use gob_protocol::Request;
use gob_protocol::answer::{GraphDeleteData, GraphsData};
pub use gob_protocol::request::GraphDelete;

/// Lists the graphs on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Graphs;

call!(Graphs, "graphs", GraphsData, |_this| Request::Graphs);
call!(GraphDelete, "graph_delete", GraphDeleteData, |this| Request::GraphDelete(this), {
    // Much may have to be deleted.
    fn deadline(&self) -> Deadline {
        Deadline::WhileAlive
    }
});
