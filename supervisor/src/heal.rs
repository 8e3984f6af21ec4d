//! Heals losses of gob's own files: sockets, lock file, pid file, logs, whole directories.
//!
//! Owns the [`Site`]: the files that must exist while the supervisor lives. Sleeps until the kernel reports a
//! change of one of them, or a minute has passed, then checks and makes again what is missing, on a thread of
//! its own, since disks hang. New sockets and files go to the control loop. Workers heal their sockets
//! themselves: this module only reports the lost ones, and the loss of one socket does not start a check of
//! gob's own files.
//!
//! There is still one supervisor: while the lock file is missing, a keeper that makes it anew searches for a
//! living supervisor and gives up (gob-keeper, `living`); a lock that such a keeper holds for a moment is
//! tried again.

mod heard;
mod held;
mod site;
mod watch;

pub(crate) use site::{Mended, SiteState};

use crate::boot::Boot;
use crate::disks::Disks;
use crate::files::{self, Identity};
use crate::mailbox::Post;
use crate::upgrade::{Inherited, Named, Unfit};
use gob_core::Lost;
use held::Held;
use site::Site;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use watch::Watch;

/// Time to the first check, which sets up the watch: not while the first client waits for its answer.
const FIRST: Duration = Duration::from_millis(100);
/// Time that a removal of a directory, file after file, mostly takes.
const GATHER: Duration = Duration::from_millis(10);
/// Time between checks without a report, for losses that no watch reports.
const CHECK: Duration = Duration::from_secs(60);
/// First and longest time between two tries to make a file again.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// The lane of checks, and of all else that makes gob's own files.
pub(crate) const LANE: &str = "gob's own files";
const CLOSING: &str = "a watch that is closed";
/// Time limit at the end for a check in progress.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// News for the control loop.
pub(crate) enum News {
    /// Files of gob's own were made again.
    Mended(Mended),
    /// Workers' sockets are gone.
    Lost(Lost),
}

/// The files that were published at the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    pub(crate) socket: Identity,
    pub(crate) notify: Identity,
}

/// The healer's task, or what it has left.
enum Task {
    Runs(JoinHandle<Option<Watcher>>),
    /// `None` after a panic, which is in the log.
    Rests(Option<Box<Watcher>>),
}

/// The running healer.
pub(crate) struct Healer {
    /// Its drop tells the healer to end.
    stop: Option<oneshot::Sender<()>>,
    task: Task,
    site: Arc<Mutex<Site>>,
}

impl Healer {
    /// Starts the healer. A new socket goes to the accepting task, everything else to the control loop.
    pub(crate) fn start(
        boot: &Boot,
        disks: Disks,
        published: Published,
        to_accept: mpsc::Sender<UnixListener>,
        to_loop: Post<News>,
    ) -> Self {
        let site = Site {
            paths: boot.paths.clone(),
            lock_line: boot.lock_line(),
            pid_line: boot.pid_line(),
            lock: Held::new(Arc::clone(&boot.lock)),
            runtime: Held::new(Arc::clone(&boot.runtime)),
            socket: Some(published.socket),
            notify: published.notify,
            lock_mark: Arc::clone(&boot.lock_mark),
            job_mark: Arc::clone(&boot.job_mark),
            has_log: site::is_logged_to(&Path::new(&boot.paths.state_dir).join(files::LOG)),
            logs: Identity::at(&boot.log_dir()).ok(),
            sockets: Identity::at(gob_core::sockets_dir(&boot.paths.runtime_dir).as_ref()).ok(),
        };
        Self::with(site, disks, to_accept, to_loop)
    }

    fn with(site: Site, disks: Disks, to_accept: mpsc::Sender<UnixListener>, to_loop: Post<News>) -> Self {
        let (stop, stopped) = oneshot::channel();
        let site = Arc::new(Mutex::new(site));
        let of = Arc::clone(&site);
        let watcher = Watcher { site: of, disks, watch: None, to_accept, to_loop, told: Vec::new() };
        Self { stop: Some(stop), task: Task::Runs(tokio::task::spawn_local(watcher.run(stopped))), site }
    }

    /// Heals what another program healed.
    pub(crate) fn resume(
        state: SiteState,
        boot: &Boot,
        disks: Disks,
        to_accept: mpsc::Sender<UnixListener>,
        to_loop: Post<News>,
        inherited: &mut Inherited,
    ) -> Result<Self, Unfit> {
        Ok(Self::with(Site::resume(state, boot, inherited)?, disks, to_accept, to_loop))
    }

    /// Has the healer rest as soon as a check in progress is through.
    pub(crate) fn rest(&mut self) {
        self.stop = None;
    }

    /// Waits until the healer rests, for a bounded time. True when it does.
    pub(crate) async fn rests_within(&mut self, limit: Duration) -> bool {
        if let Task::Runs(task) = &mut self.task
            && let Ok(left) = tokio::time::timeout(limit, task).await
        {
            self.task = Task::Rests(left.ok().flatten().map(Box::new));
        }
        matches!(self.task, Task::Rests(_))
    }

    /// Returns what another program needs to go on with it. The healer must rest.
    pub(crate) fn hand_over(&self, named: &mut Named) -> SiteState {
        self.site.lock().unwrap_or_else(PoisonError::into_inner).hand_over(named)
    }

