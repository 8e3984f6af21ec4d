//! Programs that are replaced on disk while workers run them: a worker that runs an older one than lies there is shown as such.
//!
//! Owns the watch on the program of each live run, and its form on disk at the run's start: size and time of change, since a copy of the
//! same file is the same program. The kernel reports a change, then the file is read, on a thread for disks; so neither a list nor a worker at rest
//! costs anything. Without a watch (a limit of inotify), the programs are looked at when a run begins and after an upgrade.

mod watch;

use crate::disks::Disks;
use crate::mailbox::Post;
use gob_core::RunKey;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::AbortHandle;
use watch::Watch;

/// First and longest pause before a file that is gone is looked for again.
const RETRY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(60));

/// The form of a program on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Form {
    bytes: u64,
    changed_s: i64,
    changed_ns: i64,
}

impl Form {
    /// Returns the form of the file at a path, if one lies there.
    pub(crate) fn at(path: &str) -> Option<Self> {
        let found = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
        Some(Self { bytes: found.len(), changed_s: found.mtime(), changed_ns: found.mtime_nsec() })
    }
}

/// A program as a run began with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    path: Arc<str>,
    /// `None` when it was gone at once.
    form: Option<Form>,
}

impl Program {
    /// Looks at a program that is about to be started.
    pub(crate) fn at(path: &Path) -> Self {
        let path = path.to_string_lossy();
        Self { path: path.as_ref().into(), form: Form::at(&path) }
    }
}

/// News for the loop.
#[derive(Debug)]
pub(crate) enum News {
    /// Files may have changed; any of them, where the kernel did not say which.
    Changed(Option<BTreeSet<Arc<str>>>),
    /// A file was looked at.
    Seen(Arc<str>, Option<Form>),
}

/// A path at which a program lies that runs.
#[derive(Debug, Default)]
struct Place {
    /// Its form when it was last looked at.
    seen: Option<Form>,
    /// Runs of it, each with the last news that the core had, if any.
    runs: BTreeMap<RunKey, Option<bool>>,
    /// The pause before it is looked for again, while it is gone, and that look.
    retry: Duration,
    again: Option<AbortHandle>,
}

/// Programs of live runs.
pub(crate) struct Programs {
    runs: BTreeMap<RunKey, Program>,
    places: BTreeMap<Arc<str>, Place>,
    /// `None` until there is a program, and where there is no watch to be had.
    watch: Option<Watch>,
    disks: Disks,
    to_loop: Post<News>,
}

impl Programs {
    pub(crate) const fn new(disks: Disks, to_loop: Post<News>) -> Self {
        Self { runs: BTreeMap::new(), places: BTreeMap::new(), watch: None, disks, to_loop }
    }

    /// A run has begun with a program.
    pub(crate) fn begin(&mut self, key: RunKey, program: Program) {
        let (path, is_as_seen) = self.add(key, program);
        if !is_as_seen {
            self.look(path, Duration::ZERO);
        }
    }

    /// Adds a run. Returns where its program lies, and whether it began with the one that was seen there last.
    fn add(&mut self, key: RunKey, program: Program) -> (Arc<str>, bool) {
        let place = self.places.entry(program.path);
        // Runs of one program share its path.
        let path = Arc::clone(place.key());
        let place = place.or_default();
        place.runs.insert(key.clone(), None);
        let is_as_seen = place.seen.is_some() && place.seen == program.form;
        self.runs.insert(key, Program { path: Arc::clone(&path), form: program.form });
        (path, is_as_seen)
    }

    /// A run is over.
    pub(crate) fn end(&mut self, key: &RunKey) {
        let Some(Program { path, .. }) = self.runs.remove(key) else { return };
        let Some(place) = self.places.get_mut(&path) else { return };
        place.runs.remove(key);
        if place.runs.is_empty() {
            place.again.take().iter().for_each(AbortHandle::abort);
            self.places.remove(&path);
            self.watch.iter().for_each(|watch| watch.forget(&path));
        }
    }

    /// Takes news. Returns which runs have a program now that was replaced since they began, and which have not.
    pub(crate) fn take(&mut self, news: News) -> Vec<(RunKey, bool)> {
        match news {
            News::Changed(which) => {
                let which = which.unwrap_or_else(|| self.places.keys().cloned().collect());
                for path in which {
                    self.look(path, Duration::ZERO);
                }
                Vec::new()
            }
            News::Seen(path, form) => self.seen(path, form),
        }
    }

    fn seen(&mut self, path: Arc<str>, form: Option<Form>) -> Vec<(RunKey, bool)> {
        // Its last run may have ended meanwhile.
        let Some(place) = self.places.get_mut(&path) else {
            self.watch.iter().for_each(|watch| watch.forget(&path));
            return Vec::new();
        };
        place.seen = form;
        // One look in the future is enough.
        place.again.take().iter().for_each(AbortHandle::abort);
        let Some(form) = form else {
            // It may be about to come; there is nothing newer yet.
            place.retry = (place.retry * 2).clamp(RETRY.0, RETRY.1);
            let pause = place.retry;
            let again = self.look(Arc::clone(&path), pause);
            if let Some(place) = self.places.get_mut(&path) {
                place.again = Some(again);
            }
            return Vec::new();
        };
        place.retry = Duration::ZERO;
        let is_newer = |key: &RunKey| self.runs.get(key).is_some_and(|began| began.form != Some(form));
        // A thousand runs may have one program, and be looked at a thousand times.
        let mut news = Vec::new();
        for (key, told) in &mut place.runs {
            let now = Some(is_newer(key));
            if *told != now {
                *told = now;
                news.extend(now.map(|is_other| (key.clone(), is_other)));
            }
        }
        news
    }

    /// Has a file looked at after a pause, and watched from then on.
    fn look(&mut self, path: Arc<str>, pause: Duration) -> AbortHandle {
        if self.watch.is_none() {
            self.watch = Watch::begin(self.to_loop.clone());
        }
        let watching = self.watch.as_ref().map(Watch::shared);
        let (disks, to_loop) = (self.disks.clone(), self.to_loop.clone());
        let task = tokio::task::spawn_local(async move {
            tokio::time::sleep(pause).await;
            let looked = Arc::clone(&path);
            let found = disks.ask(&path, vec![path.to_string()], move |at| {
                at.go("look at the program", &looked);
                // First of all: what changes from now on is reported.
                watching.iter().for_each(|watching| watching.add(&looked));
                Form::at(&looked)
            });
            // A disk that hangs tells nothing new.
            if let Ok(form) = found.await {
                to_loop.send(News::Seen(path, form)).await;
            }
        });
        task.abort_handle()
    }

    /// Returns the watch, if there is one.
    pub(crate) fn watch(&self) -> Option<BorrowedFd<'_>> {
        self.watch.as_ref().map(AsFd::as_fd)
    }

    /// Returns the programs of all runs.
    pub(crate) fn hand_over(&self) -> Vec<(RunKey, Program)> {
        self.runs.iter().map(|(key, program)| (key.clone(), program.clone())).collect()
    }

    /// Goes on with those of another program of the supervisor, and looks at all of them.
    pub(crate) fn resume(&mut self, runs: Vec<(RunKey, Program)>) {
        let paths: BTreeSet<_> = runs.into_iter().map(|(key, program)| self.add(key, program).0).collect();
        paths.into_iter().for_each(|path| drop(self.look(path, Duration::ZERO)));
    }
}

#[cfg(test)]
mod tests;
