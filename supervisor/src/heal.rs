//! Heals what somebody took away: sockets, lock file, pid file, logs, whole directories.
//!
//! Owns the [`Site`]: what has to be there while the supervisor lives. Sleeps until the kernel says that one of those
//! files changed, or a minute has passed, then looks and makes again what is missing, on a thread of its own, for disks
//! hang. What the rest of the supervisor has to use from then on goes to the control loop. The sockets of workers are the
//! workers' own: it only says which are gone, and a single one is no reason to look at anything else.
//!
//! One supervisor it stays: as long as the lock file is not there, a keeper that makes it anew looks for a living
//! supervisor and gives up (gob-keeper, `living`); what such a keeper holds for a moment is tried for again.

mod heard;
mod held;
mod site;
mod watch;

pub(crate) use site::Mended;

use crate::boot::Boot;
use crate::disks::Disks;
use crate::files::{self, Identity};
use crate::mailbox::Post;
use gob_core::Lost;
use held::Held;
use site::Site;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UnixListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use watch::Watch;

/// The first look, which sets the watch up: not while the first client waits for its answer.
const FIRST: Duration = Duration::from_millis(100);
/// Whoever removes a directory removes one file after the other; most are through after this long.
const GATHER: Duration = Duration::from_millis(10);
/// A look without a reason, for what no watch tells.
const CHECK: Duration = Duration::from_secs(60);
/// Between two tries of what can't be made again: from here on longer each time, and up to there.
const RETRY: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(2));
/// Looks come one after the other, and so do closings.
const LANE: &str = "gob's own files";
const CLOSING: &str = "a watch that is closed";
/// How long the end waits for a look that is under way.
const LAST_LOOK: Duration = Duration::from_secs(1);

/// What the control loop has to hear.
pub(crate) enum News {
    /// Something of gob's own was made again.
    Mended(Mended),
    /// Sockets of workers are gone.
    Lost(Lost),
}

/// The files that were published at the start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Published {
    pub(crate) socket: Identity,
    pub(crate) notify: Identity,
}

/// The healer at work.
pub(crate) struct Healer {
    /// Dropped, it tells the healer to end.
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Healer {
    /// Begins. A new socket goes to whoever accepts, all else that was healed to the control loop.
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
            has_log: site::is_logged_to(&Path::new(&boot.paths.state_dir).join(files::LOG)),
            logs: Identity::at(&boot.log_dir()).ok(),
            sockets: Identity::at(gob_core::sockets_dir(&boot.paths.runtime_dir).as_ref()).ok(),
        };
        let (stop, stopped) = oneshot::channel();
        let site = Arc::new(Mutex::new(site));
        let watcher = Watcher { site, disks, watch: None, to_accept, to_loop, told: Vec::new() };
        Self { stop, task: tokio::task::spawn_local(watcher.run(stopped)) }
    }

    /// Ends, so that what is taken away from now on stays away.
    pub(crate) async fn stop(self) {
        drop(self.stop);
        if tokio::time::timeout(LAST_LOOK, self.task).await.is_err() {
            tracing::warn!("the disk does not answer; files may be left that say there is a supervisor");
        }
    }
}

struct Watcher {
    /// Locked by the one look that is under way.
    site: Arc<Mutex<Site>>,
    disks: Disks,
    watch: Option<Watch>,
    to_accept: mpsc::Sender<UnixListener>,
    to_loop: Post<News>,
    /// The trouble that was told already.
    told: Vec<String>,
}

impl Watcher {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let (mut due, mut retry) = (Instant::now() + FIRST, RETRY.0);
        loop {
            tokio::select! {
                biased;
                _ = &mut stopped => return,
                () = self.changed() => {
                    if !self.hear().await {
                        continue;
                    }
                    // A stop need not wait out the moment; nothing is begun in it.
                    if tokio::time::timeout(GATHER, &mut stopped).await.is_ok() {
                        return;
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

    /// Takes in what the kernel told, and tells of lost sockets; true when it may be about gob's own files.
    async fn hear(&mut self) -> bool {
        // Without a watch everything may have happened.
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

    /// Looks once; false when something could not be made again.
    async fn look(&mut self) -> bool {
        // Everything is looked at now, whatever it was.
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
                    // What happened to sockets before, nobody saw.
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

    /// The kernel takes some milliseconds to close the old one, which nobody else need wait for.
    async fn replace_watch(&mut self, watch: Option<Watch>) {
        // What it has heard of sockets nobody else has; gob's own files were looked at after the new one was there.
        let _: bool = self.hear().await;
        if let Some(old) = std::mem::replace(&mut self.watch, watch) {
            drop(self.disks.hand_in(CLOSING, move || drop(old.into_inner())));
        }
    }
}