    /// Returns the watch of a healer that rests.
    pub(crate) fn watch(&self) -> Option<BorrowedFd<'_>> {
        match &self.task {
            Task::Rests(watcher) => watcher.as_ref()?.watch.as_ref().map(AsFd::as_fd),
            Task::Runs(_) => None,
        }
    }

    /// Heals again. New sockets go to `to_accept`, where the accepting task is another one.
    pub(crate) fn go_on(&mut self, to_accept: Option<mpsc::Sender<UnixListener>>) {
        let (stop, stopped) = oneshot::channel();
        self.stop = Some(stop);
        let task = async move |before: Task| {
            let watcher = match before {
                Task::Runs(before) => before.await.ok().flatten()?,
                Task::Rests(watcher) => *watcher?,
            };
            let to_accept = to_accept.unwrap_or_else(|| watcher.to_accept.clone());
            Watcher { to_accept, ..watcher }.run(stopped).await
        };
        let before = std::mem::replace(&mut self.task, Task::Rests(None));
        self.task = Task::Runs(tokio::task::spawn_local(task(before)));
    }

    /// Stops the healer, so that files removed from now on stay away.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        let Task::Runs(task) = self.task else { return };
        if tokio::time::timeout(LAST_LOOK, task).await.is_err() {
            tracing::warn!("the disk does not answer; files may be left that say there is a supervisor");
        }
    }
}

struct Watcher {
    /// Locked by the one check in progress.
    site: Arc<Mutex<Site>>,
    disks: Disks,
    watch: Option<Watch>,
    to_accept: mpsc::Sender<UnixListener>,
    to_loop: Post<News>,
    /// Failures that were logged already.
    told: Vec<String>,
}

impl Watcher {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) -> Option<Self> {
        let (mut due, mut retry) = (Instant::now() + FIRST, RETRY.0);
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => return Some(self),
                () = self.changed() => {
                    if !self.hear().await {
                        continue;
                    }
                    // A stop need not wait out the moment; nothing is begun in it.
                    if tokio::time::timeout(GATHER, &mut stopped).await.is_ok() {
                        return Some(self);
                    }
                }
                () = tokio::time::sleep_until(due) => {}
            }
            let wait;
            (wait, retry) =
                if self.look().await { (CHECK, RETRY.0) } else { (retry, (retry * 2).min(RETRY.1)) };
            due = Instant::now() + wait;
        }
    }

    /// Reads the kernel's reports, and passes on lost sockets; true when gob's own files may be concerned.
    async fn hear(&mut self) -> bool {
        // Without a watch anything may have happened.
        let Some(watch) = &mut self.watch else { return true };
        let heard = watch.hear();
        let is_own = heard.take_files();
        if let Some(lost) = heard.take_lost() {
            self.tell(News::Lost(lost)).await;
        }
        is_own
    }

    async fn tell(&self, news: News) {
        self.to_loop.send(news).await;
    }

    /// Waits for a change; for ever where there is no watch.
    async fn changed(&mut self) {
        match &self.watch {
            Some(watch) => {
                if let Err(error) = watch.changed().await {
                    tracing::warn!(%error, "the watch of gob's own files is lost; they are looked at once a minute");
                    self.watch = None;
                }
            }
            None => std::future::pending().await,
        }
    }

    /// Checks once; false when a file could not be made again.
    async fn look(&mut self) -> bool {
        // Everything is checked now, whatever the reports were.
        let _: bool = self.hear().await;
        let (site, is_watched) = (Arc::clone(&self.site), self.watch.is_some());
        let looked = self
            .disks
            .hand_in(LANE, move || site.lock().unwrap_or_else(PoisonError::into_inner).look(is_watched));
        let Ok((mut mended, watch)) = looked.await else { return false };
        match watch.map(|watch| watch.and_then(Watch::new)) {
            Some(Ok(watch)) => {
                self.replace_watch(Some(watch)).await;
                if !is_watched {
                    // Earlier losses of sockets went unseen.
                    self.tell(News::Lost(Lost::Any)).await;
                }
            }
            Some(Err(error)) => {
                self.replace_watch(None).await;
                mended.trouble.push(format!("the watch of all of these: {error}"));
            }
            None => {}
        }
        if let Some(listener) = mended.listener.take() {
            match UnixListener::from_std(listener) {
                Ok(listener) => self.to_accept.send(listener).await.unwrap_or_default(),
                Err(error) => {
                    self.site.lock().unwrap_or_else(PoisonError::into_inner).socket = None;
                    mended.trouble.push(format!("the socket: {error}"));
                }
            }
        }
        let is_well = mended.trouble.is_empty();
        if mended.trouble != self.told {
            for trouble in &mended.trouble {
                tracing::error!("cannot heal {trouble}");
            }
            self.told.clone_from(&mended.trouble);
        }
        if !mended.what.is_empty() {
            tracing::warn!(what = mended.what.join(", "), "healed");
            self.tell(News::Mended(mended)).await;
        }
        is_well
    }

    /// The kernel takes some milliseconds to close the old watch; no other task need wait for it.
    async fn replace_watch(&mut self, watch: Option<Watch>) {
        // Only the old watch has heard of these sockets; gob's own files were checked after the new one was
        // set up.
        let _: bool = self.hear().await;
        if let Some(old) = std::mem::replace(&mut self.watch, watch) {
            drop(self.disks.hand_in(CLOSING, move || drop(old.into_inner())));
        }
    }
}
