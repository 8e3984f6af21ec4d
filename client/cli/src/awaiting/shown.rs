//! The output of the workers that are waited for, from their log files: as it comes, or all of it at the end.

use crate::context::Context;
use crate::failure::Failure;
use crate::log_source::Source;
use crate::log_view::LogView;
use crate::verbs::logs::{log_dir, unreadable};
use gob_client::logs::{Stream, Watch};
use gob_client::{Name, View};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

/// Time for the last lines of a run to reach the files. The supervisor tells of its end before.
const PATIENCE: Duration = Duration::from_secs(1);

const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// Output that is shown.
pub(super) struct Shown {
    view: LogView,
    sources: Vec<Source>,
    watch: Watch,
}

impl Shown {
    /// Begins with the latest run of each worker.
    pub(super) fn new<'v>(
        context: &Context,
        workers: impl Iterator<Item = &'v View>,
    ) -> Result<Self, Failure> {
        let dirs = context.dirs()?;
        let workers: Vec<&View> = workers.collect();
        let names: Vec<&Name> = workers.iter().map(|worker| &worker.name).collect();
        let view = LogView::new(context, workers.len() > 1, names.into_iter());
        let all: Vec<_> = workers.iter().map(|worker| log_dir(&dirs, worker)).collect();
        // Watched before the files are read, so that nothing comes unnoticed in between.
        let watch = Watch::new(all.clone()).map_err(|error| crate::log_follow::unwatched(&error))?;
        let mut sources = Vec::new();
        for (worker, dir) in workers.iter().zip(all) {
            let run = (worker.run > 0).then_some(worker.run);
            let source = Source::open(worker.name.clone(), dir.clone(), run, &BOTH);
            sources.push(source.map_err(|error| unreadable(&dir, &error))?);
        }
        Ok(Self { view, sources, watch })
    }

    /// Shows the output that has come.
    pub(super) fn follow(&mut self) -> Result<(), Failure> {
        self.watch.changed().map_err(|error| crate::log_follow::unwatched(&error))?;
        self.view.follow(&mut self.sources, &mut |_, _, _| Ok(()))
    }

    /// Shows the rest of the output of workers that have ended.
    pub(super) fn finish(&mut self, workers: &[View]) -> Result<(), Failure> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.follow()?;
            let is_written = |worker: &View| {
                let source = self.sources.iter().find(|source| source.name == worker.name);
                source.is_none_or(|source| source.written_until() >= worker.last_output_at)
            };
            if workers.iter().all(is_written) || Instant::now() >= deadline {
                break;
            }
            let changed = self.watch.wait_until(Some(deadline), None);
            changed.map_err(|error| crate::log_follow::unwatched(&error))?;
        }
        self.view.beginning(&mut self.sources, None)
    }
}

impl AsFd for Shown {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watch.as_fd()
    }
}

/// Prints the whole output of the latest run of a worker that has ended.
pub(crate) fn print_output(context: &Context, worker: &View) -> Result<(), Failure> {
    Shown::new(context, std::iter::once(worker))?.finish(std::slice::from_ref(worker))
}
