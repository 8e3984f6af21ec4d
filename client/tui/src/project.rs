//! Jobs of a project file. gobctl finds and judges the file; the screen offers its jobs.

use gob_client::call::Add;
use gob_client::protocol::request::OnLastLease;
use gob_client::surface::Ask;

/// The jobs of a trusted project file.
#[derive(Debug, Clone)]
pub struct Project {
    /// The path of the file.
    pub path: String,
    /// Its jobs, in their order; or why none of them is offered.
    pub jobs: Result<Vec<ProjectJob>, String>,
}

/// A job of a project file.
#[derive(Debug, Clone)]
pub struct ProjectJob {
    /// Its name, or its command.
    pub label: String,
    /// Its description, or its command.
    pub about: String,
    /// Why it is not run, where the file says so.
    pub blocked: Option<String>,
    /// The request that starts it.
    pub add: Add,
    /// The jobs to start for it, by their places: those of each wave once the wave before is ready, itself last.
    pub waves: Vec<Vec<usize>>,
}

impl ProjectJob {
    /// Returns the request that starts it under a lease: it stops when the screen ends, however that comes.
    pub(crate) fn leased(&self) -> Ask {
        let add = Add { lease: true, on_last_lease: Some(OnLastLease::Stop), ..self.add.clone() };
        Ask::Add(Box::new(add))
    }
}
