//! The output of the workers that are waited for, from their log files: as it comes, or all of it at the end.

use crate::context::Context;
use crate::failure::Failure;
use crate::log_follow::unwatched;
use crate::log_source::Source;
use crate::log_view::LogView;
use crate::verbs::logs::{log_dir, unreadable};
use gob_client::logs::{Stream, Watch};
use gob_client::screen::said::output_missing;
use gob_client::{Name, View};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Time for the last lines of a run to reach the files. The supervisor tells of its end before.
const PATIENCE: Duration = Duration::from_secs(1);

const BOTH: [Stream; 2] = [Stream::Stdout, Stream::Stderr];

/// Output that is shown.
pub(super) struct Shown {
    view: LogView,
    sources: Vec<Source>,
    dirs: Vec<PathBuf>,
    /// Made only for output that is still to come: its end costs the kernel more time than a short run takes.
    watch: Option<Watch>,
}

impl Shown {
    /// Follows the output of each worker from the beginning of its latest run.
    pub(super) fn new<'v>(
        context: &Context,
        workers: impl Iterator<Item = &'v View>,
    ) -> Result<Self, Failure> {
        let workers: Vec<&View> = workers.collect();
        let places = context.dirs()?;
        let dirs: Vec<PathBuf> = workers.iter().map(|worker| log_dir(&places, worker)).collect();
        let is_to_come = workers.iter().any(|worker| worker.state.goes_on());
        // Watched before the files are read, so that nothing comes unnoticed in between.
        let watch = is_to_come.then(|| watch(&dirs)).transpose()?;
        let names: Vec<&Name> = workers.iter().map(|worker| &worker.name).collect();
        let view = LogView::new(context, workers.len() > 1, names.into_iter());
        let mut sources = Vec::new();
        for (worker, dir) in workers.iter().zip(&dirs) {
            let run = (worker.run > 0).then_some(worker.run);
            let source = Source::open(worker.name.clone(), dir.clone(), run, &BOTH);
            sources.push(source.map_err(|error| unreadable(dir, &error))?);
        }
        Ok(Self { view, sources, dirs, watch })
    }

    /// Returns the descriptor that is readable when there is more output.
    pub(super) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(Watch::as_fd)
    }

    /// Shows the output that has come.
    pub(super) fn follow(&mut self) -> Result<(), Failure> {
        if let Some(watch) = &self.watch {
            watch.changed().map_err(|error| unwatched(&error))?;
        }
        self.view.follow(&mut self.sources, &mut |_, _, _| Ok(()))
    }

    /// Shows the rest of the output of workers that have ended, and nothing of a run that another client begins. Tells whose is not
    /// in the files, as on a full disk.
    pub(super) fn finish(&mut self, context: &Context, workers: &[View]) -> Result<(), Failure> {
        self.read_to_end(workers, Instant::now() + PATIENCE)?;
        self.view.beginning(&mut self.sources, None)?;
        self.view.end_line();
        for worker in workers.iter().filter(|worker| !self.is_written(worker)) {
            let missing = output_missing(&worker.name);
            context.note(&format!("{missing}: gobctl status, or gobctl daemon logs, says why"));
        }
        Ok(())
    }

    /// Reads until all that the workers have written was read, or until the deadline. The files of the last runs may be as late
    /// as what is in them.
    fn read_to_end(&mut self, workers: &[View], deadline: Instant) -> Result<(), Failure> {
        for worker in workers {
            if let Some(source) = self.sources.iter_mut().find(|source| source.name == worker.name) {
                source.end_with(worker.run);
            }
        }
        loop {
            self.view.follow_up(&mut self.sources, &mut |_, _, _| Ok(()))?;
            self.view.merge(&mut self.sources)?;
            if workers.iter().all(|worker| self.is_written(worker)) || Instant::now() >= deadline {
                return Ok(());
            }
            match &self.watch {
                Some(watch) => watch.wait_until(Some(deadline), None).map_err(|error| unwatched(&error))?,
                // The files are read again before the first wait.
                None => self.watch = Some(watch(&self.dirs)?),
            }
        }
    }

    /// Returns whether all that a worker has written was read.
    fn is_written(&self, worker: &View) -> bool {
        self.source_of(worker).is_none_or(|source| source.written_until() >= worker.last_output_at)
    }

    fn source_of(&self, worker: &View) -> Option<&Source> {
        self.sources.iter().find(|source| source.name == worker.name)
    }
}

fn watch(dirs: &[PathBuf]) -> Result<Watch, Failure> {
    Watch::new(dirs.to_vec()).map_err(|error| unwatched(&error))
}

/// Prints the whole output of the latest run of a worker that has ended.
pub(crate) fn print_output(context: &Context, worker: &View) -> Result<(), Failure> {
    Shown::new(context, std::iter::once(worker))?.finish(context, std::slice::from_ref(worker))
}

#[cfg(test)]
mod tests {
    use super::*;
    use gob_client::protocol::Timestamp;
    use gob_client::protocol::logindex::Record;
    use serde_json::json;
    use std::fs::OpenOptions;
    use std::io::Write as _;
    use std::path::Path;

    /// Writes as the supervisor does: a byte, then its record, at this time.
    fn write(dir: &Path, run: u64, time: i64) {
        let append = |name: String, bytes: &[u8]| {
            let file = OpenOptions::new().append(true).create(true).open(dir.join(name));
            file.unwrap().write_all(bytes).unwrap();
        };
        append(format!("{run}.stdout.log"), b"x");
        let record = Record { time: Timestamp(time), stream: Stream::Stdout, offset: 0, len: Some(1) };
        append(format!("{run}.idx"), &record.to_bytes());
    }

    #[test]
    fn the_files_of_the_last_run_may_be_late_and_those_of_a_later_one_are_left_alone() {
        let dir = std::env::temp_dir().join(format!("gob-shown-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        write(&dir, 2, 1_000);
        let name = Name::graph("notes").unwrap();
        // Without a stream nothing is printed, and all is read.
        let source = Source::open(name.clone(), dir.clone(), Some(2), &[]).unwrap();
        let view = LogView::new(&Context::of_tests(), false, std::iter::once(&name));
        let mut shown = Shown { view, sources: vec![source], dirs: vec![dir.clone()], watch: None };
        let changes = json!({"state": "failed", "run": 3, "last_output_at": Timestamp(2_000)});
        let ended = gob_client::screen::sample("notes", &changes).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::park_timeout(Duration::from_millis(50));
                write(&dir, 3, 2_000);
                write(&dir, 4, 3_000);
            });
            shown
                .read_to_end(std::slice::from_ref(&ended), Instant::now() + Duration::from_secs(10))
                .unwrap();
        });
        let source = shown.sources.first().unwrap();
        assert_eq!((source.run(), source.written_until()), (3, Some(Timestamp(2_000))));
        shown.view.follow_up(&mut shown.sources, &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(shown.sources.first().unwrap().run(), 3);
        std::fs::remove_dir_all(&dir).unwrap();
    }
}
