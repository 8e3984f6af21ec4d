//! The kernel's reports on the files of programs (inotify(7)).
//!
//! Each file is watched by itself, and a link to it as well: what else happens in their directories causes no wake-up. A lost link to a file is a
//! change of its attributes, so that a replacement is heard although the file runs.

use super::News;
use crate::mailbox::Post;
use crate::sys::fds;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::io::Interest;
use tokio::task::AbortHandle;

/// Time that the replacement of a file mostly takes.
const GATHER: Duration = Duration::from_millis(10);

/// The watch, and the task that hears it.
#[derive(Debug)]
pub(super) struct Watch {
    watching: Arc<Watching>,
    task: AbortHandle,
}

/// The part of the watch to which files are added, on any thread.
#[derive(Debug)]
pub(super) struct Watching {
    inotify: Inotify,
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    by_path: BTreeMap<Arc<str>, BTreeSet<WatchDescriptor>>,
    /// Two paths may lead to one file.
    by_watch: BTreeMap<WatchDescriptor, BTreeSet<Arc<str>>>,
}

impl Files {
    fn forget(&mut self, path: &str) -> Vec<WatchDescriptor> {
        let mut unused = Vec::new();
        for watch in self.by_path.remove(path).unwrap_or_default() {
            let Some(paths) = self.by_watch.get_mut(&watch) else { continue };
            paths.remove(path);
            if paths.is_empty() {
                self.by_watch.remove(&watch);
                unused.push(watch);
            }
        }
        unused
    }
}

impl Watching {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Watches the file at a path, in the place of the one that was there before.
    pub(super) fn add(&self, path: &Arc<str>) {
        let events = AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_DELETE_SELF;
        let added: BTreeSet<_> = [AddWatchFlags::empty(), AddWatchFlags::IN_DONT_FOLLOW]
            .into_iter()
            // A file that is gone is looked for again; beyond the limit of watches it is looked at more rarely.
            .filter_map(|how| self.inotify.add_watch(&**path, events | how).ok())
            .collect();
        let mut files = self.files();
        let before = files.forget(path);
        for watch in &added {
            files.by_watch.entry(*watch).or_default().insert(Arc::clone(path));
        }
        before.into_iter().filter(|watch| !added.contains(watch)).for_each(|watch| self.remove(watch));
        files.by_path.insert(Arc::clone(path), added);
    }

    /// One that the kernel has removed is unknown to it.
    fn remove(&self, watch: WatchDescriptor) {
        self.inotify.rm_watch(watch).unwrap_or_default();
    }

    /// Reads all reports. Returns the paths that they are about; `None` where any may have changed.
    fn heard(&self) -> Option<BTreeSet<Arc<str>>> {
        let mut paths = BTreeSet::new();
        let mut any = false;
        // An error is an empty queue.
        while let Ok(events) = self.inotify.read_events() {
            let files = self.files();
            for event in events {
                any |= event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW);
                paths.extend(files.by_watch.get(&event.wd).into_iter().flatten().cloned());
            }
        }
        (!any).then_some(paths)
    }
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watching.inotify.as_fd()
    }
}

impl Watch {
    /// Begins a watch; `None` where the kernel has none left.
    pub(super) fn begin(to_loop: Post<News>) -> Option<Self> {
        let made = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK);
        let made = made.map_err(std::io::Error::from).and_then(|inotify| {
            let heard = fds::awaited(inotify.as_fd().try_clone_to_owned()?)?;
            Ok((heard, Arc::new(Watching { inotify, files: Mutex::default() })))
        });
        let (heard, watching) = made
            .inspect_err(
                |error| tracing::warn!(%error, "programs that are replaced on disk are not heard of"),
            )
            .ok()?;
        let of = Arc::clone(&watching);
        let task = tokio::task::spawn_local(async move {
            while heard.ready(Interest::READABLE).await.is_ok_and(|mut ready| {
                ready.clear_ready();
                true
            }) {
                tokio::time::sleep(GATHER).await;
                let changed = of.heard();
                if changed.as_ref().is_none_or(|paths| !paths.is_empty()) {
                    to_loop.send(News::Changed(changed)).await;
                }
            }
        });
        Some(Self { watching, task: task.abort_handle() })
    }

    /// Returns the part that files are added to.
    pub(super) fn shared(&self) -> Arc<Watching> {
        Arc::clone(&self.watching)
    }

    /// Watches a path no longer.
    pub(super) fn forget(&self, path: &str) {
        let unused = self.watching.files().forget(path);
        unused.into_iter().for_each(|watch| self.watching.remove(watch));
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
