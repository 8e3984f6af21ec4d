//! The start of a job of the project file: the jobs that it needs come first, each wave once the one before is ready.

use super::{Scene, Ui};
use crate::project::ProjectJob;
use gob_client::screen::{Link, Trouble};
use gob_client::surface::AskId;
use std::collections::BTreeSet;

/// A start that is under way.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// The requests of the present wave that are not answered yet.
    open: BTreeSet<AskId>,
    /// The later waves, as jobs.
    later: Vec<Vec<ProjectJob>>,
}

impl Ui {
    /// Starts a job, and before it those that it needs, under leases of this screen.
    pub(super) fn start_project_job(&mut self, at: usize, scene: &Scene<'_>) {
        let Some(Ok(jobs)) = scene.project.map(|project| &project.jobs) else { return };
        let Some(job) = jobs.get(at) else { return };
        let wave =
            |wave: &Vec<usize>| wave.iter().filter_map(|at| jobs.get(*at).cloned()).collect::<Vec<_>>();
        let waves: Vec<Vec<ProjectJob>> = job.waves.iter().map(wave).collect();
        let blocked = waves.iter().flatten().find_map(|job| Some((&job.label, job.blocked.as_ref()?)));
        if let Some((label, why)) = blocked {
            self.said.say(format!("{label}: {why}"), scene.instant);
        } else if !scene.known.link.is_up() {
            self.said.say(format!("{}: {}", job.label, Link::AWAY), scene.instant);
        } else if !self.start.open.is_empty() {
            self.said.say("Another job of the project is being started.".to_owned(), scene.instant);
        } else {
            self.start = Start { open: BTreeSet::new(), later: waves };
            self.next_wave();
        }
    }

    fn next_wave(&mut self) {
        if self.start.later.is_empty() {
            return;
        }
        for job in self.start.later.remove(0) {
            let id = self.shared.send(job.leased());
            self.start.open.insert(id);
        }
    }

    /// A request was answered; false where it is of no start.
    pub(super) fn project_answered(&mut self, id: AskId, refused: Option<&Trouble>) -> bool {
        if !self.start.open.remove(&id) {
            return false;
        }
        if refused.is_some() {
            // Jobs that need it are not started.
            self.start.later.clear();
        } else if self.start.open.is_empty() {
            self.next_wave();
        }
        true
    }
}
